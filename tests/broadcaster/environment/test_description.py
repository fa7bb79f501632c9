from pathlib import Path

import pytest

from broadcaster.environment.description import (
    DESCRIPTION,
    FILES,
    Environment,
    file_facts,
    read_description,
    write_description,
)
from protocol.errors import ConfigError
from tests.broadcaster.environment.small_environment import small_environment


def test_what_was_written_is_read(tmp_path: Path) -> None:
    environment = small_environment(tmp_path)
    assert read_description(tmp_path) == environment
    assert environment.files["vmlinuz"].size == len("this is vmlinuz")


def test_same_contents_same_bytes(tmp_path: Path) -> None:
    environment = small_environment(tmp_path)
    before = (tmp_path / DESCRIPTION).read_bytes()
    turned = {name: environment.packages[name] for name in reversed(environment.packages)}
    fields = {name: getattr(environment, name) for name in environment.__struct_fields__}
    write_description(tmp_path, Environment(**{**fields, "packages": turned}))
    assert (tmp_path / DESCRIPTION).read_bytes() == before


def test_digests_are_sha256(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    facts = file_facts(tmp_path, ["empty"])["empty"]
    assert facts.sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("is_there", [True, False])
def test_a_folder_that_is_not_whole(tmp_path: Path, name: str, is_there: bool) -> None:
    small_environment(tmp_path)
    (tmp_path / name).write_text("half") if is_there else (tmp_path / name).unlink()
    with pytest.raises(ConfigError, match=f"{name} is missing or not whole"):
        read_description(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[1]", b'{"slatecast": 1}'])
def test_no_description(tmp_path: Path, content: bytes) -> None:
    small_environment(tmp_path)
    (tmp_path / DESCRIPTION).write_bytes(content)
    with pytest.raises(ConfigError, match="is no environment"):
        read_description(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'slatecast boot build' makes one"):
        read_description(tmp_path / "nothing")
