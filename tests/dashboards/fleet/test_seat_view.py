import pytest

from dashboards.fleet.progress import Track
from dashboards.fleet.seat_view import NOBODY, NOTHING_PLANNED, Course, seat_state, seat_view
from dashboards.fleet.views import SeatState, SeatView
from protocol.manifest import CHUNK_SIZE
from protocol.messages import ReceiverState
from protocol.operators import SeatNews, SessionStep
from tests.dashboards.fleet import news

RUNNING = Course(SessionStep.RUNNING, 900_000_000, "", was_started=True)
PLANNED = Course(SessionStep.PLANNED, 0, "", was_started=False)
PAUSED = Course(SessionStep.PAUSED, 0, "", was_started=True)
ENDED = Course(SessionStep.ENDED, 0, "stopped by anna", was_started=True)


def view(*those: SeatNews, course: Course = RUNNING) -> SeatView:
    track = Track()
    for second, each in enumerate(those):
        track.receive(each, float(second))
    return seat_view(those[-1], course, track)


@pytest.mark.parametrize("outcome", [*ReceiverState, "lost", "stalled", "incomplete", "aborted"])
def test_every_outcome_of_a_broadcaster_has_its_state(outcome: str) -> None:
    assert seat_state(news.seat(outcome=str(outcome)), RUNNING) == SeatState(str(outcome))


@pytest.mark.parametrize(
    ("said", "course", "state"),
    [
        (news.seat(outcome="absent"), PLANNED, SeatState.OFF),
        (news.seat(outcome="planned", has_scanned=False, blocks_scanned=3), PLANNED, SeatState.SCANNING),
        (news.seat(outcome="planned", has_scanned=False, blocks_to_scan=0), PLANNED, SeatState.PLANNED),
        (news.seat(outcome="receiving", has_scanned=False, blocks_scanned=3), RUNNING, SeatState.SCANNING),
        (
            news.seat(outcome="receiving", has_scanned=False, blocks_scanned=3, bytes_received=9),
            RUNNING,
            SeatState.RECEIVING,
        ),
        (news.seat(outcome="receiving", is_on_catch_up=True), RUNNING, SeatState.CATCHING_UP),
        (news.seat(outcome="verifying", is_on_catch_up=True), RUNNING, SeatState.VERIFYING),
        (news.seat(outcome="receiving"), ENDED, SeatState.ABORTED),
        (news.seat(outcome="lost"), ENDED, SeatState.LOST),
        (news.seat(outcome="verified"), ENDED, SeatState.VERIFIED),
        (news.seat(outcome="a word of a later version"), RUNNING, SeatState.INCOMPLETE),
    ],
)
def test_state(said: SeatNews, course: Course, state: SeatState) -> None:
    assert seat_state(said, course) is state


def test_what_the_broadcaster_says_stands() -> None:
    slow = view(news.seat(reason="disk 21 MB/s", is_on_catch_up=True, buffer_fill_ratio=0.9, disk_busy_ratio=0.9))
    assert (slow.reason, slow.is_slow) == ("disk 21 MB/s", True)
    failed = view(news.seat(outcome="failed", reason="disk error at sector 123456"))
    assert (failed.reason, failed.is_slow) == ("disk error at sector 123456", False)


def flow(**last: int | float) -> list[SeatNews]:
    """A seat that receives and writes 10 MB/s without trouble, until its last word."""
    words = [
        news.seat(
            bytes_received=second * 10_000_000,
            bytes_written=second * 10_000_000,
            symbols_expected=second * 1000,
            symbols_lost=0,
        )
        for second in range(6)
    ]
    fields = {name: getattr(words[-1], name) for name in ("bytes_received", "bytes_written", "symbols_expected")}
    return [*words[:-1], news.seat(**(fields | last))]


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ({"symbols_lost": 600}, "network: 12% of what is sent does not reach it"),
        ({"link_bits_per_second": 100_000_000}, "network: its link takes 100 Mbit/s, and 900 Mbit/s are sent"),
        (
            {"buffer_fill_ratio": 0.9, "disk_busy_ratio": 0.95},
            "disk: busy 95% of the time, takes 10 MB/s",
        ),
        (
            {"buffer_fill_ratio": 0.9, "disk_busy_ratio": 0.1},
            "CPU: it gets through 10 MB/s only, and its disk has time",
        ),
    ],
    ids=["loss", "link", "disk", "processor"],
)
def test_what_holds_a_seat_back(last: dict[str, int | float], reason: str) -> None:
    seat = view(*flow(**last))
    assert (seat.reason, seat.is_slow) == (reason, True)


def test_a_seat_without_trouble_needs_no_words() -> None:
    seat = view(*flow())
    assert (seat.reason, seat.is_slow) == ("", False)
    assert seat.rate_bits_per_second == pytest.approx(80e6)


@pytest.mark.parametrize(
    ("said", "course", "reason"),
    [
        (news.seat(outcome="planned"), PLANNED, "waiting: for the start"),
        (news.seat(outcome="ready"), RUNNING, "waiting: for the others, or for the description of the image"),
        (news.seat(), PAUSED, "waiting: the session is paused"),
        (news.seat(outcome="lost", silent_seconds=34.0), RUNNING, "not heard for 34 s"),
        (
            news.seat(outcome="planned", has_scanned=False, blocks_scanned=25),
            PLANNED,
            "has looked through 25% of its disk",
        ),
        (news.seat(), ENDED, "the session ended before it was done: stopped by anna"),
        (news.seat(outcome="planned"), Course(SessionStep.ENDED, 0, "", was_started=False), NOTHING_PLANNED),
    ],
)
def test_what_it_waits_for(said: SeatNews, course: Course, reason: str) -> None:
    seat = view(said, course=course)
    assert (seat.reason, seat.is_slow) == (reason, False)


def test_nothing_reaches_it() -> None:
    assert view(*[news.seat()] * 8).reason == "waiting: nothing has reached it for 5 s"


def test_what_it_misses_is_known_after_its_scan() -> None:
    assert view(news.seat(has_scanned=False, blocks_missing=100)).missing_bytes is None
    assert view(news.seat(blocks_missing=7)).missing_bytes == 7 * CHUNK_SIZE
    assert view(news.seat(blocks_total=0, blocks_missing=0)).missing_bytes is None


def test_figures() -> None:
    seat = view(news.seat(symbols_expected=200, symbols_lost=10, settled_seconds=12.0, outcome="verified"))
    assert (seat.loss_ratio, seat.settled_seconds, seat.progress, seat.eta_seconds) == (0.05, 12.0, 1.0, 0.0)
    assert view(news.seat(settled_seconds=-1.0)).settled_seconds is None
    assert view(news.seat(receiver_id=NOBODY, outcome="absent")).receiver_id == ""
