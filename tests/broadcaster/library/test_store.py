import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broadcaster.library.library import Library
from broadcaster.library.store import ChunkStore, library_errors, sync_filesystem
from protocol.digests import raw_digest
from protocol.errors import LibraryError
from tests.broadcaster.library.disks import noise, tree

ONE, TWO = noise(1, 1000), noise(2, 2000)


@pytest.fixture
def store(tmp_path: Path) -> ChunkStore:
    return Library.open_or_create(tmp_path / "library").store


def test_a_committed_batch_stays(store: ChunkStore) -> None:
    with store.batch() as batch:
        batch.write(raw_digest(ONE), ONE)
        batch.write(raw_digest(TWO), TWO)
        assert store.read(raw_digest(ONE)) is None
        assert batch.find(raw_digest(ONE)) == ONE
        batch.commit()
        batch.keep()
    assert (batch.new_count, batch.new_bytes) == (2, 3000)
    assert store.read(raw_digest(ONE)) == ONE
    assert sorted(store.digests()) == sorted([raw_digest(ONE), raw_digest(TWO)])
    assert not any(store.incoming.iterdir())


@pytest.mark.parametrize("committed", [False, True])
def test_a_batch_that_is_not_kept_leaves_no_trace(store: ChunkStore, committed: bool) -> None:
    before = tree(store.root)
    with store.batch() as batch:
        batch.write(raw_digest(ONE), ONE)
        if committed:
            batch.commit()
    assert tree(store.root) == before


def test_undo_spares_what_was_there_before(store: ChunkStore) -> None:
    for kept in (True, False):
        with store.batch() as batch:
            batch.write(raw_digest(ONE), ONE)
            batch.commit()
            if kept:
                batch.keep()
    assert store.read(raw_digest(ONE)) == ONE


def test_a_new_batch_sweeps_up_after_a_crashed_one(store: ChunkStore) -> None:
    (store.incoming / "left-over").write_bytes(b"half a chunk")
    with store.batch() as batch:
        assert not any(store.incoming.iterdir())
        batch.write(raw_digest(ONE), ONE)


def test_many_threads_may_bring_the_same_chunk(store: ChunkStore) -> None:
    with store.batch() as batch, ThreadPoolExecutor(8) as executor:
        list(executor.map(lambda _: batch.write(raw_digest(ONE), ONE), range(64)))
        batch.commit()
        batch.keep()
    assert (batch.new_count, store.read(raw_digest(ONE))) == (1, ONE)


def test_delete_says_what_it_frees(store: ChunkStore) -> None:
    with store.batch() as batch:
        batch.write(raw_digest(ONE), ONE)
        batch.commit()
        batch.keep()
    assert [store.delete(raw_digest(ONE)), store.delete(raw_digest(ONE))] == [1000, 0]
    assert store.read(raw_digest(ONE)) is None


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "is full"),
        (errno.EDQUOT, "is full"),
        (errno.EFBIG, "is full"),
        (errno.EACCES, "Permission denied"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_the_system_says_becomes_one_line(tmp_path: Path, number: int, words: str) -> None:
    with pytest.raises(LibraryError, match=words), library_errors(tmp_path):
        raise OSError(number, os.strerror(number))


def test_sync_reports_what_cannot_be_synced(tmp_path: Path) -> None:
    sync_filesystem(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_filesystem(tmp_path / "missing")
