"""Backups of seats at the operators' desk: which a seat has, and plans that put one of them back.

    newest backup of the seat, or the one that is named --> a plan for this seat alone --> started as any other plan

There is nothing else to it: disks are looked at, the room's name and the number are typed, and the audit log has it,
because it is a plan. Console, API and command line ask here which backup is meant.
"""

from collections.abc import Awaitable, Callable, Iterable

from dashboards import desk_rules as rules
from dashboards.desk_rules import NO_CONFIGURATION
from dashboards.fleet.views import FleetView
from dashboards.plan_order import PlanOrder
from dashboards.rooms.rooms import Room, Rooms, RoomSeat, same_name
from dashboards.user import Role, User
from protocol.backup_names import backup_name
from protocol.errors import RefusedError
from protocol.operators import ImageNews

Plans = Callable[[User, PlanOrder], Awaitable[str]]
"""Who opens plans and tells their tsi: ``dashboards.desk.Desk.plan``."""


class BackupDesk:
    """Every method raises RefusedError, MessageError or TransportError, as those of ``dashboards.desk.Desk``.

    ``rooms`` are those that are saved, ``fleet`` is asked for the picture as it is now, ``plan`` opens plans.
    """

    def __init__(self, rooms: Callable[[], Rooms], fleet: Callable[[], FleetView], plan: Plans) -> None:
        self._rooms = rooms
        self._fleet = fleet
        self._plan = plan

    def of(self, user: User, room: str, seat: str) -> tuple[ImageNews, ...]:
        """The backups of a seat's machine, the newest first; empty where it has none, or no machine."""
        rules.require(user, Role.VIEWER, "look at backups")
        _, place = seat_named(self._rooms(), room, seat)
        return backups_of(self._fleet().images, place.machine)

    async def restore(self, user: User, room: str, seat: str, version: int = 0) -> str:
        """Open a plan that puts a backup of this seat back on its disk, the newest for 0; its tsi."""
        rules.require(user, Role.OPERATOR, "plan sessions")
        found, place = seat_named(self._rooms(), room, seat)
        fleet = self._fleet()
        rules.judge_library(fleet)
        return await self._plan(user, restore_order(found, place, fleet.images, version))


def backups_of(images: Iterable[ImageNews], machine: str) -> tuple[ImageNews, ...]:
    """The backups of a machine among these images, the newest first."""
    name = backup_name(machine) if machine else ""
    return tuple(sorted((image for image in images if image.name == name), key=lambda image: -image.version))


def restore_order(room: Room, seat: RoomSeat, images: Iterable[ImageNews], version: int = 0) -> PlanOrder:
    """What puts a backup of ``seat`` back, the newest for version 0.

    Its files are to be as they were when it was made, so nothing is configured again, and nothing is captured before.

    Raises:
        RefusedError: no machine stands there, or it has no such backup.
    """
    if not seat.machine:
        raise RefusedError(f"no machine stands on seat {seat.name}: put one there first")
    versions = [image.version for image in backups_of(images, seat.machine)]
    if not versions:
        raise RefusedError(f"seat {seat.name} has no backup: nothing was captured of machine {seat.machine}")
    if version and version not in versions:
        known = ", ".join(map(str, sorted(versions)))
        raise RefusedError(f"seat {seat.name} has no backup of version {version}: choose one of {known}")
    return PlanOrder(
        room=room.name,
        seats=(seat.name,),
        image=backup_name(seat.machine),
        version=version or versions[0],
        configuration=NO_CONFIGURATION,
        backs_up=False,
    )


def seat_named(rooms: Rooms, room: str, seat: str) -> tuple[Room, RoomSeat]:
    """A seat of the saved rooms. Raises RefusedError when there is none of that name."""
    found = rules.need_room(rooms, room)
    for place in found.seats:
        if same_name(place.name, seat):
            return found, place
    raise RefusedError(f"room {found.name} has no seat '{seat[: rules.MAX_NAME]}': choose one of its seats")
