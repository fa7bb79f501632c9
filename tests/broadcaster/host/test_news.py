from typing import Any

import msgspec
import pytest

from broadcaster.host.attendance import Attendant
from broadcaster.host.hosting import Hosting
from broadcaster.host.news import images_news, pages_of, receivers_news, seats_of, session_news, startable, step_of
from broadcaster.host.places import Places
from broadcaster.roster import LEASE
from protocol.commands import PlannedSeat
from protocol.messages import ReceiverState, SessionPhase
from protocol.operators import (
    PAGE_LENGTH,
    ImageNews,
    News,
    SeatsNews,
    SessionNews,
    SessionStep,
    news_topic,
    open_news,
    signed_news,
)
from tests.broadcaster.host.played_session import FACTS, GENERATION, seat_news
from tests.broadcaster.host.test_hosting import HOSTING
from tests.broadcaster.sender_session import Bench
from tests.sample_messages import DIRECTOR, receiver_id


def hosting(*numbers: int) -> Hosting:
    seats = tuple(PlannedSeat(machine=f"machine-{number}", seat=f"PC {number}") for number in numbers)
    comers = {receiver_id(number): f"machine-{number}" for number in numbers}
    return msgspec.structs.replace(HOSTING, seats=seats, comers=comers, released=())


def fits(news: News) -> News:
    """As the console decodes it."""
    return open_news(news_topic(news), signed_news(news, DIRECTOR), DIRECTOR.public)


def whole_and_seats(bench: Bench, places: Places, now: float) -> tuple[SessionNews, list[Any]]:
    seats = seats_of(bench.session, places, now)
    *pages, whole = session_news(
        bench.session,
        FACTS,
        seats,
        (),
        generation=GENERATION,
        sequence=7,
        now=now,
    )
    assert isinstance(whole, SessionNews)
    assert fits(whole) == whole
    assert all(isinstance(page, SeatsNews) and fits(page) == page for page in pages)
    return whole, seats


def test_a_planned_session_with_who_has_come_and_who_has_not() -> None:
    bench = Bench(is_held=True)
    places = Places(hosting(1, 2, 3))
    bench.report(1, 1.0, state=ReceiverState.PLANNED, target="/dev/sda")
    bench.report(2, 1.0, state=ReceiverState.REFUSED, reason="mounted")
    whole, seats = whole_and_seats(bench, places, 2.0)
    assert whole.step is SessionStep.PLANNED
    assert [(seat.seat, seat.outcome, seat.target) for seat in seats] == [
        ("PC 1", "planned", "/dev/sda"),
        ("PC 2", "refused", "/dev/sda"),
        ("PC 3", "absent", ""),
    ]
    assert [seat.reason for seat in seats] == ["", "mounted", "has not come; is it switched on, and on this network?"]
    assert [seat.receiver_id for seat in seats] == [receiver_id(number) for number in (1, 2, 3)]
    assert startable(seats) == 1
    assert (whole.elapsed_seconds, whole.position, whole.pages) == (0.0, 0, 1)


def test_a_running_session_in_numbers() -> None:
    bench = Bench(expect=1, disk_blocks=4)
    places = Places(hosting(1))
    bench.report(1, 1.0)
    bench.session.next_transmission(1.0)
    assert step_of(bench.session) is SessionStep.WAITING
    bench.receiving(1, 2.0, bytes_received=5, blocks_missing=3, symbols_lost=1, symbols_expected=10)
    whole, (seat,) = whole_and_seats(bench, places, 4.5)
    assert (seat.bytes_received, seat.blocks_missing, seat.symbols_lost, seat.symbols_expected) == (5, 3, 1, 10)
    assert (seat.silent_seconds, seat.settled_seconds) == (2.5, -1.0)
    assert (whole.elapsed_seconds, whole.bytes_on_wire, whole.catch_up_bytes) == (3.5, 5, 6)
    assert (whole.room, whole.ordered_by, whole.expected_seats, whole.block_count) == ("R1", "anna", 2, 4)
    assert whole.backs_up


def test_a_seat_that_fell_silent_is_lost_and_says_why() -> None:
    bench = Bench(expect=1)
    bench.report(1, 1.0)
    (seat,) = seats_of(bench.session, Places(hosting(1)), 1.1 + LEASE)
    assert (seat.outcome, seat.reason) == ("lost", "fell silent; switched off, crashed, or its network is down")
    assert startable([seat]) == 0


def test_when_it_is_over_who_is_not_done_was_aborted() -> None:
    bench = Bench(expect=2)
    bench.report(1, 1.0)
    bench.report(2, 1.0)
    bench.session.next_transmission(1.0)
    bench.report(1, 5.0, state=ReceiverState.VERIFIED)
    bench.session.abort("stopped", 6.0)
    whole, seats = whole_and_seats(bench, Places(hosting(1, 2)), 60.0)
    assert whole.step is SessionStep.ENDED
    assert (whole.end_reason, whole.elapsed_seconds) == ("stopped", 5.0)
    assert [(seat.outcome, seat.settled_seconds, seat.silent_seconds) for seat in seats] == [
        ("verified", 4.0, 1.0),
        ("aborted", -1.0, 5.0),
    ]


def test_a_pause_is_told() -> None:
    bench = Bench(expect=1)
    bench.session.pause(1.0)
    assert step_of(bench.session) is SessionStep.PAUSED
    bench.session.phase = SessionPhase.DISK
    bench.session.resume(2.0)
    assert step_of(bench.session) is SessionStep.RUNNING


def test_a_machine_that_was_restarted_is_one_seat() -> None:
    bench = Bench(expect=1)
    places = Places(hosting(1))
    bench.report(1, 1.0)
    bench.report(9, 2.0, seat="another name")
    places.came(receiver_id(9), "machine-1")
    (seat,) = seats_of(bench.session, places, 3.0)
    assert (seat.receiver_id, seat.seat) == (receiver_id(9), "PC 1")


def test_who_has_no_place_is_shown_as_it_calls_itself() -> None:
    bench = Bench(expect=1)
    bench.report(5, 1.0)
    (seat,) = seats_of(bench.session, Places(hosting()), 2.0)
    assert (seat.machine, seat.seat) == (receiver_id(5), "seat-5")


@pytest.mark.parametrize(("count", "lengths"), [(0, [0]), (1, [1]), (PAGE_LENGTH, [100]), (PAGE_LENGTH + 1, [100, 1])])
def test_pages(count: int, lengths: list[int]) -> None:
    assert [len(page) for page in pages_of(range(count))] == lengths


def test_a_thousand_seats_fit_their_messages() -> None:
    seats = [seat_news(number, reason="x" * 400, alarm="y" * 400, target="z" * 64) for number in range(1000)]
    told = session_news(Bench().session, FACTS, seats, (), generation=GENERATION, sequence=1, now=1.0)
    assert len(told) == 11
    assert [fits(news) for news in told] == told


def test_receivers_with_the_session_that_they_take_part_in() -> None:
    there = [Attendant(receiver_id(number), f"machine-{number}", "PC", 0.0, 0.0, "192.0.2.1:9") for number in (1, 2)]
    (page,) = receivers_news(there, {receiver_id(2): "0" * 16}, generation=GENERATION, sequence=3)
    assert [(each.machine, each.session) for each in page.receivers] == [("machine-1", ""), ("machine-2", "0" * 16)]
    assert fits(page) == page


def test_images_by_name_the_newest_first() -> None:
    def image(name: str, version: int) -> ImageNews:
        return ImageNews(
            name=name, version=version, created="", disk_size=1, stored_bytes=1, is_signed=True, sessions=()
        )

    images = [image("b", 1), image("a", 9), image("a", 10)]
    (page,) = images_news(images, generation=GENERATION, sequence=3)
    assert [(each.name, each.version) for each in page.images] == [("a", 10), ("a", 9), ("b", 1)]
    assert fits(page) == page
