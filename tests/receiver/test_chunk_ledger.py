"""The ledger: an fsync proves what was written before it, and nothing that came during it."""

from collections.abc import Callable

import pytest

from receiver.chunk_ledger import ChunkLedger, ChunkState


def synced(count: int) -> ChunkLedger:
    ledger = ChunkLedger(count)
    for index in range(count):
        ledger.start_write(index)
        ledger.finish_write(index)
    ledger.start_sync()
    ledger.finish_sync()
    return ledger


def test_a_chunk_goes_all_the_way() -> None:
    ledger = ChunkLedger(2)
    states = [ledger[1]]
    steps: tuple[Callable[[], None], ...] = (
        lambda: ledger.start_write(1),
        lambda: ledger.finish_write(1),
        ledger.start_sync,
        ledger.finish_sync,
        lambda: ledger.verify(1, matches=True),
    )
    for step in steps:
        step()
        states.append(ledger[1])
    assert [state.name for state in states] == ["UNTOUCHED", "MISSING", "WRITTEN", "SYNCING", "SYNCED", "VERIFIED"]
    assert ledger[0] is ChunkState.UNTOUCHED


def test_a_chunk_that_is_written_while_a_sync_runs_is_not_synced_by_it() -> None:
    ledger = ChunkLedger(3)
    ledger.start_write(0)
    ledger.finish_write(0)
    ledger.start_write(1)
    ledger.start_sync()
    ledger.finish_write(1)
    ledger.start_write(2)
    ledger.finish_write(2)
    ledger.finish_sync()
    assert [ledger[index] for index in range(3)] == [ChunkState.SYNCED, ChunkState.WRITTEN, ChunkState.WRITTEN]


def test_a_chunk_that_is_written_again_while_a_sync_runs_is_not_synced_by_it() -> None:
    ledger = ChunkLedger(1)
    ledger.start_write(0)
    ledger.finish_write(0)
    ledger.start_sync()
    ledger.start_write(0)
    ledger.finish_sync()
    assert ledger[0] is ChunkState.MISSING


def test_a_failed_sync_proves_nothing() -> None:
    ledger = ChunkLedger(1)
    ledger.start_write(0)
    ledger.finish_write(0)
    ledger.start_sync()
    ledger.verify(0, matches=True)
    assert ledger[0] is ChunkState.SYNCING


def test_a_difference_makes_a_chunk_missing() -> None:
    ledger = synced(3)
    ledger.verify(0, matches=True)
    ledger.verify(1, matches=False)
    assert (ledger.having(ChunkState.VERIFIED), ledger.having(ChunkState.MISSING)) == ([0], [1])
    assert ledger.having(ChunkState.SYNCED) == [2]


def test_a_chunk_that_was_written_since_cannot_be_verified() -> None:
    ledger = synced(1)
    ledger.start_write(0)
    ledger.verify(0, matches=True)
    assert ledger.having(ChunkState.MISSING) == [0]
    ledger.finish_write(0)
    ledger.verify(0, matches=True)
    assert ledger.having(ChunkState.WRITTEN) == [0]


def test_counts_by_state() -> None:
    ledger = synced(4)
    ledger.hold(3)
    ledger.verify(0, matches=True)
    assert len(ledger) == 4
    assert ledger.count((ChunkState.VERIFIED, ChunkState.HELD)) == 2
    assert ledger.count(()) == 0


def test_an_unknown_chunk_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        ChunkLedger(1).hold(1)


def test_only_what_nobody_has_begun_to_write_can_be_adopted() -> None:
    ledger = synced(7)
    ledger.verify(1, matches=False)
    ledger.start_write(2)
    ledger.hold(3)
    ledger.verify(4, matches=True)
    ledger.start_write(5)
    ledger.finish_write(5)
    before = [ledger[index] for index in range(7)]
    assert set(before) == set(ChunkState) - {ChunkState.UNTOUCHED, ChunkState.SYNCING}
    assert ledger.adopt(range(7)) == []
    assert [ledger[index] for index in range(7)] == before


def test_an_untouched_chunk_is_adopted_once_and_proved_by_it() -> None:
    ledger = ChunkLedger(3)
    ledger.start_write(0)
    assert ledger.untouched([0, 2]) == [2]
    assert ledger.adopt([0, 2]) == [2]
    assert ledger.adopt([0, 2]) == []
    assert (ledger.having(ChunkState.VERIFIED), ledger.untouched(range(3))) == ([2], [1])


def test_an_adopted_chunk_that_is_written_must_be_proved_again() -> None:
    ledger = ChunkLedger(1)
    assert ledger.adopt([0]) == [0]
    ledger.start_write(0)
    assert ledger.having(ChunkState.MISSING) == [0]
    ledger.finish_write(0)
    assert ledger.adopt([0]) == []
    assert ledger.having(ChunkState.WRITTEN) == [0]
