"""A desk over a played fleet: a page or a route can be tried on it without a broker, a broadcaster or any waiting.

It refuses as the real one does, plans go on to verified when they are started, and time passes by ``advance`` or, with
a ``clock``, by itself at each look.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from dashboards import desk_rules as rules
from dashboards.backup_desk import BackupDesk
from dashboards.capture_desk import CaptureDesk
from dashboards.desk import Progress
from dashboards.fleet.fold import Fleet
from dashboards.fleet.health import health_of
from dashboards.fleet.views import FleetView, SeatState, SessionView
from dashboards.history.records import PastSession, SeatRun, past_session
from dashboards.plan_order import PlanOrder
from dashboards.rooms.rooms import Rooms, check_rooms, room_named, same_name
from dashboards.rooms.rooms_file import Origin
from dashboards.user import Role, User
from protocol.errors import RefusedError, TransportError
from protocol.operators import ImageNews, SessionStep
from tests.dashboards.played_aftercare import played_aftercare
from tests.dashboards.played_captures import PlayedOrders
from tests.dashboards.played_fleet import CHUNK, PlayedFleet

VIEWER = User("vera", Role.VIEWER)
OPERATOR = User("otto", Role.OPERATOR)
ADMIN = User("ada", Role.ADMIN)

AUDITED: list[tuple[str, dict[str, str | int]]] = [
    ("receiver admitted", {"seat": "pc-new-1", "receiver": "5" * 32, "how": "operator"}),
    ("cast started", {"image": "lab-ubuntu", "version": 2, "expected_seats": 18, "resumed": 0, "user": "slatecast"}),
    ("seat ended", {"seat": "07", "receiver": "7" * 32, "outcome": "failed", "reason": "/dev/sda: write failed"}),
    ("cast ended", {"reason": "every seat is done", "seats_verified": 17}),
]
"""what the audit log tells of, over and over"""


class PlayedDesk:
    """Everything of ``dashboards.desk.Desk``.

    Args:
        played: the broadcaster; one room of 24 seats when left out.
        clock: seconds; the play goes on as this does. Without it only ``advance`` moves it.
    """

    def __init__(self, played: PlayedFleet | None = None, clock: Callable[[], float] | None = None) -> None:
        self.played = played or PlayedFleet()
        self.is_broker_connected = True
        self.is_broadcaster_there = True
        self.past: list[PastSession] = []
        """what ``history`` tells, the newest first"""
        self._saved: list[tuple[Origin, Rooms]] = []
        self.woken: list[str] = []
        self.aftercare_asked = 0
        self.capture_orders = PlayedOrders(self.played.captures, lambda: self._ordered().at, lambda: self._told(""))
        self.captures = CaptureDesk(self.capture_orders, self.fleet)
        self.backups = BackupDesk(self.rooms, self.fleet, self.plan)
        self._clock = clock
        self._begun_at = clock() if clock else 0.0
        self._fold = Fleet()
        self._ahead = 0.0
        self.advance(1)

    def advance(self, seconds: int = 1) -> None:
        """Play on; while broker or broadcaster are gone, nothing is heard."""
        for _ in range(seconds):
            for news in self.played.step():
                if self.is_broker_connected and self.is_broadcaster_there:
                    self._fold.receive(news, self.played.now)
            self._keep_past()
        self._ahead += seconds

    def fleet(self) -> FleetView:
        if self._clock is not None:
            self.advance(int(self._clock() - self._begun_at - self._ahead + 1))
        heard = None if self._fold.host is None else self.played.now - self._fold.host_heard_at
        health = health_of(
            self._fold.host,
            heard,
            is_broker_connected=self.is_broker_connected,
            broker_text="mqtts://192.0.2.1:8883",
            at=self.played.now,
        )
        return self._fold.view(self.played.rooms, health, self.played.now)

    def session(self, tsi: str) -> SessionView | None:
        return next((session for session in self.fleet().sessions if session.tsi == tsi), None)

    def rooms(self) -> Rooms:
        return self.played.rooms

    def save_rooms(self, user: User, rooms: Rooms) -> Rooms:
        rules.require(user, Role.OPERATOR, "change rooms")
        present = self.played.rooms.revision
        if rooms.revision != present:
            raise RefusedError(
                f"the rooms were saved meanwhile: revision {present} is in force and {rooms.revision} was edited; "
                "load them again and repeat the change"
            )
        self.played.rooms = msgspec.structs.replace(check_rooms(rooms), revision=present + 1)
        origin = Origin(present + 1, datetime.fromtimestamp(self.played.now, UTC), user.name)
        self._saved.insert(0, (origin, self.played.rooms))
        return self.played.rooms

    def room_revisions(self, user: User) -> tuple[Origin, ...]:
        rules.require(user, Role.VIEWER, "look at rooms")
        return tuple(origin for origin, _ in self._saved)

    def restore_rooms(self, user: User, revision: int) -> Rooms:
        rules.require(user, Role.OPERATOR, "change rooms")
        for origin, rooms in self._saved:
            if origin.revision == revision:
                return self.save_rooms(user, msgspec.structs.replace(rooms, revision=self.played.rooms.revision))
        raise RefusedError(f"revision {revision} is not kept: choose one of the last 50")

    def place(self, user: User, room: str, seat: str, machine: str) -> Rooms:
        rules.require(user, Role.OPERATOR, "place machines")
        found = room_named(self.played.rooms, room)
        if found is None or not any(same_name(each.name, seat) for each in found.seats):
            raise RefusedError(f"room '{room[:64]}' has no seat '{seat[:64]}': choose one of its seats")
        rooms = tuple(
            msgspec.structs.replace(
                each,
                seats=tuple(
                    msgspec.structs.replace(one, machine=machine)
                    if each is found and same_name(one.name, seat)
                    else msgspec.structs.replace(one, machine="")
                    if machine and same_name(one.machine, machine)
                    else one
                    for one in each.seats
                ),
            )
            for each in self.played.rooms.rooms
        )
        return self.save_rooms(user, msgspec.structs.replace(self.played.rooms, rooms=rooms))

    async def plan(self, user: User, order: PlanOrder) -> str:
        rules.require(user, Role.OPERATOR, "plan sessions")
        fleet = self._ordered()
        found = rules.known_room(fleet, order.room)
        rules.judge_image(fleet, order.image, order.version)
        rules.judge_rate(order.rate_bits_per_second)
        rules.judge_configuration(fleet, order.configuration or "")
        planned = rules.seats_to_plan(fleet, found, {}, order.seats)
        version = order.version or max(each.version for each in fleet.images if each.name == order.image)
        machines = frozenset(seat.machine for seat in planned)
        if order.backs_up:
            await self.captures.back_up(user, tuple(sorted(machines)))
        return self._told(
            self.played.plan(
                found.name,
                order.image,
                version,
                ordered_by=user.name,
                machines=machines,
                backs_up=bool(order.backs_up),
            )
        )

    async def boot(self, user: User, room: str, seconds: int, mode: str = "receive") -> int:
        rules.require(user, Role.OPERATOR, "let machines boot the environment")
        rules.judge_boot(self._ordered(), seconds)
        return len(rules.seats_to_boot(self.rooms(), room))

    async def start(self, user: User, tsi: str, typed_room: str, typed_count: int) -> None:
        rules.require(user, Role.OPERATOR, "start sessions")
        session = rules.known_session(self._ordered(), tsi)
        rules.judge_start(session, typed_room, typed_count, "")
        if session.backs_up and any(one.is_open and one.is_backup for one in self.fleet().captures):
            raise RefusedError("not backed up yet: wait until all are")
        self.played.start(tsi)
        self._told(tsi)

    async def stop(self, user: User, tsi: str) -> None:
        rules.require(user, Role.OPERATOR, "stop sessions")
        rules.known_session(self._ordered(), tsi)
        self.played.stop(tsi, f"stopped by {user.name}")
        self._told(tsi)

    async def pause(self, user: User, tsi: str) -> None:
        rules.require(user, Role.OPERATOR, "pause sessions")
        rules.judge_pause(rules.known_session(self._ordered(), tsi))
        self.played.pause(tsi)
        self._told(tsi)

    async def resume(self, user: User, tsi: str) -> None:
        rules.require(user, Role.OPERATOR, "continue sessions")
        rules.judge_resume(rules.known_session(self._ordered(), tsi))
        self.played.resume(tsi)
        self._told(tsi)

    async def move_to_catch_up(self, user: User, tsi: str, receiver_id: str) -> None:
        rules.require(user, Role.OPERATOR, "move seats to catch-up")
        seat = rules.known_seat(rules.known_session(self._ordered(), tsi), receiver_id)
        self.played.sessions[tsi].moved.add(seat.machine)
        self._told(tsi)

    async def dismiss(self, user: User, tsi: str, receiver_id: str) -> None:
        rules.require(user, Role.OPERATOR, "stop seats")
        seat = rules.known_seat(rules.known_session(self._ordered(), tsi), receiver_id)
        self.played.sessions[tsi].dismissed.add(seat.machine)
        self._told(tsi)

    async def retry(self, user: User, tsi: str, machines: tuple[str, ...]) -> str:
        rules.require(user, Role.OPERATOR, "plan sessions")
        session = self.session(tsi)
        if session is None:
            raise RefusedError("there is no such session any more: plan the room again")
        chosen = rules.seats_to_retry(session, machines)
        rules.judge_free(self._ordered(), chosen, {})
        return self._told(
            self.played.plan(
                session.room, session.image, session.version, ordered_by=user.name, machines=frozenset(chosen)
            )
        )

    async def admit(self, user: User, receiver_ids: tuple[str, ...]) -> None:
        rules.require(user, Role.OPERATOR, "let receivers in")
        rules.judge_applicants(self._ordered(), receiver_ids)
        for receiver_id in receiver_ids:
            name = self.played.applicants.pop(receiver_id)
            self.played.guests[name[:64]] = name[:64]
        self._told("")

    async def refuse(self, user: User, receiver_ids: tuple[str, ...]) -> None:
        rules.require(user, Role.OPERATOR, "send receivers away")
        rules.judge_applicants(self._ordered(), receiver_ids)
        for receiver_id in receiver_ids:
            del self.played.applicants[receiver_id]
        self._told("")

    async def wake(self, user: User, room: str) -> int:
        rules.require(user, Role.OPERATOR, "wake machines")
        self._ordered()
        addresses = rules.addresses_to_wake(self.played.rooms, room)
        self.woken += addresses
        return len(addresses)

    async def import_image(self, user: User, path: str, name: str, progress: Progress) -> tuple[str, int]:
        rules.require(user, Role.ADMIN, "import images")
        rules.judge_path(path)
        rules.judge_name("the image", name)
        self._ordered()
        for share in (0.25, 0.5, 1.0):
            progress(share, f"{share:.0%} of {path} read")
        version = 1 + max((image.version for image in self.played.images if image.name == name), default=0)
        size = self.played.blocks * CHUNK
        self.played.images.append(
            ImageNews(
                name=name,
                version=version,
                created="2026-11-21T09:00:00Z",
                disk_size=size,
                stored_bytes=size // 2,
                is_signed=True,
                sessions=(),
            )
        )
        self._told("")
        return name, version

    async def shrink_image(
        self, user: User, name: str, version: int, disk_size: int, progress: Progress
    ) -> tuple[str, int, int]:
        rules.require(user, Role.ADMIN, "make images smaller")
        rules.judge_shrink(self._ordered(), name, version, disk_size)
        progress(0.5, "shrinking ext4")
        old = next(image for image in self.played.images if (image.name, image.version) == (name, version))
        newest = max(image.version for image in self.played.images if image.name == name)
        made = msgspec.structs.replace(old, version=newest + 1, disk_size=disk_size or old.disk_size // 2, sessions=())
        self.played.images.append(made)
        self._told("")
        return name, made.version, made.disk_size

    async def verify_image(self, user: User, name: str, version: int, progress: Progress) -> dict[str, Any]:
        rules.require(user, Role.OPERATOR, "verify images")
        rules.judge_version(self._ordered(), name, version)
        progress(0.5, "half of the chunks are read")
        progress(1.0, "all chunks are read")
        return {"damaged": 0, "details": []}

    async def remove_image(self, user: User, name: str, version: int) -> int:
        rules.require(user, Role.ADMIN, "remove images")
        rules.judge_removal(self._ordered(), name, version)
        gone = next(image for image in self.played.images if (image.name, image.version) == (name, version))
        self.played.images.remove(gone)
        self._told("")
        return gone.stored_bytes

    async def compare_versions(self, user: User, name: str, old_version: int, new_version: int) -> dict[str, Any]:
        rules.require(user, Role.VIEWER, "compare images")
        for version in (old_version, new_version):
            rules.judge_version(self._ordered(), name, version)
        places = [
            (0, 1),
            (self.played.blocks // 8, 400),
            (self.played.blocks // 2, 90),
            (self.played.blocks - 900, 300),
        ]
        changed = sum(count for _, count in places) * CHUNK
        ranges = [[first * CHUNK, count * CHUNK] for first, count in places]
        return {"changed_bytes": changed, "stored_bytes": changed // 3, "ranges": ranges}

    async def aftercare(self, user: User, tsi: str) -> dict[str, Any]:
        rules.require(user, Role.VIEWER, "read what was done to disks")
        self.aftercare_asked += 1
        session = self.session(tsi)
        if session is None or session.step is not SessionStep.ENDED:
            raise RefusedError("nothing is known of what was done to the disks of this session after it wrote them")
        return {"seats": [played_aftercare(seat, index) for index, seat in enumerate(session.seats)]}

    async def report(self, user: User, tsi: str) -> dict[str, Any]:
        rules.require(user, Role.VIEWER, "read reports")
        session = self.session(tsi)
        if session is None or session.step is not SessionStep.ENDED:
            raise RefusedError("there is no report of this session: it has not ended, or never was")
        return {
            "session": tsi,
            "image": session.image,
            "version": session.version,
            "stored_bytes": session.stored_bytes,
            "seconds": session.elapsed_seconds,
            "end_reason": session.end_reason,
            "bytes_on_wire": session.bytes_on_wire,
            "catch_up_bytes": session.catch_up_bytes,
            "datagrams_sent": session.datagrams_sent,
            "repair_datagrams": session.repair_datagrams,
            "rate_bits_per_second": session.rate_bits_per_second,
            "seats": [
                {
                    "seat": seat.name,
                    "receiver": seat.receiver_id,
                    "outcome": seat.state.value,
                    "reason": seat.reason,
                    "seconds": seat.settled_seconds or session.elapsed_seconds,
                    "bytes_received": seat.bytes_received,
                    "catch_up_bytes": seat.catch_up_bytes,
                    "loss_ratio": seat.loss_ratio,
                    "repaired": seat.repaired_blocks,
                    "verified": seat.state is SeatState.VERIFIED,
                }
                for seat in session.seats
            ],
        }

    async def audit(self, user: User, count: int) -> dict[str, Any]:
        rules.require(user, Role.ADMIN, "read the audit log")
        self._ordered()
        entries = [
            {
                "number": number,
                "time": "2026-11-21T09:00:00.000Z",
                "event": event,
                "fields": {"session": f"{number:016x}", "operator": "anna", **fields},
            }
            for number, (event, fields) in enumerate(AUDITED * 5, 1)
        ]
        return {"entries": entries[-count:], "is_intact": True, "verdict": "20 entries, nothing was altered"}

    def history(
        self, user: User, *, room: str = "", limit: int = 100, before: float | None = None
    ) -> list[PastSession]:
        rules.require(user, Role.VIEWER, "read the history")
        found = [one for one in self.past if not room or one.room == room]
        return [one for one in found if before is None or one.ended_at < before][:limit]

    async def past_session(self, user: User, tsi: str) -> PastSession | None:
        rules.require(user, Role.VIEWER, "read the history")
        return next((one for one in self.past if one.tsi == tsi), None)

    async def machine_history(self, user: User, machine: str) -> list[SeatRun]:
        rules.require(user, Role.VIEWER, "read the history")
        return [
            SeatRun(one.tsi, one.room, one.image, one.version, one.ended_at, seat)
            for one in self.past
            for seat in one.seats
            if seat.machine == machine
        ]

    def _ordered(self) -> FleetView:
        """The fleet, when somebody is there who can be ordered."""
        if not (self.is_broker_connected and self.is_broadcaster_there):
            raise TransportError("the broadcaster does not answer: nothing was done; see Health for the reason")
        return self.fleet()

    def _told(self, tsi: str) -> str:
        """The broadcaster tells at once of what has changed."""
        for news in self.played.step(0.0):
            self._fold.receive(news, self.played.now)
        self._keep_past()
        return tsi

    def _keep_past(self) -> None:
        known = {one.tsi for one in self.past}
        for tsi, played in self.played.sessions.items():
            view = None if played.is_open or tsi in known else self._fold.session(tsi, self.played.now)
            if view is not None and view.step is SessionStep.ENDED and self._fold.was_started(tsi):
                self.past.insert(0, past_session(view, self.played.now))
