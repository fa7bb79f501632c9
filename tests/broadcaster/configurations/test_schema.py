from pathlib import Path

import pytest

from broadcaster.configurations.schema import MAX_FILE_LENGTH, ConfigurationFile, read_configuration
from protocol.configuration import Restart
from protocol.errors import ConfigError


def read(folder: Path, toml: str | bytes) -> ConfigurationFile:
    path = folder / "lab.toml"
    path.write_bytes(toml if isinstance(toml, bytes) else toml.encode())
    return read_configuration(path)


def test_an_empty_one_does_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "") == ConfigurationFile(restart=Restart.REBOOT)


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ("reboot = true", "there is no key 'reboot'"),
        ("[grow]\nsize = 3", r"there is no key 'size' in grow"),
        ('[[files]]\npath = "x"\nsource = "y"\nowners = 3', r"there is no key 'owners' in files\[0\]"),
        ("[grow]\npartition = 900", "grow.partition: expected `int` <= 256"),
        ("[grow]\npartition = 'last'", "grow.partition: expected `int`, got `str`"),
        ('restart = "now"', "restart: invalid enum value 'now'"),
        ('[variables]\n"a b" = 1', "variables"),
        ("[variables]\na = [1]", "variables"),
        ("[boot]\non-error = 'ignore'", "boot.on-error: invalid enum value 'ignore'"),
        ('[[files]]\npath = "x"', "files 1 needs either a template or a source"),
        ('[[scripts]]\nsource = "x"\ntemplate = "y"', "scripts 1 needs either a template or a source"),
        ('[[files]]\npath = "x"\nsource = "y"\nmode = "rw"', "mode"),
        ('[[scripts]]\nsource = "x"\nlimit = 3601', "limit: expected `int` <= 3600"),
        ('[[drivers]]\nsource = "x"\nfolder = "../etc"', "folder"),
        ("[grow", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        (b"#" * (MAX_FILE_LENGTH + 1), "is longer than"),
    ],
)
def test_what_is_wrong_is_one_line_with_file_and_key(tmp_path: Path, toml: str | bytes, line: str) -> None:
    with pytest.raises(ConfigError, match=line) as caught:
        read(tmp_path, toml)
    assert str(caught.value).startswith(str(tmp_path / "lab.toml"))
    assert "\n" not in str(caught.value)


def test_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_configuration(tmp_path / "none.toml")
