"""The desk of a running console: roles and what was typed are judged here, then it is ordered of the broadcaster.

The picture comes from the fleet, rooms from their book, what has ended from the history. Two operators who want the
same seats at the same moment are kept apart here, since the picture is a second old: the second is told who was first.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from dashboards import desk_rules as rules
from dashboards.aftercare_cache import AftercareCache
from dashboards.backup_desk import BackupDesk
from dashboards.capture_desk import CaptureDesk
from dashboards.desk import Progress
from dashboards.fleet.fold import Fleet
from dashboards.fleet.views import FleetView, Health, SessionView
from dashboards.history.records import PastSession, SeatRun
from dashboards.history.store import History
from dashboards.plan_order import PlanOrder
from dashboards.rooms.book import RoomBook
from dashboards.rooms.rooms import Rooms
from dashboards.rooms.rooms_file import Origin
from dashboards.user import Role, User
from protocol.commands import (
    MAX_AUDIT_ENTRIES,
    AdmitReceivers,
    AnyCommand,
    BootMachines,
    CompareVersions,
    ContinueSession,
    DismissSeat,
    FetchAftercare,
    FetchAudit,
    FetchReport,
    ImportImage,
    MoveToCatchUp,
    PauseSession,
    PlanSession,
    RefuseReceivers,
    RemoveImage,
    RetrySeats,
    ShrinkImage,
    StartSession,
    StopSession,
    VerifyImage,
    WakeMachines,
)
from protocol.errors import MessageError, RefusedError
from protocol.operators import SessionStep

PICTURE_AGE: Final = 0.2
"""[s] for which one picture does for everybody who looks: pages are told of a change within 1 s, and do not notice."""

SHOWN_PATIENCE: Final = 2.0
"""[s] The broadcaster tells of a new session within 1 s; whoever planned it need not see a page that knows it not."""

LIBRARY_PATIENCE: Final = 3.0
"""[s] The broadcaster tells of its library each 2 s; whoever plans right after the console's start waits for it."""


NETBOOT_PATIENCE: Final = 3.0
"""[s] The broadcaster looks each second for a netboot part; whoever boots a room right after the start waits for it."""


class Orders(Protocol):
    """Who carries orders to the broadcaster and knows how it is: ``dashboards.link.ConsoleLink``."""

    def health(self) -> Health:
        """Of broker and broadcaster as they are now."""

    async def order(self, command: AnyCommand, operator: str, progress: Progress | None = None) -> dict[str, Any]:
        """Give an order and return what is answered; raises RefusedError, MessageError, TransportError."""

    async def until(self, is_so: Callable[[], bool], patience: float) -> bool:
        """Wait until the picture is such, at most ``patience`` seconds; whether it is."""


class OperatorDesk:
    """What ``dashboards.desk.Desk`` says, for real; ``clock`` in monotonic seconds, as the fleet's.

    ``problems`` tells what else an operator should mend.
    """

    def __init__(
        self,
        fleet: Fleet,
        link: Orders,
        rooms: RoomBook,
        history: History,
        *,
        problems: Callable[[], Iterable[str]] = tuple,
        clock: Callable[[], float] = time.monotonic,
        time_of_day: Callable[[], float] = time.time,
    ) -> None:
        self._fleet = fleet
        self._link = link
        self._rooms = rooms
        self._history = history
        self._problems = problems
        self._clock = clock
        self._time_of_day = time_of_day
        self._picture: FleetView | None = None
        self._made_at = 0.0
        self._planning: dict[str, str] = {}
        self._started_by: dict[str, str] = {}
        self.captures: Final = CaptureDesk(link, self._now)
        self.backups: Final = BackupDesk(rooms.current, self._now, self.plan)
        self._aftercare = AftercareCache(lambda tsi, operator: link.order(FetchAftercare(tsi=tsi), operator), clock)

    # --- looking -----------------------------------------------------------------------------------------------------

    def fleet(self) -> FleetView:
        """The picture as it is now; cheap, made at most a few times a second."""
        if self._picture is None or not 0 <= self._clock() - self._made_at < PICTURE_AGE:
            return self._now()
        return self._picture

    def session(self, tsi: str) -> SessionView | None:
        """One session of the picture."""
        return self._fleet.session(tsi, self._clock())

    def started_sessions(self) -> list[SessionView]:
        """The sessions of the picture that have been more than plans."""
        return [session for session in self.fleet().sessions if self._fleet.was_started(session.tsi)]

    def rooms(self) -> Rooms:
        """All rooms as they are saved."""
        return self._rooms.current()

    async def report(self, user: User, tsi: str) -> dict[str, Any]:
        """The signed report of a session that has ended, from the history where it is there."""
        rules.require(user, Role.VIEWER, "read reports")
        rules.judge_tsi(tsi)
        report = await self._history.report(tsi)
        return report if report is not None else await self.fetch_report(tsi, user.name)

    async def fetch_report(self, tsi: str, operator: str = "console") -> dict[str, Any]:
        """The same from the broadcaster."""
        return await self._link.order(FetchReport(tsi=tsi), operator)

    async def aftercare(self, user: User, tsi: str) -> dict[str, Any]:
        """What was done to the disks of a session once they were verified; a few seconds old at most."""
        rules.require(user, Role.VIEWER, "read what was done to disks")
        rules.judge_tsi(tsi)
        return await self._aftercare.get(tsi, user.name)

    async def audit(self, user: User, count: int) -> dict[str, Any]:
        """{"entries", "is_intact", "verdict"}. Admin."""
        rules.require(user, Role.ADMIN, "read the audit log")
        if not 1 <= count <= MAX_AUDIT_ENTRIES:
            raise MessageError(f"ask for 1 to {MAX_AUDIT_ENTRIES} entries")
        return await self._link.order(FetchAudit(count=count), user.name)

    def history(
        self, user: User, *, room: str = "", limit: int = 100, before: float | None = None
    ) -> list[PastSession]:
        """Sessions that have ended, the newest first."""
        rules.require(user, Role.VIEWER, "read the history")
        return self._history.sessions_now(room, limit, before)

    async def past_session(self, user: User, tsi: str) -> PastSession | None:
        """One session of the history with its seats, happenings and samples."""
        rules.require(user, Role.VIEWER, "read the history")
        return await self._history.session(tsi)

    async def machine_history(self, user: User, machine: str) -> list[SeatRun]:
        """The sessions of one PC, the newest first."""
        rules.require(user, Role.VIEWER, "read the history")
        return await self._history.seat_history(machine)

    async def compare_versions(self, user: User, name: str, old_version: int, new_version: int) -> dict[str, Any]:
        """{"changed_bytes", "stored_bytes", "ranges"}."""
        rules.require(user, Role.VIEWER, "compare images")
        for version in (old_version, new_version):
            rules.judge_version(self._now(), name, version)
        command = CompareVersions(name=name, old_version=old_version, new_version=new_version)
        return await self._link.order(command, user.name)

    # --- rooms -------------------------------------------------------------------------------------------------------

    def save_rooms(self, user: User, rooms: Rooms) -> Rooms:
        """Replace all rooms; ``rooms.revision`` names the revision that was edited. Returns what is saved now."""
        rules.require(user, Role.OPERATOR, "change rooms")
        self._forget_picture()
        return self._rooms.save(rooms, user.name)

    def place(self, user: User, room: str, seat: str, machine: str) -> Rooms:
        """Put a machine on a seat, and take it off where it was; an empty machine clears the seat."""
        rules.require(user, Role.OPERATOR, "place machines")
        self._forget_picture()
        return self._rooms.place(room, seat, machine, user.name)

    def room_revisions(self, user: User) -> tuple[Origin, ...]:
        """Who saved the rooms when, the newest first."""
        rules.require(user, Role.VIEWER, "look at rooms")
        return self._rooms.revisions()

    def restore_rooms(self, user: User, revision: int) -> Rooms:
        """Make the rooms of an earlier revision those in force, as a new one."""
        rules.require(user, Role.OPERATOR, "change rooms")
        self._forget_picture()
        return self._rooms.restore(revision, user.name)

    async def wake(self, user: User, room: str) -> int:
        """Wake the machines of a room; returns how many have an address to wake."""
        rules.require(user, Role.OPERATOR, "wake machines")
        addresses = rules.addresses_to_wake(self._rooms.current(), room)
        await self._link.order(WakeMachines(addresses=addresses), user.name)
        return len(addresses)

    async def boot(self, user: User, room: str, seconds: int, mode: str = "receive") -> int:
        """Let the machines of a room boot the environment when they start next; 0 takes that back. How many."""
        rules.require(user, Role.OPERATOR, "let machines boot the environment")
        seats = rules.seats_to_boot(self._rooms.current(), room)
        await self._link.until(lambda: not seconds or self._now().can_boot, NETBOOT_PATIENCE)
        rules.judge_boot(self._now(), seconds)
        await self._link.order(BootMachines(seats=seats, seconds=seconds, mode=mode), user.name)
        return len(seats)

    # --- sessions ----------------------------------------------------------------------------------------------------

    async def plan(self, user: User, order: PlanOrder) -> str:
        """Open a plan for the machines of the room that are there; returns its tsi. Nothing is written."""
        rules.require(user, Role.OPERATOR, "plan sessions")
        await self._link.until(lambda: self._now().is_library_known, LIBRARY_PATIENCE)
        fleet = self._now()
        found = rules.known_room(fleet, order.room)
        rules.judge_image(fleet, order.image, order.version)
        rules.judge_rate(order.rate_bits_per_second)
        policy = rules.need_room(self._rooms.current(), order.room).policy
        configuration = policy.configuration if order.configuration is None else order.configuration
        rules.judge_configuration(fleet, configuration)
        planned = rules.seats_to_plan(fleet, found, self._planning, order.seats)
        with self._taken(user, (seat.machine for seat in planned)):
            command = PlanSession(
                room=found.name,
                image=order.image,
                version=order.version,
                seats=planned,
                rate_bits_per_second=order.rate_bits_per_second,
                configuration=configuration,
                backs_up=policy.backs_up if order.backs_up is None else order.backs_up,
            )
            return await self._planned(command, user)

    async def retry(self, user: User, tsi: str, machines: tuple[str, ...]) -> str:
        """Open a plan for seats of a session that did not finish; returns its tsi."""
        rules.require(user, Role.OPERATOR, "plan sessions")
        session = self.session(tsi)
        if session is None:
            raise RefusedError("that session is too long ago: plan the room instead")
        chosen = rules.seats_to_retry(session, machines)
        rules.judge_free(self._now(), chosen, self._planning)
        with self._taken(user, chosen):
            return await self._planned(RetrySeats(tsi=tsi, machines=tuple(chosen)), user)

    async def start(self, user: User, tsi: str, typed_room: str, typed_count: int) -> None:
        """Start a plan: its room's name and the number of seats to be overwritten have to be typed."""
        rules.require(user, Role.OPERATOR, "start sessions")
        session = rules.known_session(self._now(), tsi)
        rules.judge_start(session, typed_room, typed_count, self._started_by.get(tsi, ""))
        self._started_by[tsi] = user.name
        try:
            await self._link.order(StartSession(tsi=tsi, expected_seats=typed_count), user.name)
        except BaseException:
            del self._started_by[tsi]
            raise
        finally:
            self._forget_picture()
            self._started_by = {
                each.tsi: self._started_by[each.tsi]
                for each in self.fleet().sessions
                if each.tsi in self._started_by and each.step is not SessionStep.ENDED
            }

    async def stop(self, user: User, tsi: str) -> None:
        """End a session or drop a plan."""
        rules.require(user, Role.OPERATOR, "stop sessions")
        rules.known_session(self._now(), tsi)
        await self._link.order(StopSession(tsi=tsi), user.name)

    async def pause(self, user: User, tsi: str) -> None:
        """Send nothing until it is continued."""
        rules.require(user, Role.OPERATOR, "pause sessions")
        rules.judge_pause(rules.known_session(self._now(), tsi))
        await self._link.order(PauseSession(tsi=tsi), user.name)

    async def resume(self, user: User, tsi: str) -> None:
        """Go on with a paused session."""
        rules.require(user, Role.OPERATOR, "continue sessions")
        rules.judge_resume(rules.known_session(self._now(), tsi))
        await self._link.order(ContinueSession(tsi=tsi), user.name)

    async def move_to_catch_up(self, user: User, tsi: str, receiver_id: str) -> None:
        """Let one seat fetch what it misses by itself."""
        rules.require(user, Role.OPERATOR, "move seats to catch-up")
        rules.known_seat(rules.known_session(self._now(), tsi), receiver_id)
        await self._link.order(MoveToCatchUp(tsi=tsi, receiver_id=receiver_id), user.name)

    async def dismiss(self, user: User, tsi: str, receiver_id: str) -> None:
        """Stop one seat."""
        rules.require(user, Role.OPERATOR, "stop seats")
        rules.known_seat(rules.known_session(self._now(), tsi), receiver_id)
        await self._link.order(DismissSeat(tsi=tsi, receiver_id=receiver_id), user.name)

    # --- receivers and images ----------------------------------------------------------------------------------------

    async def admit(self, user: User, receiver_ids: tuple[str, ...]) -> None:
        """Let applicants in."""
        rules.require(user, Role.OPERATOR, "let receivers in")
        rules.judge_applicants(self._now(), receiver_ids)
        await self._link.order(AdmitReceivers(receiver_ids=receiver_ids), user.name)

    async def refuse(self, user: User, receiver_ids: tuple[str, ...]) -> None:
        """Send applicants away."""
        rules.require(user, Role.OPERATOR, "send receivers away")
        rules.judge_applicants(self._now(), receiver_ids)
        await self._link.order(RefuseReceivers(receiver_ids=receiver_ids), user.name)

    async def import_image(self, user: User, path: str, name: str, progress: Progress) -> tuple[str, int]:
        """Add an image by its path on the broadcaster's machine; returns name and version. Admin."""
        rules.require(user, Role.ADMIN, "import images")
        rules.judge_path(path)
        rules.judge_name("the image", name)
        answer = await self._link.order(ImportImage(path=path, name=name), user.name, progress)
        return str(answer.get("name", name)), int(answer.get("version", 0))

    async def verify_image(self, user: User, name: str, version: int, progress: Progress) -> dict[str, Any]:
        """{"damaged": count, "details": [text]}. Operator."""
        rules.require(user, Role.OPERATOR, "verify images")
        rules.judge_version(self._now(), name, version)
        return await self._link.order(VerifyImage(name=name, version=version), user.name, progress)

    async def remove_image(self, user: User, name: str, version: int) -> int:
        """Returns the bytes that were freed. Admin."""
        rules.require(user, Role.ADMIN, "remove images")
        rules.judge_removal(self._now(), name, version)
        answer = await self._link.order(RemoveImage(name=name, version=version), user.name)
        return int(answer.get("freed_bytes", 0))

    async def shrink_image(
        self, user: User, name: str, version: int, disk_size: int, progress: Progress
    ) -> tuple[str, int, int]:
        """Add a version that fits on a disk of ``disk_size`` bytes, 0 for as small as it gets. Returns name, version
        and bytes of its disk. Admin.
        """
        rules.require(user, Role.ADMIN, "make images smaller")
        rules.judge_shrink(self._now(), name, version, disk_size)
        command = ShrinkImage(name=name, version=version, disk_size=disk_size)
        answer = await self._link.order(command, user.name, progress)
        return str(answer.get("name", name)), int(answer.get("version", 0)), int(answer.get("disk_size", 0))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _now(self) -> FleetView:
        """A picture of this very moment, for whoever judges by it."""
        self._made_at = self._clock()
        self._picture = self._fleet.view(self._rooms.current(), self._health(), self._made_at, self._time_of_day())
        return self._picture

    def _health(self) -> Health:
        """Of the link, and what else an operator should mend."""
        health = self._link.health()
        rooms = self._rooms.problem
        own = (*((rooms,) if rooms else ()), *self._history.problems, *self._problems())
        return dataclasses.replace(health, problems=(*health.problems, *own)) if own else health

    def _forget_picture(self) -> None:
        self._picture = None

    @contextmanager
    def _taken(self, user: User, machines: Iterable[str]) -> Iterator[None]:
        """These machines are being planned by ``user``, until the picture can tell."""
        taken = dict.fromkeys(machines, user.name)
        self._planning.update(taken)
        try:
            yield
        finally:
            for machine in taken:
                del self._planning[machine]

    async def _planned(self, command: PlanSession | RetrySeats, user: User) -> str:
        tsi = str((await self._link.order(command, user.name)).get("tsi", ""))
        rules.judge_tsi(tsi)
        await self._link.until(lambda: self.session(tsi) is not None, SHOWN_PATIENCE)
        self._forget_picture()
        return tsi
