import pytest

from protocol.messages import SessionPhase
from protocol.wire import INTERLEAVED_BLOCKS
from receiver.last_status import LastStatus
from tests.sample_messages import receiver_id, status

MINE, OTHERS = (receiver_id(1),), (receiver_id(2),)


def after(*sequences: int) -> LastStatus:
    last = LastStatus(receiver_id(1))
    for sequence in sequences:
        last.take(status(sequence))
    return last


def test_before_the_first_nothing_is_known() -> None:
    last = after()
    assert (last.message, last.is_planning, last.is_ended, last.heard_whole_from) == (None, True, False, 0)


@pytest.mark.parametrize(("sequence", "is_newer"), [(4, False), (5, False), (6, True)])
def test_only_what_is_newer_counts(sequence: int, is_newer: bool) -> None:
    last = after(5)
    assert last.take(status(sequence, is_paused=True)) is is_newer
    assert last.is_paused is is_newer


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("catch_up", "is_on_catch_up"),
        ("must_leave_group", "must_leave_group"),
        ("dismissed", "is_dismissed"),
        ("settled", "is_settled"),
    ],
)
def test_what_is_said_of_others_means_nothing_here(field: str, name: str) -> None:
    last = after()
    for sequence, named in enumerate([OTHERS, MINE, OTHERS], 1):
        last.take(status(sequence, **{field: named}))
        assert getattr(last, name) is (named is MINE)


def test_a_broadcaster_that_was_started_again_is_told_from_one_that_goes_on() -> None:
    first, second = 1 << 32, 2 << 32
    assert not after(second + 1).was_restarted
    assert not after(first + 1, first + 2).was_restarted
    assert after(first + 9, second + 1).was_restarted
    assert not after(first + 9, second + 1, second + 2).was_restarted


@pytest.mark.parametrize("phase", SessionPhase)
def test_what_a_phase_means(phase: SessionPhase) -> None:
    last = after()
    last.take(status(1, phase=phase, position=7))
    assert last.is_planning is (phase in (SessionPhase.WAITING, SessionPhase.MANIFEST))
    assert last.is_ended is (phase is SessionPhase.ENDED)
    assert last.heard_whole_from == (7 + INTERLEAVED_BLOCKS if phase is SessionPhase.DISK else 0)
