import pytest

from slatecast.seat.pace import ENOUGH_SECONDS, Pace


def test_what_is_left_follows_from_what_was_done() -> None:
    pace = Pace()
    assert pace.seconds_left("receiving", 0.10, 100.0) is None
    assert pace.seconds_left("receiving", 0.60, 110.0) == pytest.approx(8.0)


def test_nothing_is_foretold_too_early() -> None:
    pace = Pace()
    pace.seconds_left("receiving", 0.0, 0.0)
    assert pace.seconds_left("receiving", 0.5, ENOUGH_SECONDS - 0.1) is None
    assert pace.seconds_left("receiving", 0.01, 100.0) is None


def test_each_stage_counts_for_itself() -> None:
    pace = Pace()
    pace.seconds_left("receiving", 0.0, 0.0)
    assert pace.seconds_left("verifying", 0.5, 10.0) is None
    assert pace.seconds_left("verifying", 0.75, 20.0) == pytest.approx(10.0)
    assert pace.seconds_left("verifying", None, 21.0) is None
    assert pace.seconds_left("verifying", 0.9, 22.0) is None


def test_a_stage_that_falls_back_begins_anew() -> None:
    pace = Pace()
    pace.seconds_left("receiving", 0.9, 0.0)
    assert pace.seconds_left("receiving", 0.1, 10.0) is None
