import pytest

from broadcaster.host.restores import BY_SEAT
from dashboards.desk_rules import SELF_SERVICE
from dashboards.fleet.views import SeatState, SeatView
from dashboards.pages.seat_words import (
    SEAT_SIGNS,
    SEVERITY_SIGNS,
    STEP_SIGNS,
    Tone,
    ordered_in_words,
    plain,
    planned_in_words,
    seat_in_words,
    seat_sign,
)
from protocol.operators import SessionStep, Severity


def test_everything_that_occurs_has_its_own_icon_and_word() -> None:
    for signs, kind in ((SEAT_SIGNS, SeatState), (STEP_SIGNS, SessionStep), (SEVERITY_SIGNS, Severity)):
        assert set(signs) == set(kind)
        assert len({sign.icon for sign in signs.values()}) == len(signs)
        assert len({sign.word for sign in signs.values()}) == len(signs)


@pytest.mark.parametrize("state", SeatState)
def test_trouble_and_only_trouble_is_red(state: SeatState) -> None:
    assert (SEAT_SIGNS[state].tone is Tone.BAD) == state.is_trouble


def test_a_slow_seat_keeps_its_icon_and_says_so() -> None:
    quick = SeatView("14", "m", "r", SeatState.RECEIVING)
    slow = SeatView("14", "m", "r", SeatState.RECEIVING, is_slow=True)
    assert seat_sign(slow).icon == seat_sign(quick).icon
    assert (seat_sign(slow).word, seat_sign(slow).tone) == ("receiving, slow", Tone.SLOW)
    assert seat_sign(SeatView("14", "m", "r", SeatState.FAILED, is_slow=True)) == SEAT_SIGNS[SeatState.FAILED]


def test_one_sentence_for_a_seat() -> None:
    assert seat_in_words(SeatView("seat 14", "m", "r", SeatState.IDLE)) == "seat 14, idle"
    failed = SeatView("14\u202e", "m", "r", SeatState.FAILED, reason="disk error at sector 8")
    assert seat_in_words(failed) == "14, failed: disk error at sector 8"


def test_foreign_texts_do_not_turn_our_own() -> None:
    assert plain("a\u202eb\u2067c\u200fd") == "abcd"
    assert plain("Übung 1 / עברית") == "Übung 1 / עברית"


def test_self_service_is_nobody_by_name() -> None:
    assert SELF_SERVICE == BY_SEAT
    assert ordered_in_words("anna") == "ordered by anna"
    assert planned_in_words("anna") == "planned by anna"
    assert ordered_in_words("") == ""
    assert planned_in_words("") == "planned"
    for words in (ordered_in_words(SELF_SERVICE), planned_in_words(SELF_SERVICE)):
        assert "self-service" in words
        assert "whoever sits at the seat" in words
