import pytest

from broadcaster.damage import GIVE_UP_DAMAGED, why_incomplete
from broadcaster.roster import Seat
from protocol.messages import ReceiverState
from tests.sample_messages import missing_blocks, report

BLOCKS = 20
DAMAGED = {7: "chunk 7 is damaged", 3: "chunk 3 is damaged"}


def seat_with(missing: int, *, state: ReceiverState = ReceiverState.RECEIVING, lacked: list[int] | None = None) -> Seat:
    """A seat that has got nowhere since second 0; ``lacked`` is what it said that its disk lacks, if it did."""
    seat = Seat(report(state=state, blocks_missing=missing), joined_at=0.0, heard_at=0.0, progressed_at=0.0)
    if lacked is not None:
        ranges = [(sbn, sbn + 1) for sbn in lacked]
        seat.inventory.take(missing_blocks(ranges=ranges, block_count=BLOCKS), BLOCKS)
    return seat


def why(seat: Seat, now: float = GIVE_UP_DAMAGED) -> str:
    return why_incomplete(seat, DAMAGED, block_count=BLOCKS, now=now)


@pytest.mark.parametrize(
    ("missing", "lacked", "words"),
    [
        (2, [3, 7], "2 blocks are damaged in the library, first 3: chunk 3 is damaged"),
        (1, [3, 7, 9], "2 blocks are damaged in the library, first 3: chunk 3 is damaged"),
        (1, [7, 9], "1 block is damaged in the library, first 7: chunk 7 is damaged"),
        (2, None, "2 blocks are damaged in the library, first 3: chunk 3 is damaged"),
        (3, [3, 7, 9], ""),
        (2, [7, 9], ""),
        (1, [9], ""),
        (0, [3, 7], ""),
        (3, None, ""),
    ],
    ids=[
        "both",
        "one of the two came before it was damaged",
        "one",
        "it never said what it lacks",
        "and another one, which will come",
        "one, and another one, which will come",
        "another one, which will come",
        "none any more",
        "it never said, and lacks more",
    ],
)
def test_who_lacks_nothing_but_what_is_damaged_can_never_be_complete(
    missing: int, lacked: list[int] | None, words: str
) -> None:
    assert why(seat_with(missing, lacked=lacked)) == words


def test_a_seat_is_given_some_time_to_get_somewhere() -> None:
    seat = seat_with(2, lacked=[3, 7])
    assert why(seat, GIVE_UP_DAMAGED - 0.1) == ""
    seat.progressed_at = 1.0
    assert why(seat) == ""
    assert why(seat, 1.0 + GIVE_UP_DAMAGED) != ""


@pytest.mark.parametrize("state", [state for state in ReceiverState if state is not ReceiverState.RECEIVING])
def test_only_a_seat_that_receives_lacks_anything(state: ReceiverState) -> None:
    assert why(seat_with(2, state=state, lacked=[3, 7])) == ""
