import os
import subprocess
from pathlib import Path

import pytest
import zstandard

from broadcaster.environment import archive
from protocol.errors import LibraryError
from tests.broadcaster.library.disks import needs, needs_root

EPOCH = 1_700_000_000

pytestmark = [needs("cpio", "cpio"), needs_root]


def make_root(folder: Path, names: list[str]) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"this is {name}\n")
    (folder / "link").symlink_to("etc/passwd")
    (folder / "empty").mkdir()
    (folder / "bin").chmod(0o755)
    (folder / "bin/tool").chmod(0o755)
    return folder


NAMES = ["etc/passwd", "bin/tool", "usr/lib/a", "usr/lib/ä"]


def listing(packed: Path) -> list[str]:
    with packed.open("rb") as file:
        plain = zstandard.ZstdDecompressor().stream_reader(file).read()
    return (
        subprocess.run(
            ["cpio", "-tv", "--quiet"], input=plain, check=True, capture_output=True, env={**os.environ, "TZ": "UTC"}
        )
        .stdout.decode()
        .splitlines()
    )


def test_same_bytes_from_the_same_root_made_in_another_order_at_another_time(tmp_path: Path) -> None:
    first = make_root(tmp_path / "one", NAMES)
    second = make_root(tmp_path / "two", NAMES[::-1])
    os.utime(second / "etc/passwd", (1, 1))
    os.chown(second / "usr/lib/a", 1234, 1234)
    for root, name in ((first, "first"), (second, "second"), (first, "again")):
        archive.pack(root, tmp_path / name, epoch=EPOCH, level=3)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()


def test_another_mode_is_another_archive(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", NAMES)
    archive.pack(root, tmp_path / "first", epoch=EPOCH, level=3)
    (root / "bin/tool").chmod(0o644)
    archive.pack(root, tmp_path / "second", epoch=EPOCH, level=3)
    assert (tmp_path / "first").read_bytes() != (tmp_path / "second").read_bytes()


def test_names_are_sorted_and_owned_by_root_at_one_time(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", NAMES)
    length = archive.pack(root, tmp_path / "packed", epoch=EPOCH, level=3)
    rows = [line.split(maxsplit=8) for line in listing(tmp_path / "packed")]
    names = [row[8].partition(" -> ")[0] for row in rows]
    assert names[:4] == ["bin", "bin/tool", "empty", "etc"]
    assert len(names) == 10
    assert {(row[2], row[3]) for row in rows} == {("root", "root")}
    assert {" ".join(row[5:8]) for row in rows} == {"Nov 14 2023"}
    assert length % 512 == 0


def test_more_names_than_a_pipe_holds(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", NAMES)
    for number in range(3000):
        (root / "empty" / f"{number:0100}").touch()
    archive.pack(root, tmp_path / "packed", epoch=EPOCH, level=1)
    assert len(listing(tmp_path / "packed")) == 3010


def test_a_failure_of_cpio_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_root(tmp_path / "root", NAMES)
    tool = tmp_path / "cpio"
    tool.write_text("#!/bin/sh\necho 'cpio: the end' >&2\nexit 2\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(LibraryError, match="cpio failed: cpio: the end"):
        archive.pack(root, tmp_path / "packed", epoch=EPOCH, level=1)


def test_newest_is_of_files(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", NAMES)
    for name in NAMES:
        os.utime(root / name, (EPOCH, EPOCH))
    os.utime(root / "usr/lib/a", (EPOCH + 5, EPOCH + 5))
    assert archive.newest(root) == EPOCH + 5
