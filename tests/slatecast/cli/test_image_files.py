import json
from pathlib import Path

import pytest

from broadcaster.library.looking_inside import Entry, EntryKind, Extracted
from slatecast.cli import image_files
from tests.broadcaster.library.disks import MIB, noise, sparse_file
from tests.slatecast.cli.test_image import Commands

ENTRIES = [
    Entry("home", EntryKind.FOLDER, 4096, 1_700_000_000.0),
    Entry("a\x1b[2J\n\udc80b\\", EntryKind.FILE, 12_345_678, -1.0),
    Entry("link", EntryKind.LINK, 4, 1e300, "/etc\x07"),
    Entry("sda", EntryKind.OTHER, 0, 0.0),
]


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    commands = Commands(tmp_path / "library")
    commands.output("add", str(sparse_file(tmp_path / "disk.img", 2 * MIB, {0: noise(1, MIB)})), "--name", "lab")
    return commands


def test_partitions(commands: Commands) -> None:
    assert commands.output("files", "lab") == f"p {2 * MIB}  0  unknown\n"
    (entry,) = json.loads(commands.output("files", "lab@1", "/", "--json"))
    assert entry == {"name": "0", "kind": "partition", "size": 2 * MIB, "changed": 0.0, "target": "unknown"}


def test_a_strangers_names_do_nothing_to_a_terminal(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "list_folder", lambda _library, _manifest, _path: ENTRIES)
    assert commands.output("files", "lab", "/2").splitlines() == [
        "d     4096  2023-11-14 22:13  home",
        r"- 12345678  1969-12-31 23:59  a\x1b[2J\n\udc80b\\",
        r"l        4  ????????????????  link -> /etc\x07",
        "?        0  1970-01-01 00:00  sda",
    ]
    listed = json.loads(commands.output("files", "lab", "/2", "--json"))
    assert [entry["name"] for entry in listed] == [entry.name for entry in ENTRIES]


def test_extract_sums_up(commands: Commands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done = Extracted(files=3, folders=2, links=1, bytes=5_000_000, left_out=4)
    monkeypatch.setattr(image_files, "extract", lambda *_arguments: done)
    out = tmp_path / "out"
    said = commands.output("extract", "lab", "/2/home", str(out))
    assert said.startswith(f"image lab, version 1: 3 files (5.0 MB), 2 folders and 1 links in {out}, 4 devices")


def test_bad_input_is_one_line(commands: Commands, tmp_path: Path) -> None:
    for arguments in (("files", "lab", "/9"), ("files", "nix"), ("extract", "lab", "/", str(tmp_path / "x"))):
        error = str(commands.error(*arguments))
        assert error
        assert "\n" not in error
