from dashboards.fleet.session_fold import SessionFold
from dashboards.fleet.views import SessionView
from dashboards.session_watch import MAX_REMEMBERED, SeatFailed, SessionEnded, SessionWatch
from protocol.operators import SessionStep
from tests.dashboards.fleet import news


def session(*outcomes: str, step: SessionStep = SessionStep.RUNNING, tsi: str = news.TSI) -> SessionView:
    fold = SessionFold(tsi)
    fold.receive_head(news.session(step=step), 0.0, 2000.0)
    fold.receive_seats(news.seats(*(news.seat(number, outcome) for number, outcome in enumerate(outcomes, 1))), 0.0)
    view = fold.view(0.0, is_given_up=False)
    assert view is not None
    return view


def told(watch: SessionWatch, *sessions: SessionView) -> list[str]:
    return [
        f"{event.seat.name} failed" if isinstance(event, SeatFailed) else f"{event.session.tsi} ended"
        for event in watch.look(sessions)
    ]


def test_each_thing_is_told_once() -> None:
    watch = SessionWatch()
    assert not told(watch, session("receiving", "receiving", "receiving"))
    assert told(watch, session("receiving", "failed", "damaged")) == ["02 failed", "03 failed"]
    assert not told(watch, session("receiving", "failed", "damaged"))
    ended = session("incomplete", "failed", "damaged", step=SessionStep.ENDED)
    assert told(watch, ended) == ["01 failed"]
    assert told(watch, ended) == [f"{news.TSI} ended"]
    assert not told(watch, ended)


def test_what_was_so_before_is_old_news() -> None:
    watch = SessionWatch()
    assert not told(watch, session("failed", "receiving"))
    ended = session("failed", step=SessionStep.ENDED)
    assert [event.session for event in SessionWatch().look([ended], is_last=True)] == [ended]


def test_the_last_words_on_the_seats_are_waited_for() -> None:
    watch = SessionWatch()
    watch.look([session("receiving")])
    assert not watch.look([session("receiving", step=SessionStep.ENDED)])
    whole = session("verified", step=SessionStep.ENDED)
    assert watch.look([whole]) == [SessionEnded(whole)]


def test_an_end_that_was_none() -> None:
    watch = SessionWatch()
    for step in (SessionStep.ENDED, SessionStep.RUNNING, SessionStep.ENDED):
        assert not told(watch, session("receiving", step=step))


def test_a_seat_that_is_lost_may_come_back() -> None:
    watch = SessionWatch()
    watch.look([session("receiving")])
    assert not told(watch, session("lost"))


def test_a_session_may_leave_the_picture_and_come_back() -> None:
    watch = SessionWatch()
    watch.look([session("receiving")])
    assert not told(watch)
    assert told(watch, session("failed")) == ["01 failed"]


def test_what_is_remembered_is_bounded() -> None:
    watch = SessionWatch()
    for number in range(MAX_REMEMBERED + 10):
        ended = session("verified", step=SessionStep.ENDED, tsi=f"{number:016x}")
        assert watch.look([ended], is_last=True) == [SessionEnded(ended)]
    assert not told(watch, session("verified", step=SessionStep.ENDED, tsi=f"{MAX_REMEMBERED:016x}"))
