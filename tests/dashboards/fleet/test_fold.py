import dataclasses
import random
from collections.abc import Iterable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards.fleet.fold import GIVEN_UP, KEPT_SESSIONS, SILENCE, Fleet
from dashboards.fleet.session_fold import NOT_TOLD_ANY_MORE
from dashboards.fleet.views import FleetView, SeatState
from dashboards.rooms.rooms import Rooms
from protocol.operators import HostNews, News, SessionStep
from tests.dashboards.fleet import news
from tests.dashboards.played_fleet import PlayedFleet

NO_ROOMS = Rooms()


def folded(*those: News, now: float = 0.0) -> Fleet:
    fleet = Fleet()
    for each in those:
        fleet.receive(each, now)
    return fleet


def view(fleet: Fleet, now: float = 0.0, rooms: Rooms = NO_ROOMS) -> FleetView:
    return fleet.view(rooms, news.NO_HEALTH, now, at=5.0)


# --- one generation --------------------------------------------------------------------------------------------------


def test_the_whole_picture() -> None:
    played = PlayedFleet(rooms=2, seats=14, hostile=True)
    tsi = played.plan("Room 1")
    fleet = folded(*played.run(3))
    picture = view(fleet, rooms=played.rooms)
    assert [room.name for room in picture.rooms] == [room.name for room in played.rooms.rooms]
    assert (picture.rooms[0].tsi, picture.rooms[0].step) == (tsi, SessionStep.PLANNED)
    assert len(picture.sessions) == 2
    assert {applicant.seat for applicant in picture.applicants} >= {"pc-new-1", "pc-new-2"}
    assert len(picture.images) == 4
    assert picture.is_library_known
    assert not view(Fleet()).is_library_known
    assert {seat.machine for seat in picture.tray} == set(played.guests)
    assert (picture.at, fleet.generation) == (5.0, played.generation)


def test_news_before_the_host_wait_for_it() -> None:
    fleet = folded(news.seats(news.seat()), news.session(), news.receivers(news.present(1)))
    assert view(fleet) == view(Fleet())
    fleet.receive(news.host(), 1.0)
    assert [session.tsi for session in view(fleet).sessions] == [news.TSI]
    assert [seat.machine for seat in view(fleet).tray] == ["pc-1"]


def test_nothing_new_is_told_apart() -> None:
    fleet = folded(news.host(2))
    assert not fleet.receive(news.host(2), 1.0)
    assert not fleet.receive(news.host(1), 1.0)
    assert fleet.receive(news.session(1), 1.0)
    assert not fleet.receive(news.session(1), 1.0)
    assert fleet.host_heard_at == 0.0


@cache
def a_cast() -> tuple[tuple[tuple[News, ...], ...], Rooms]:
    """Second by second, from the plan to just before its end."""
    played = PlayedFleet(rooms=1, seats=14, cast_seconds=10.0)
    tsi = played.plan("Room 1")
    seconds = []
    for second in range(32):
        if second == 6:
            played.start(tsi)
        seconds.append(tuple(played.step()))
    return tuple(seconds), played.rooms


def lossy(chance: random.Random) -> Iterable[tuple[float, News]]:
    """The cast with news lost, repeated and out of order; in the end one whole second and a few late ones."""
    seconds, _ = a_cast()
    stop = chance.randrange(1, 32)
    kept: list[tuple[float, News]] = []
    for second, told in enumerate(seconds[:stop]):
        kept += [(second + chance.uniform(0, 5), each) for each in told for _ in range(chance.choice([0, 1, 1, 2]))]
    yield from sorted(kept, key=lambda item: item[0])
    late = [chance.choice(chance.choice(seconds[:stop])) for _ in range(5)]
    last = [*seconds[stop], *late]
    chance.shuffle(last)
    yield from ((stop + 6.0, each) for each in last)


def told_only(picture: FleetView) -> FleetView:
    """Without what depends on the past: speeds, times, the timeline, and how far it had come at most."""

    def without(value: object, **fields: object) -> object:
        return dataclasses.replace(value, **fields)  # type: ignore[type-var]  # of each view in turn

    sessions = tuple(
        without(
            session,
            seats=tuple(
                without(seat, rate_bits_per_second=0.0, eta_seconds=None, progress=0.0, reason="", is_slow=False)
                for seat in session.seats
            ),
            samples=(),
            happenings=(),
            spread=None,
            eta_seconds=None,
            wire_bits_per_second=0.0,
            age_seconds=0.0,
        )
        for session in picture.sessions
    )
    return dataclasses.replace(picture, rooms=(), sessions=sessions)  # type: ignore[arg-type]  # as above


@pytest.mark.slow
@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_any_order_loss_and_repetition_converge(chance: random.Random) -> None:
    _, rooms = a_cast()
    disturbed, clean = Fleet(), Fleet()
    told = list(lossy(chance))
    for now, each in told:
        disturbed.receive(each, now)
    newest = max(each.sequence for _, each in told if isinstance(each, HostNews))
    for each in next(second for second in a_cast()[0] if second[0].sequence == newest):
        clean.receive(each, now)
    one, other = view(disturbed, now, rooms), view(clean, now, rooms)
    assert told_only(one) == told_only(other)
    assert [seat.state for seat in one.rooms[0].seats] == [seat.state for seat in other.rooms[0].seats]
    assert one.sessions[0].step is not SessionStep.ENDED


@pytest.mark.slow
@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_progress_never_falls_and_counts_add_up(chance: random.Random) -> None:
    _, rooms = a_cast()
    fleet = Fleet()
    before: dict[str, float] = {}
    for now, each in lossy(chance):
        fleet.receive(each, now)
        if chance.random() < 0.8:
            continue
        picture = view(fleet, now, rooms)
        for room in picture.rooms:
            assert sum(count for _, count in room.counts) == len(room.seats) == 14
        for session in picture.sessions:
            machines = [seat.machine for seat in session.seats]
            assert len(machines) == len(set(machines))
            spread = session.spread
            assert 0.0 <= spread.minimum <= spread.median <= spread.maximum <= 1.0
            for seat in session.seats:
                assert before.get(seat.machine, 0.0) <= seat.progress <= 1.0
                assert (seat.progress == 1.0) == (seat.state is SeatState.VERIFIED)
                before[seat.machine] = seat.progress
            ages = [sample.at for sample in session.samples]
            assert ages == sorted(set(ages))


# --- another generation ----------------------------------------------------------------------------------------------


def test_a_broadcaster_that_was_started_again_takes_over() -> None:
    fleet = folded(news.host(50), news.session(50), news.seats(news.seat(), sequence=50))
    fleet.receive(news.receivers(news.present(1)), 0.0)
    early = news.seats(news.seat(outcome="verified"), sequence=1, generation=news.LATER)
    assert not fleet.receive(early, 1.0)
    assert fleet.receive(news.host(1, news.LATER, started_at=1100.0), 2.0)
    picture = view(fleet)
    assert not picture.tray, "nobody has told who is there now"
    assert picture.sessions[0].seats[0].state is SeatState.VERIFIED, "told before its host"
    assert fleet.receive(news.session(1, news.LATER, image="other"), 2.0)
    assert view(fleet).sessions[0].image == "other"
    assert not fleet.receive(news.session(99), 3.0), "of the one that is gone"
    assert not fleet.receive(news.host(99), 99.0), "and it does not come back"
    assert fleet.generation == news.LATER


def test_an_earlier_broadcaster_is_not_believed_unless_the_present_one_is_silent() -> None:
    fleet = folded(news.host(1, news.LATER, started_at=1100.0))
    assert not fleet.receive(news.host(5, started_at=1000.0), SILENCE)
    assert fleet.receive(news.host(6, started_at=1000.0), SILENCE + 0.1), "its clock was set back"
    assert fleet.generation == news.GENERATION


def test_a_cast_goes_on_over_a_restart() -> None:
    played = PlayedFleet(seats=6, cast_seconds=20.0, orderly=True)
    tsi = played.plan("Room 1")
    played.start(tsi)
    fleet = Fleet()
    before = samples = 0.0
    for second in range(45):
        if second == 15:
            played.restart()
        for each in played.step():
            fleet.receive(each, played.now)
        session = fleet.session(tsi, played.now)
        assert session is not None
        assert session.spread.minimum >= before
        assert all(sample.rate_bits_per_second >= 0 for sample in session.samples)
        before, samples = session.spread.minimum, len(session.samples)
    assert before == 1.0
    assert samples > 20


# --- sessions come and go --------------------------------------------------------------------------------------------


def test_a_session_that_is_told_of_no_more_has_ended() -> None:
    fleet = folded(news.host(1), news.session(1))
    fleet.receive(news.host(2, sessions=()), GIVEN_UP)
    assert view(fleet, GIVEN_UP).sessions[0].step is SessionStep.RUNNING, "its last word may be under way"
    fleet.receive(news.host(3, sessions=()), GIVEN_UP + 0.1)
    ended = view(fleet, GIVEN_UP + 0.1).sessions[0]
    assert (ended.step, ended.end_reason) == (SessionStep.ENDED, NOT_TOLD_ANY_MORE)


def test_a_silent_broadcaster_ends_nothing() -> None:
    fleet = folded(news.host(1, sessions=()), news.session(1))
    assert view(fleet, 1000.0).sessions[0].step is SessionStep.RUNNING
    assert view(fleet, 1000.0).sessions[0].age_seconds == 1000.0


@pytest.mark.parametrize("count", [5, KEPT_SESSIONS + 15])
def test_the_last_sessions_stay(count: int) -> None:
    fleet = folded(news.host(1, sessions=()))
    for number in range(count):
        fleet.receive(
            news.session(1, tsi=f"{number:016x}", step=SessionStep.ENDED, opened_at=float(number)), float(number)
        )
    fleet.receive(news.session(1), float(count))
    tsis = [session.tsi for session in view(fleet, float(count)).sessions]
    assert tsis[0] == news.TSI, "open ones first"
    assert tsis[1:] == [f"{number:016x}" for number in range(count - 1, max(-1, count - 1 - KEPT_SESSIONS), -1)]


def test_was_started() -> None:
    fleet = folded(news.host(), news.session(step=SessionStep.PLANNED, elapsed_seconds=0.0))
    assert not fleet.was_started(news.TSI)
    assert not fleet.was_started("f" * 16)
    fleet.receive(news.session(2), 1.0)
    assert fleet.was_started(news.TSI)
    assert fleet.session("f" * 16, 0.0) is None
