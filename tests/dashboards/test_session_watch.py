from dashboards.fleet.views import SessionView
from dashboards.session_watch import MAX_REMEMBERED, SeatFailed, SessionEnded, SessionWatch
from protocol.operators import SessionStep
from tests.dashboards.fleet import news


def told(watch: SessionWatch, *sessions: SessionView) -> list[str]:
    return [
        f"{event.seat.name} failed" if isinstance(event, SeatFailed) else f"{event.session.tsi} ended"
        for event in watch.look(sessions)
    ]


def test_each_thing_is_told_once() -> None:
    watch = SessionWatch()
    assert not told(watch, news.session_view("receiving", "receiving", "receiving"))
    assert told(watch, news.session_view("receiving", "failed", "damaged")) == ["02 failed", "03 failed"]
    assert not told(watch, news.session_view("receiving", "failed", "damaged"))
    ended = news.session_view("incomplete", "failed", "damaged", step=SessionStep.ENDED)
    assert told(watch, ended) == ["01 failed"]
    assert told(watch, ended) == [f"{news.TSI} ended"]
    assert not told(watch, ended)


def test_what_was_so_before_is_old_news() -> None:
    watch = SessionWatch()
    assert not told(watch, news.session_view("failed", "receiving"))
    ended = news.session_view("failed", step=SessionStep.ENDED)
    assert [event.session for event in SessionWatch().look([ended], is_last=True)] == [ended]


def test_the_last_words_on_the_seats_are_waited_for() -> None:
    watch = SessionWatch()
    watch.look([news.session_view("receiving")])
    assert not watch.look([news.session_view("receiving", step=SessionStep.ENDED)])
    whole = news.session_view("verified", step=SessionStep.ENDED)
    assert watch.look([whole]) == [SessionEnded(whole)]


def test_an_end_that_was_none() -> None:
    watch = SessionWatch()
    for step in (SessionStep.ENDED, SessionStep.RUNNING, SessionStep.ENDED):
        assert not told(watch, news.session_view("receiving", step=step))


def test_a_seat_that_is_lost_may_come_back() -> None:
    watch = SessionWatch()
    watch.look([news.session_view("receiving")])
    assert not told(watch, news.session_view("lost"))


def test_a_session_may_leave_the_picture_and_come_back() -> None:
    watch = SessionWatch()
    watch.look([news.session_view("receiving")])
    assert not told(watch)
    assert told(watch, news.session_view("failed")) == ["01 failed"]


def test_what_is_remembered_is_bounded() -> None:
    watch = SessionWatch()
    for number in range(MAX_REMEMBERED + 10):
        ended = news.session_view("verified", step=SessionStep.ENDED, tsi=f"{number:016x}")
        assert watch.look([ended], is_last=True) == [SessionEnded(ended)]
    assert not told(watch, news.session_view("verified", step=SessionStep.ENDED, tsi=f"{MAX_REMEMBERED:016x}"))
