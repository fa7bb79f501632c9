from pathlib import Path

import pytest

from broadcaster.captures import open_capture
from broadcaster.captures.capture import Capture
from broadcaster.captures.capture_folder import CaptureFolder
from broadcaster.captures.open_capture import OpenCapture, discard, write_part
from broadcaster.library.library import Library
from protocol.errors import LibraryError, MessageError
from tests.broadcaster.captures.played import PlayedDisk, record

DISK = PlayedDisk()


@pytest.fixture
def opened(tmp_path: Path) -> OpenCapture:
    library = Library.open_or_create(tmp_path)
    return OpenCapture(library, CaptureFolder(library.root / "captures" / "x"))


def publish(opened: OpenCapture, body: bytes) -> int:
    description = opened.folder.description()
    try:
        write_part(description, body)
        published, findings = opened.publish(
            Capture(record(), 0.0), description, signer=None, created="now", progress=lambda _done: None
        )
        assert findings == ()
        return published.version
    finally:
        discard(description)


def test_what_is_lacking_is_neither_in_the_library_nor_in_the_folder(opened: OpenCapture, tmp_path: Path) -> None:
    assert opened.lacking(DISK.digests) == [True] * 6
    opened.folder.take(b"".join(DISK.framed(DISK.digests)))
    assert opened.lacking(DISK.digests) == [False] * 6
    assert publish(opened, DISK.described()) == 1
    opened.folder.clear()
    assert opened.lacking(DISK.digests) == [False] * 6


def test_a_damaged_chunk_of_the_library_is_lacking(opened: OpenCapture, tmp_path: Path) -> None:
    opened.folder.take(b"".join(DISK.framed(DISK.digests)))
    publish(opened, DISK.described())
    store = Library.open(tmp_path).store
    store.path(DISK.digests[3]).write_bytes(b"rot")
    store.delete(DISK.digests[4])
    assert opened.lacking(DISK.digests) == [False, False, False, True, True, False]


def test_what_was_proved_and_then_removed_is_lacking(opened: OpenCapture, tmp_path: Path) -> None:
    opened.folder.take(b"".join(DISK.framed(DISK.digests)))
    publish(opened, DISK.described())
    assert opened.lacking(DISK.digests[:1]) == [False]
    Library.open(tmp_path).store.delete(DISK.digests[0])
    assert opened.lacking(DISK.digests[:1]) == [True]


def test_what_is_remembered_is_bounded(opened: OpenCapture, monkeypatch: pytest.MonkeyPatch) -> None:
    opened.folder.take(b"".join(DISK.framed(DISK.digests)))
    publish(opened, DISK.described())
    monkeypatch.setattr(open_capture, "MAX_PROVED", 2)
    assert opened.lacking(DISK.digests) == [False] * 6
    assert len(opened._proved) == 2


@pytest.mark.parametrize("body", [b"", b"abc", DISK.described()[:-1]])
def test_no_description(opened: OpenCapture, body: bytes) -> None:
    with pytest.raises(MessageError):
        publish(opened, body)
    assert not list(opened.folder.root.glob("disk-*"))


def test_a_closed_description_cannot_be_written(opened: OpenCapture) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(LibraryError, match="is full"):
        write_part(full, b"part")
