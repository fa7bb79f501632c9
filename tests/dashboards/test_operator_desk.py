"""The real desk: over a scripted broadcaster in memory, and once over a real broker."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from dashboards.config import BrokerAccess
from dashboards.desk import Desk, Progress
from dashboards.desk_rules import to_overwrite
from dashboards.fleet.fold import Fleet
from dashboards.fleet.health import health_of
from dashboards.fleet.paged import Paged
from dashboards.fleet.views import Health, SeatState, SessionView
from dashboards.history.records import past_session
from dashboards.history.store import History
from dashboards.link import ConsoleLink
from dashboards.operator_desk import LIBRARY_PATIENCE, NETBOOT_PATIENCE, PICTURE_AGE, OperatorDesk
from dashboards.plan_order import PlanOrder
from dashboards.record_keeper import RecordKeeper
from dashboards.rooms.book import RoomBook
from dashboards.user import User
from protocol.commands import (
    AdmitReceivers,
    AnyCommand,
    BootMachines,
    FetchReport,
    ImportImage,
    PlanSession,
    RetrySeats,
    ShrinkImage,
    StartSession,
    WakeMachines,
)
from protocol.errors import MessageError, RefusedError, TransportError
from protocol.operators import SessionStep
from protocol.signing import SigningKey
from tests.brokers import RunningBroker
from tests.dashboards.played_desk import ADMIN, OPERATOR, VIEWER
from tests.dashboards.played_fleet import PlayedFleet
from tests.dashboards.speaking_fleet import speaking_fleet

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]  # each opens a history, with its migrations


class Broadcaster:
    """Carries out orders on a played fleet; what it is asked is written down."""

    def __init__(self, fleet: Fleet, played: PlayedFleet) -> None:
        self.given: list[tuple[AnyCommand, str]] = []
        self.answers: dict[type, Any] = {}
        self.held = asyncio.Event()
        """set: orders are answered at once"""
        self.held.set()
        self._fleet = fleet
        self._played = played

    def health(self) -> Health:
        return health_of(self._fleet.host, 0.1, is_broker_connected=True, broker_text="", at=self._played.now)

    async def order(self, command: AnyCommand, operator: str, progress: Progress | None = None) -> dict[str, Any]:
        self.given.append((command, operator))
        async with asyncio.timeout(10):
            await self.held.wait()
        answer = self.answers.get(type(command), {})
        if isinstance(answer, Exception):
            raise answer
        if progress is not None:
            progress(0.5, "half")
        match command:
            case PlanSession() | RetrySeats():
                answer = {"tsi": self._plan(command, operator)}
            case StartSession():
                self._played.start(command.tsi)
        self.tell(0.0)
        return dict(answer)

    async def until(self, is_so: Callable[[], bool], patience: float) -> bool:
        return is_so()

    def tell(self, seconds: float = 1.0) -> None:
        for news in self._played.step(seconds):
            self._fleet.receive(news, self._played.now)

    def _plan(self, command: PlanSession | RetrySeats, operator: str) -> str:
        if isinstance(command, RetrySeats):
            earlier = self._played.sessions[command.tsi]
            machines = frozenset(command.machines)
            return self._played.plan(
                earlier.room, earlier.image, earlier.version, ordered_by=operator, machines=machines
            )
        machines = frozenset(seat.machine for seat in command.seats)
        return self._played.plan(command.room, command.image, 2, ordered_by=operator, machines=machines)


class Console:
    """A desk with everything under it."""

    def __init__(self, folder: Path) -> None:
        self.played = PlayedFleet(rooms=2, seats=14, cast_seconds=10.0)
        self.rooms = RoomBook(folder / "rooms")
        self.rooms.save(msgspec.structs.replace(self.played.rooms, revision=self.rooms.current().revision), "setup")
        self.history = History(folder / "history.sqlite")
        fleet = Fleet()
        self.broadcaster = Broadcaster(fleet, self.played)
        self.desk = OperatorDesk(
            fleet,
            self.broadcaster,
            self.rooms,
            self.history,
            clock=lambda: self.played.now,
            time_of_day=lambda: self.played.now,
        )
        self.broadcaster.tell()

    async def planned(self, room: str = "Room 1") -> str:
        tsi = await self.desk.plan(OPERATOR, PlanOrder(room=room, image="lab-ubuntu"))
        self.play(7)
        return tsi

    def play(self, seconds: int) -> None:
        for _ in range(seconds):
            self.broadcaster.tell()

    def count(self, tsi: str) -> int:
        session = self.desk.session(tsi)
        assert session is not None
        return len(to_overwrite(session))


@pytest_asyncio.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    console = Console(tmp_path)
    yield console
    await asyncio.to_thread(console.history.close)


# --- sessions --------------------------------------------------------------------------------------------------------


async def test_from_a_plan_to_a_verified_room(console: Console) -> None:
    desk: Desk = console.desk
    tsi = await console.planned()
    room = desk.fleet().rooms[0]
    assert (room.tsi, room.step) == (tsi, SessionStep.PLANNED)
    await desk.start(OPERATOR, tsi, "Room 1", console.count(tsi))
    console.play(60)
    session = desk.session(tsi)
    assert session is not None
    assert session.step is SessionStep.ENDED
    assert [seat.state for seat in session.seats].count(SeatState.VERIFIED) == 5
    assert [type(command).__name__ for command, _ in console.broadcaster.given] == ["PlanSession", "StartSession"]
    assert {operator for _, operator in console.broadcaster.given} == {"otto"}


async def test_what_was_typed_wrongly_is_never_ordered(console: Console) -> None:
    tsi = await console.planned()
    for room, count in [("Room 2", console.count(tsi)), ("Room 1", console.count(tsi) + 1)]:
        with pytest.raises(RefusedError, match="type"):
            await console.desk.start(OPERATOR, tsi, room, count)
    with pytest.raises(MessageError):
        await console.desk.plan(OPERATOR, PlanOrder(room="Room 2", image="lab-ubuntu", rate_bits_per_second=-1))
    assert len(console.broadcaster.given) == 1


async def test_a_plan_waits_for_a_library_that_has_not_been_told_of(console: Console) -> None:
    fleet = console.desk._fleet
    fleet._images = Paged(fleet._images._key)

    async def until(is_so: Callable[[], bool], patience: float) -> bool:
        if not is_so():
            assert patience == LIBRARY_PATIENCE
            console.broadcaster.tell()
        return is_so()

    console.broadcaster.until = until  # type: ignore[method-assign] # tells as the link does meanwhile
    assert await console.desk.plan(OPERATOR, PlanOrder(room="Room 1", image="lab-ubuntu"))


async def test_two_operators_plan_the_same_seats_at_once(console: Console) -> None:
    console.broadcaster.held.clear()
    first = asyncio.create_task(console.desk.plan(OPERATOR, PlanOrder(room="Room 1", image="lab-ubuntu")))
    await asyncio.sleep(0)
    with pytest.raises(RefusedError, match="seat 01 is just being planned by otto"):
        await console.desk.plan(ADMIN, PlanOrder(room="Room 1", image="lab-ubuntu"))
    console.broadcaster.held.set()
    await first
    with pytest.raises(RefusedError, match="takes part in the plan of otto in Room 1"):
        await console.desk.plan(ADMIN, PlanOrder(room="Room 1", image="lab-ubuntu"))
    assert len(console.broadcaster.given) == 1


async def test_two_operators_start_the_same_plan_at_once(console: Console) -> None:
    tsi = await console.planned()
    count = console.count(tsi)
    console.broadcaster.held.clear()
    first = asyncio.create_task(console.desk.start(OPERATOR, tsi, "Room 1", count))
    await asyncio.sleep(0)
    with pytest.raises(RefusedError, match="started already by otto"):
        await console.desk.start(ADMIN, tsi, "Room 1", count)
    console.broadcaster.held.set()
    await first
    with pytest.raises(RefusedError, match="started already by otto"):
        await console.desk.start(ADMIN, tsi, "Room 1", count)


async def test_a_plan_or_start_that_failed_can_be_tried_again(console: Console) -> None:
    console.broadcaster.answers[PlanSession] = TransportError("nobody answers")
    with pytest.raises(TransportError):
        await console.desk.plan(OPERATOR, PlanOrder(room="Room 1", image="lab-ubuntu"))
    del console.broadcaster.answers[PlanSession]
    tsi = await console.planned()
    console.broadcaster.answers[StartSession] = RefusedError("seat 02 is gone: look again")
    with pytest.raises(RefusedError, match="seat 02 is gone"):
        await console.desk.start(OPERATOR, tsi, "Room 1", console.count(tsi))
    del console.broadcaster.answers[StartSession]
    await console.desk.start(ADMIN, tsi, "Room 1", console.count(tsi))


async def test_seats_that_did_not_finish_are_tried_again(console: Console) -> None:
    tsi = await console.planned()
    await console.desk.start(OPERATOR, tsi, "Room 1", console.count(tsi))
    console.play(60)
    session = console.desk.session(tsi)
    assert session is not None
    failed = tuple(seat.machine for seat in session.seats if seat.state is SeatState.FAILED)
    again = await console.desk.retry(OPERATOR, tsi, failed)
    found = console.desk.session(again)
    assert found is not None
    assert [seat.machine for seat in found.seats] == list(failed)


async def test_orders_to_a_session(console: Console) -> None:
    desk = console.desk
    tsi = await console.planned()
    seat = to_overwrite(desk.fleet().sessions[0])[0]
    with pytest.raises(RefusedError, match="only one that runs can be paused"):
        await desk.pause(OPERATOR, tsi)
    await desk.start(OPERATOR, tsi, "Room 1", console.count(tsi))
    console.play(8)
    await desk.pause(OPERATOR, tsi)
    console.played.pause(tsi)
    console.play(1)
    await desk.resume(OPERATOR, tsi)
    await desk.move_to_catch_up(OPERATOR, tsi, seat.receiver_id)
    await desk.dismiss(OPERATOR, tsi, seat.receiver_id)
    await desk.stop(OPERATOR, tsi)
    names = [type(command).__name__ for command, _ in console.broadcaster.given[2:]]
    assert names == ["PauseSession", "ContinueSession", "MoveToCatchUp", "DismissSeat", "StopSession"]


# --- roles -----------------------------------------------------------------------------------------------------------

TSI = "0" * 16
RECEIVER = "0" * 32


def calls(desk: OperatorDesk, user: User) -> dict[str, Callable[[], Any]]:
    def ignore(share: float, text: str) -> None: ...

    return {
        "plan": lambda: desk.plan(user, PlanOrder(room="Room 1", image="lab-ubuntu")),
        "put back": lambda: desk.backups.restore(user, "Room 1", "01"),
        "start": lambda: desk.start(user, TSI, "Room 1", 1),
        "stop": lambda: desk.stop(user, TSI),
        "pause": lambda: desk.pause(user, TSI),
        "resume": lambda: desk.resume(user, TSI),
        "move": lambda: desk.move_to_catch_up(user, TSI, RECEIVER),
        "dismiss": lambda: desk.dismiss(user, TSI, RECEIVER),
        "retry": lambda: desk.retry(user, TSI, ("m",)),
        "admit": lambda: desk.admit(user, (RECEIVER,)),
        "refuse": lambda: desk.refuse(user, (RECEIVER,)),
        "wake": lambda: desk.wake(user, "Room 1"),
        "boot": lambda: desk.boot(user, "Room 1", 60),
        "verify": lambda: desk.verify_image(user, "lab-ubuntu", 1, ignore),
        "save": lambda: desk.save_rooms(user, desk.rooms()),
        "place": lambda: desk.place(user, "Room 1", "01", "m"),
        "restore": lambda: desk.restore_rooms(user, 1),
        "import": lambda: desk.import_image(user, "/srv/x.img", "x", ignore),
        "shrink": lambda: desk.shrink_image(user, "lab-ubuntu", 1, 0, ignore),
        "remove": lambda: desk.remove_image(user, "lab-ubuntu", 1),
        "audit": lambda: desk.audit(user, 10),
    }


ADMINS_ONLY = {"import", "remove", "shrink", "audit"}


async def outcome(call: Callable[[], Any]) -> str:
    try:
        made = call()
        if asyncio.iscoroutine(made):
            await made
    except RefusedError as error:
        return str(error)
    return ""


async def test_what_each_role_may(console: Console) -> None:
    for name, call in calls(console.desk, VIEWER).items():
        assert "vera may not" in await outcome(call), name
    assert not console.broadcaster.given
    for name, call in calls(console.desk, OPERATOR).items():
        assert ("otto may not" in await outcome(call)) is (name in ADMINS_ONLY), name
    for name, call in calls(console.desk, ADMIN).items():
        assert "may not" not in await outcome(call), name


async def test_viewers_look(console: Console) -> None:
    desk = console.desk
    assert desk.fleet().rooms
    assert desk.rooms().rooms
    assert desk.room_revisions(VIEWER)
    assert desk.history(VIEWER) == []
    assert await desk.past_session(VIEWER, TSI) is None
    assert await desk.machine_history(VIEWER, "m") == []
    console.broadcaster.answers[FetchReport] = {"session": TSI}
    assert await desk.report(VIEWER, TSI) == {"session": TSI}
    assert await desk.compare_versions(VIEWER, "lab-ubuntu", 1, 2) == {}


# --- the rest --------------------------------------------------------------------------------------------------------


async def test_rooms_are_saved_and_seen_at_once(console: Console) -> None:
    desk = console.desk
    guest = desk.fleet().tray[0].machine
    desk.place(OPERATOR, "Room 1", "04", guest)
    assert desk.fleet().rooms[0].seats[3].machine == guest
    assert not desk.fleet().tray
    stale = console.played.rooms
    with pytest.raises(RefusedError, match="saved meanwhile"):
        desk.save_rooms(OPERATOR, stale)
    first = desk.room_revisions(VIEWER)[-1].revision
    desk.restore_rooms(OPERATOR, first)
    assert desk.fleet().rooms[0].seats[3].machine == ""


async def test_receivers_and_images(console: Console) -> None:
    desk = console.desk
    applicant = desk.fleet().applicants[0].receiver_id
    await desk.admit(OPERATOR, (applicant,))
    await desk.refuse(OPERATOR, (applicant,))
    assert await desk.wake(OPERATOR, "Room 1") == 14
    console.broadcaster.answers[ImportImage] = {"name": "new", "version": 3}
    shares: list[float] = []
    assert await desk.import_image(ADMIN, "/srv/x.img", "new", lambda share, text: shares.append(share)) == ("new", 3)
    assert shares == [0.5]
    console.broadcaster.answers[ShrinkImage] = {"name": "lab-ubuntu", "version": 3, "disk_size": 1 << 20}
    assert await desk.shrink_image(ADMIN, "lab-ubuntu", 2, 1 << 20, lambda *_: None) == ("lab-ubuntu", 3, 1 << 20)
    assert console.broadcaster.given[-1][0] == ShrinkImage(name="lab-ubuntu", version=2, disk_size=1 << 20)
    assert isinstance(console.broadcaster.given[0][0], AdmitReceivers)
    assert isinstance(console.broadcaster.given[2][0], WakeMachines)
    with pytest.raises(MessageError, match="ask for 1 to 5000 entries"):
        await desk.audit(ADMIN, 0)
    with pytest.raises(MessageError, match="16 hex digits"):
        await desk.report(VIEWER, "../../x")


async def test_a_room_is_booted_once_somebody_hands_out_the_environment(console: Console) -> None:
    console.played.can_boot = False
    console.broadcaster.tell()
    with pytest.raises(RefusedError, match="nothing hands out the environment"):
        await console.desk.boot(OPERATOR, "Room 1", 60)
    assert await console.desk.boot(OPERATOR, "Room 1", 0) == 14

    async def until(is_so: Callable[[], bool], patience: float) -> bool:
        assert (is_so(), patience) == (False, NETBOOT_PATIENCE)
        console.played.can_boot = True
        console.broadcaster.tell()
        return is_so()

    console.broadcaster.until = until  # type: ignore[method-assign]  # tells as the link does meanwhile
    assert await console.desk.boot(OPERATOR, "Room 1", 60) == 14
    assert [command.seconds for command, _ in console.broadcaster.given if isinstance(command, BootMachines)] == [0, 60]


async def test_reports_come_from_the_history_first(console: Console) -> None:
    tsi = await console.planned()
    session = console.desk.session(tsi)
    assert session is not None
    console.history.record(past_session(session, console.played.now), {"session": tsi, "seconds": 1.0})
    assert (await console.desk.report(VIEWER, tsi))["seconds"] == 1.0
    assert len(console.broadcaster.given) == 1
    assert [one.tsi for one in console.desk.history(VIEWER)] == [tsi]
    past = await console.desk.past_session(VIEWER, tsi)
    assert past is not None
    assert [run.tsi for run in await console.desk.machine_history(VIEWER, past.seats[0].machine)] == [tsi]


async def test_one_picture_does_for_all_who_look_at_once(console: Console) -> None:
    first = console.desk.fleet()
    assert console.desk.fleet() is first
    console.played.now += PICTURE_AGE
    assert console.desk.fleet() is not first


async def test_broken_rooms_and_history_are_told(console: Console, tmp_path: Path) -> None:
    assert not console.desk.fleet().health.problems
    (tmp_path / "rooms" / "rooms.toml").write_text("[[")
    console.played.now += 1
    assert any("rooms.toml" in problem for problem in console.desk.fleet().health.problems)


@pytest.mark.system
@pytest.mark.slow
async def test_over_a_real_broker(broker: RunningBroker, tmp_path: Path) -> None:
    director, key = SigningKey(b"d" * 32), SigningKey(b"c" * 32)
    played = PlayedFleet(seats=14, cast_seconds=10.0)
    rooms = RoomBook(tmp_path)
    rooms.save(played.rooms, "setup")
    history = History(tmp_path / "history.sqlite")
    fleet = Fleet()
    recorded = asyncio.Event()
    failed: list[str] = []
    async with (
        ConsoleLink(fleet, BrokerAccess(broker.address), director_key=director.public, console=key) as link,
        speaking_fleet(broker.address, played, director, key.public) as speaker,
        asyncio.timeout(60),
    ):
        desk = OperatorDesk(fleet, link, rooms, history)

        def record(view: SessionView, report: dict[str, Any] | None) -> None:
            history.record(past_session(view, time.time()), report)
            if report is not None:
                recorded.set()

        speaker.replies[FetchReport] = lambda command, operator: {"session": command.tsi}
        while not await link.until(lambda: bool(desk.fleet().rooms and desk.fleet().images), 0.3):
            speaker.tell()
        tsi = await desk.plan(OPERATOR, PlanOrder(room="Room 1", image="lab-ubuntu", version=2))
        for _ in range(7):
            speaker.tell()
        assert await link.until(lambda: tally(desk, tsi) == 11, 5)
        await desk.start(OPERATOR, tsi, "Room 1", 11)
        keeper = RecordKeeper(
            desk.started_sessions,
            desk.fetch_report,
            on_ended=[record],
            on_failed=[lambda view, seat: failed.append(f"{seat.name}: {seat.reason}")],
        )
        async with keeper:
            while not await link.until(lambda: step(desk, tsi) is SessionStep.ENDED, 0.05):
                speaker.tell()
            await recorded.wait()
        session = desk.session(tsi)
        assert session is not None
        assert session.step is SessionStep.ENDED
        assert (await desk.report(VIEWER, tsi)) == {"session": tsi}
        assert [one.verified_count for one in desk.history(VIEWER)] == [5]
    await asyncio.to_thread(history.close)


def step(desk: OperatorDesk, tsi: str) -> SessionStep | None:
    session = desk.session(tsi)
    return None if session is None else session.step


def tally(desk: OperatorDesk, tsi: str) -> int:
    session = desk.session(tsi)
    return 0 if session is None else len(to_overwrite(session))
