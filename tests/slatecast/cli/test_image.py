import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broadcaster.keys import KeyStore
from protocol.backup_names import backup_name
from protocol.errors import ConfigError, IntegrityError, LibraryError, SlatecastError, SourceError, TargetError
from protocol.manifest import CHUNK_SIZE
from protocol.words import fingerprint_words
from slatecast.cli.context import Context, default_library
from slatecast.cli.image import image
from tests.broadcaster.library.disks import MIB, noise, sparse_file


class Commands:
    """The image commands on one library; errors come out as they are, since the front door words them."""

    def __init__(self, library: Path) -> None:
        self.library = library
        self.keys = library.with_name("keys")

    def __call__(self, *arguments: str, answer: str = "") -> Result:
        context = Context(library=self.library, keys=self.keys)
        return CliRunner().invoke(image, arguments, obj=context, input=answer, catch_exceptions=True)

    def output(self, *arguments: str) -> str:
        result = self(*arguments)
        assert result.exception is None, result.exception
        return result.stdout

    def error(self, *arguments: str) -> BaseException | None:
        return self(*arguments).exception


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return sparse_file(tmp_path / "disk.img", 8 * MIB, {0: noise(1, MIB), 4 * MIB: b"text" * (MIB // 4)})


@pytest.fixture
def commands(tmp_path: Path, disk: Path) -> Commands:
    commands = Commands(tmp_path / "library")
    commands.output("add", str(disk), "--name", "lab")
    return commands


def test_add_sums_up_and_knows_the_same_disk_again(commands: Commands, disk: Path) -> None:
    again = commands.output("add", str(disk), "--name", "lab")
    assert again.startswith("unchanged: image lab, version 1\n")
    other = commands.output("add", str(disk), "--name", "other", "--level", "19")
    assert other.startswith("added: image other, version 1\n")
    for words in ("8388608 bytes", "2097152 bytes) in 8 chunks", "0 bytes) in 0 chunks", "no known file system"):
        assert words in other


def test_list(commands: Commands) -> None:
    assert "lab" in commands.output("list")
    listed: list[dict[str, Any]] = json.loads(commands.output("list", "--json"))
    assert [(entry["name"], entry["version"], entry["disk_size"]) for entry in listed] == [("lab", 1, 8 * MIB)]


def test_backups_are_listed_when_they_are_asked_for(commands: Commands, disk: Path) -> None:
    commands.output("add", str(disk), "--name", backup_name("office-7"))
    assert "office-7" not in commands.output("list")
    assert [entry["name"] for entry in json.loads(commands.output("list", "--json"))] == ["lab"]
    assert "backup-office-7" in commands.output("list", "--backups")


def test_list_without_a_library(tmp_path: Path) -> None:
    commands = Commands(tmp_path / "missing")
    assert "no images in" in commands.output("list")
    assert json.loads(commands.output("list", "--json")) == []
    assert not commands.library.exists()


def test_the_library_may_be_named_behind_the_command(commands: Commands, tmp_path: Path) -> None:
    elsewhere = Commands(tmp_path / "elsewhere")
    assert "lab" in elsewhere.output("list", "--library", str(commands.library))


def test_show(commands: Commands) -> None:
    shown: dict[str, Any] = json.loads(commands.output("show", "lab", "--json"))
    assert (shown["name"], shown["versions"], shown["stored_chunk_count"]) == ("lab", [1], 8)
    text = commands.output("show", "lab@1")
    assert shown["digest"] in text
    assert "whole disk" in text


def test_names_with_markup_are_printed_as_they_are(commands: Commands, tmp_path: Path) -> None:
    source = sparse_file(tmp_path / "[red]disk.img", MIB, {0: noise(3, 512)})
    commands.output("add", str(source), "--name", "markup")
    assert "[red]disk.img" in commands.output("show", "markup")


def test_verify(commands: Commands) -> None:
    words = signer_words(commands)
    assert commands.output("verify", "lab") == f"image lab, version 1: all 8 chunks are sound; signed by {words}\n"
    chunk = next(
        path
        for path in (commands.library / "chunks").rglob("*")
        if path.is_file() and path.stat().st_size == CHUNK_SIZE
    )
    chunk.write_bytes(bytes(CHUNK_SIZE))
    result = commands("verify", "lab")
    assert isinstance(result.exception, IntegrityError)
    assert "1 of 8 chunks are damaged" in str(result.exception)
    assert result.stderr.count("is damaged: expected digest") == 1


def test_show_and_list_tell_who_signed(commands: Commands) -> None:
    words = signer_words(commands)
    assert words in commands.output("show", "lab")
    assert words in commands.output("list")
    assert json.loads(commands.output("show", "lab", "--json"))["signed_by"] == words
    assert json.loads(commands.output("list", "--json"))[0]["signed_by"] == words


def test_where_the_image_key_is_kept_elsewhere(commands: Commands, disk: Path, tmp_path: Path) -> None:
    words = signer_words(commands)
    key = (commands.keys / "image.key").rename(tmp_path / "stick.key")
    added = commands("add", str(disk), "--name", "exam")
    assert added.exception is None
    assert added.stdout.startswith("added: image exam")
    assert "'slatecast image sign exam --image-key FILE' must sign it" in added.stderr
    assert json.loads(commands.output("show", "exam", "--json"))["signed_by"] is None
    assert "nobody" in commands.output("show", "exam")
    assert commands.output("verify", "exam").endswith("are sound; not signed\n")
    error = commands.error("sign", "exam")
    assert isinstance(error, ConfigError)
    assert "--image-key" in str(error)
    signed = commands.output("sign", "exam", "--image-key", str(key))
    assert signed == f"image exam, version 1: signed by {words}\n"
    assert json.loads(commands.output("show", "exam", "--json"))["signed_by"] == words


def test_an_image_of_an_old_library_is_signed(commands: Commands) -> None:
    words = signer_words(commands)
    (commands.library / "images" / "lab" / "1.signature").unlink()
    assert json.loads(commands.output("list", "--json"))[0]["signed_by"] is None
    assert commands.output("sign", "lab@1") == f"image lab, version 1: signed by {words}\n"
    assert json.loads(commands.output("list", "--json"))[0]["signed_by"] == words


def test_a_damaged_signature(commands: Commands, disk: Path) -> None:
    (commands.library / "images" / "lab" / "1.signature").write_bytes(b"torn")
    assert "nobody" in commands.output("show", "lab")
    assert json.loads(commands.output("list", "--json"))[0]["signed_by"] is None
    error = commands.error("verify", "lab")
    assert isinstance(error, LibraryError)
    assert "signature of image lab, version 1 cannot be read" in str(error)
    commands.output("add", str(disk), "--name", "lab")
    commands.output("verify", "lab")


def test_keys_that_may_not_be_used_stop_an_add(commands: Commands, disk: Path) -> None:
    (commands.keys / "image.key").chmod(0o644)
    error = commands.error("add", str(disk), "--name", "exam")
    assert isinstance(error, ConfigError)
    assert "can be read by other users" in str(error)
    assert len(json.loads(commands.output("list", "--json"))) == 1


def signer_words(commands: Commands) -> str:
    return " ".join(fingerprint_words(KeyStore.open(commands.keys).trust.image_keys[0]))


def test_export(commands: Commands, disk: Path, tmp_path: Path) -> None:
    target = tmp_path / "export.img"
    assert str(target) in commands.output("export", "lab", str(target))
    assert target.read_bytes() == disk.read_bytes()
    assert isinstance(commands.error("export", "lab", str(target)), TargetError)
    commands.output("export", "lab", str(target), "--force")


def test_remove(commands: Commands) -> None:
    assert isinstance(commands.error("remove", "lab"), ConfigError)
    assert "removed image lab, version 1: 5 chunks" in commands.output("remove", "lab", "--yes")
    assert json.loads(commands.output("list", "--json")) == []


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("add", "missing.img", "--name", "lab"), SourceError),
        (("add", "/", "--name", "lab"), SourceError),
        (("add", "disk.img", "--name", "../lab"), ConfigError),
        (("show", "other"), LibraryError),
        (("show", "lab@7"), LibraryError),
        (("show", "lab@x"), ConfigError),
        (("verify", "other"), LibraryError),
        (("sign", "other"), LibraryError),
        (("sign", "lab@9"), LibraryError),
        (("sign", "lab", "--image-key", "missing.key"), ConfigError),
        (("export", "other", "file"), LibraryError),
        (("export", "lab", "/"), TargetError),
        (("remove", "other", "--yes"), LibraryError),
        (("remove", "lab@9", "--yes"), LibraryError),
    ],
)
def test_bad_input_is_one_line(commands: Commands, arguments: tuple[str, ...], kind: type[SlatecastError]) -> None:
    error = commands.error(*arguments)
    assert type(error) is kind
    assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize("command", [["list"], ["show", "lab"], ["add", "disk.img", "--name", "lab"]])
def test_a_folder_that_is_no_library(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "letter").write_text("dear reader")
    error = Commands(tmp_path).error(*command)
    assert isinstance(error, LibraryError)
    assert "is not a slatecast library" in str(error)


@pytest.mark.parametrize("arguments", [["add", "x"], ["add", "x", "--name", "lab", "--level", "20"], ["export", "lab"]])
def test_usage_errors_exit_with_2(commands: Commands, arguments: list[str]) -> None:
    assert commands(*arguments).exit_code == 2


def test_the_library_is_in_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_library() == Path("/data/slatecast/library")
    for unusable in ("", "relative"):
        monkeypatch.setenv("XDG_DATA_HOME", unusable)
        monkeypatch.setenv("HOME", "/home/ada")
        assert default_library() == Path("/home/ada/.local/share/slatecast/library")


ADD = """
import sys
from pathlib import Path
from slatecast.cli.context import Context
from slatecast.cli.image import image
image.main(["add", sys.argv[2], "--name", "bars"], obj=Context(Path(sys.argv[1]), Path(sys.argv[3])))
"""


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_bars_are_for_terminals(commands: Commands, disk: Path, is_terminal: bool) -> None:
    command = [sys.executable, "-c", ADD, str(commands.library), str(disk), str(commands.keys)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    if not is_terminal:
        ran = subprocess.run(command, check=True, capture_output=True, env=environment)
        assert ran.stderr == b""
        return
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=theirs, env=environment)
        os.close(theirs)
        drawn = screen.read(1 << 16).decode()
    assert "reading" in drawn
    assert "2.0/2.0 MiB" in drawn
    assert "/s" in drawn
