import pytest

from dashboards.fleet.session_fold import MAX_HAPPENINGS_KEPT, NOT_TOLD_ANY_MORE, SessionFold
from dashboards.fleet.views import SeatState, SessionView
from protocol.operators import Happening, SessionStep, Severity
from tests.dashboards.fleet import news


def view(fold: SessionFold, now: float = 0.0, *, is_given_up: bool = False) -> SessionView:
    found = fold.view(now, is_given_up=is_given_up)
    assert found is not None
    return found


def happening(at: float) -> Happening:
    return Happening(at=at, severity=Severity.INFO, text=f"at {at}")


def test_nothing_is_shown_before_the_session_itself_is_known() -> None:
    fold = SessionFold(news.TSI)
    assert fold.receive_seats(news.seats(news.seat()), 0.0)
    assert fold.view(0.0, is_given_up=False) is None
    assert fold.receive_head(news.session(), 0.0, 2000.0)
    assert [seat.state for seat in view(fold).seats] == [SeatState.RECEIVING]


def test_older_words_say_nothing() -> None:
    fold = SessionFold(news.TSI)
    fold.receive_head(news.session(5, image="new"), 0.0, 2000.0)
    fold.receive_seats(news.seats(news.seat(outcome="verified"), sequence=5), 0.0)
    assert not fold.receive_head(news.session(4, image="old"), 1.0, 2001.0)
    assert not fold.receive_seats(news.seats(news.seat(), sequence=5), 1.0)
    assert (view(fold).image, view(fold).seats[0].state) == ("new", SeatState.VERIFIED)
    assert view(fold, 3.0).age_seconds == 3.0


def test_absent_seats_are_as_many_as_they_are() -> None:
    fold = SessionFold(news.TSI)
    fold.receive_head(news.session(), 0.0, 2000.0)
    nobody = [news.seat(number, "absent", receiver_id="0" * 32) for number in range(3)]
    fold.receive_seats(news.seats(*nobody), 0.0)
    assert [seat.state for seat in view(fold).seats] == [SeatState.OFF] * 3


def test_the_timeline_has_what_happened_since_the_sample_before() -> None:
    fold = SessionFold(news.TSI)
    fold.receive_seats(news.seats(news.seat(symbols_expected=100, symbols_lost=10)), 0.0)
    for second in range(4):
        fold.receive_head(
            news.session(
                second + 1,
                bytes_on_wire=second * 1_000_000,
                catch_up_bytes=second * 1000,
                datagrams_sent=second * 100,
                repair_datagrams=second * 25,
            ),
            float(second),
            2000.0 + second,
        )
    samples = view(fold).samples
    assert [sample.at for sample in samples] == [2001.0, 2002.0, 2003.0]
    assert {sample.rate_bits_per_second for sample in samples} == {8e6}
    assert {sample.catch_up_bits_per_second for sample in samples} == {8000.0}
    assert {sample.repair_ratio for sample in samples} == {0.25}
    assert {sample.worst_loss_ratio for sample in samples} == {0.1}
    assert view(fold).wire_bits_per_second == 8e6


def test_words_in_quick_succession_make_no_samples() -> None:
    fold = SessionFold(news.TSI)
    for step in range(21):
        fold.receive_head(news.session(step + 1, bytes_on_wire=step * 100_000), step / 10, 2000.0 + step / 10)
    assert len(view(fold).samples) == 2
    assert [sample.rate_bits_per_second for sample in view(fold).samples] == pytest.approx([8e6, 8e6])


def test_totals_that_begin_anew_are_no_negative_rate() -> None:
    fold = SessionFold(news.TSI)
    for second, sent in enumerate([0, 5_000_000, 0, 1_000_000]):
        if second == 2:
            fold.restarted()
        fold.receive_head(news.session(second % 2 + 1, bytes_on_wire=sent), float(second), 2000.0 + second)
    assert [sample.rate_bits_per_second for sample in view(fold).samples] == [40e6, 8e6]


def test_happenings_gather_in_order_and_once() -> None:
    fold = SessionFold(news.TSI)
    fold.receive_head(news.session(2, happenings=(happening(3.0), happening(4.0))), 0.0, 2000.0)
    fold.receive_head(news.session(3, happenings=(happening(2.0), happening(4.0), happening(5.0))), 1.0, 2001.0)
    assert [each.at for each in view(fold).happenings] == [2.0, 3.0, 4.0, 5.0]


def test_the_oldest_happenings_go() -> None:
    fold = SessionFold(news.TSI)
    for sequence in range(1, 40):
        told = tuple(happening(sequence * 60.0 + each) for each in range(60))
        fold.receive_head(news.session(sequence, happenings=told), float(sequence), 2000.0)
    kept = view(fold).happenings
    assert len(kept) == MAX_HAPPENINGS_KEPT
    assert kept[-1].at == 39 * 60.0 + 59


def test_a_session_that_is_told_of_no_more_has_ended() -> None:
    fold = SessionFold(news.TSI)
    fold.receive_head(news.session(), 0.0, 2000.0)
    fold.receive_seats(news.seats(news.seat()), 0.0)
    ended = view(fold, is_given_up=True)
    assert (ended.step, ended.end_reason) == (SessionStep.ENDED, NOT_TOLD_ANY_MORE)
    assert ended.seats[0].state is SeatState.ABORTED
    assert view(fold).step is SessionStep.RUNNING, "it is told of again"


@pytest.mark.parametrize(
    ("steps", "was_started"),
    [
        ((SessionStep.PLANNED,), False),
        ((SessionStep.PLANNED, SessionStep.ENDED), False),
        ((SessionStep.PLANNED, SessionStep.WAITING), True),
        ((SessionStep.RUNNING, SessionStep.ENDED), True),
    ],
)
def test_whether_it_was_more_than_a_plan(steps: tuple[SessionStep, ...], was_started: bool) -> None:
    fold = SessionFold(news.TSI)
    for sequence, step in enumerate(steps, 1):
        fold.receive_head(news.session(sequence, step=step, elapsed_seconds=0.0), float(sequence), 2000.0)
    assert fold.was_started is was_started


def test_eta_is_of_a_session_that_goes_on() -> None:
    fold = SessionFold(news.TSI)
    for second in range(10):
        fold.receive_head(news.session(second + 1), float(second), 2000.0)
        said = news.seat(blocks_missing=100 - second, bytes_written=second * 262144)
        fold.receive_seats(news.seats(said, sequence=second + 1), float(second))
    assert view(fold).eta_seconds == pytest.approx(141.0)
    fold.receive_head(news.session(50, step=SessionStep.PAUSED), 10.0, 2000.0)
    assert view(fold).eta_seconds is None
    assert view(fold).seats[0].eta_seconds is None
