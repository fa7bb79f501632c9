import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from broadcaster.captures import capture_folder
from broadcaster.captures.capture_folder import FULL, CaptureFolder
from protocol.errors import LibraryError, MessageError
from tests.broadcaster.captures.played import PlayedDisk
from tests.broadcaster.library.disks import tree

DISK = PlayedDisk()


@pytest.fixture
def folder(tmp_path: Path) -> CaptureFolder:
    return CaptureFolder(tmp_path / "capture")


def body(*ids: int) -> bytes:
    return b"".join(DISK.framed(DISK.digests[each] for each in ids))


def test_chunks_are_kept_once(folder: CaptureFolder) -> None:
    assert folder.take(body(0, 1)) > 0
    assert folder.take(body(1, 0, 1)) == 0
    assert [folder.read(digest) is not None for digest in DISK.digests] == [True, True] + [False] * 4


def test_a_chunk_that_is_not_what_it_says_is_not_kept_but_those_before_it_are(folder: CaptureFolder) -> None:
    wrong = bytearray(body(0, 1))
    wrong[-1] ^= 1
    with pytest.raises(MessageError, match="not what its digest says"):
        folder.take(bytes(wrong))
    with pytest.raises(MessageError, match="cut short"):
        folder.take(body(2)[:-1])
    assert [folder.read(digest) is not None for digest in DISK.digests] == [True] + [False] * 5


def test_what_an_earlier_run_left_is_proved_again(folder: CaptureFolder) -> None:
    folder.take(body(0, 1, 2))
    torn = folder.root / "run-1" / DISK.digests[1].hex()
    torn.write_bytes(torn.read_bytes()[:-10])
    later = CaptureFolder(folder.root)
    assert later.read(DISK.digests[1]) is None
    assert not torn.exists()
    for number in (0, 2):
        stored = later.read(DISK.digests[number])
        assert stored is not None
        assert (folder.root / "run-2" / DISK.digests[number].hex()).read_bytes() == stored
    assert later.take(body(0, 1, 2)) > 0
    assert later.read(DISK.digests[1]) is not None


def test_a_chunk_goes_to_the_library_and_back(folder: CaptureFolder, tmp_path: Path) -> None:
    folder.take(body(0))
    stored = folder.read(DISK.digests[0])
    folder.hand_over(DISK.digests[0], tmp_path / "place")
    assert (tmp_path / "place").read_bytes() == stored
    assert folder.read(DISK.digests[0]) is None
    folder.take_back(DISK.digests[0], tmp_path / "place")
    assert folder.read(DISK.digests[0]) == stored


def test_a_description_is_whole_or_gone(folder: CaptureFolder) -> None:
    with folder.description() as file:
        file.write(b"half")
    assert Path(file.name).exists()
    CaptureFolder(folder.root)
    assert not Path(file.name).exists()


def test_clearing_leaves_the_record(folder: CaptureFolder) -> None:
    folder.take(body(0))
    (folder.root / "state.json").write_bytes(b"{}")
    folder.clear()
    folder.clear()
    assert list(tree(folder.root)) == ["state.json"]
    CaptureFolder(folder.root / "not there").clear()


def test_a_full_library_is_told_in_words_that_a_machine_may_show(
    folder: CaptureFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.take(body(0))
    usage = shutil.disk_usage(folder.root)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=capture_folder.ROOM_LEFT))
        with pytest.raises(LibraryError) as refused:
            folder.take(body(1))
        assert str(refused.value) == FULL
    for number, text in ((errno.ENOSPC, FULL), (errno.EDQUOT, FULL), (errno.EIO, "Input/output error; tell")):

        def fail(*_: Any, number: int = number, **__: Any) -> Any:
            raise OSError(number, os.strerror(number), "/secret/path")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", fail)
            with pytest.raises(LibraryError) as refused:
                folder.take(body(1))
        assert text in str(refused.value)
        assert "/" not in str(refused.value).replace("Input/output", "")
    assert folder.read(DISK.digests[0]) is not None
    assert folder.take(body(1)) > 0
