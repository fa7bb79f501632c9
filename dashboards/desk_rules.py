"""What an operator may do, and when it makes sense: every refusal of the desk is worded here. Pure.

The role is asked first, then what was typed is judged, then the fleet as it is shown. The broadcaster judges again by
what it knows itself; what is refused here never gets there.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from dashboards.fleet.progress import takes_part
from dashboards.fleet.views import FleetView, RoomView, SeatState, SeatView, SessionView
from dashboards.rooms.rooms import Room, Rooms, room_named, same_name, usual_mac
from dashboards.user import Role, User
from protocol.commands import MAX_PATH, BootedSeat, PlannedSeat
from protocol.errors import MessageError, RefusedError
from protocol.fields import MAX_SHORT_TEXT, is_mac_address
from protocol.operators import SessionStep

MAX_NAME: Final = MAX_SHORT_TEXT
"""[characters] of a name of an image, room or machine, as in messages"""

NO_CONFIGURATION: Final = "none"
"""What a plan names that wants no configuration, not even the image's."""

SELF_SERVICE: Final = "self-service"
"""Who ordered a session that somebody at a seat wanted, where others name an operator; the broadcaster writes so."""

NO_NETBOOT: Final = (
    "nothing hands out the environment to machines that boot from the network: set [boot] enabled in the configuration "
    "of the service, or run 'slatecast boot serve'"
)
"""Why no machine can be told to boot the environment, and what to do."""

LARGEST_DISK: Final = 1 << 60
"""[bytes] more than any disk has"""

LARGEST_RATE: Final = 1 << 62
"""[bit/s] that a message can say"""

_UNWRITTEN: Final = frozenset({SeatState.REFUSED, SeatState.OFF, SeatState.LOST, SeatState.STALLED})


def require(user: User, role: Role, what: str) -> None:
    """Raises RefusedError unless ``user`` has ``role``; ``what`` ends the sentence "... may not"."""
    if user.role < role:
        raise RefusedError(
            f"{user.name} may not {what}: it takes the role {role.name.lower()}; ask an administrator for it"
        )


def to_overwrite(session: SessionView) -> tuple[SeatView, ...]:
    """The seats of a plan that a start would overwrite: those that are there and did not refuse."""
    return tuple(seat for seat in session.seats if is_overwritten(seat))


def is_overwritten(seat: SeatView) -> bool:
    """Whether a start would overwrite this seat of a plan."""
    return takes_part(seat.state) and seat.state not in _UNWRITTEN


def known_room(fleet: FleetView, name: str) -> RoomView:
    """The room of this name. Raises RefusedError."""
    for room in fleet.rooms:
        if same_name(room.name, name):
            return room
    raise RefusedError(f"there is no room '{name[:MAX_NAME]}': choose one of the rooms, or make it first")


def known_session(fleet: FleetView, tsi: str) -> SessionView:
    """A session that is open. Raises RefusedError."""
    for session in fleet.sessions:
        if session.tsi == tsi:
            if session.step is SessionStep.ENDED:
                raise RefusedError(f"the session in {session.room} has ended: plan another one")
            return session
    raise RefusedError(f"there is no session '{tsi[:MAX_NAME]}' any more: choose one that is open")


def known_seat(session: SessionView, receiver_id: str) -> SeatView:
    """A seat of a session that is not done. Raises RefusedError."""
    for seat in session.seats:
        if seat.receiver_id == receiver_id:
            if seat.state.is_final:
                raise RefusedError(f"seat {seat.name} is done ({seat.state.value}): nothing can be changed there")
            return seat
    raise RefusedError(f"no such seat in the session in {session.room}: it may have been started again; look anew")


def judge_image(fleet: FleetView, name: str, version: int) -> None:
    """Raises RefusedError for an image that the library does not have, MessageError for what is no name."""
    judge_name("the image", name)
    if version < 0:
        raise MessageError("the version is a whole number; leave it out for the newest")
    versions = [image.version for image in fleet.images if image.name == name]
    if not versions:
        judge_library(fleet)
        raise RefusedError(f"the library has no image '{name}': choose one of its images, or import it first")
    if version and version not in versions:
        known = ", ".join(map(str, sorted(versions)))
        raise RefusedError(f"the library has no version {version} of '{name}': choose one of {known}")


def judge_library(fleet: FleetView) -> None:
    """Raises RefusedError while nobody knows what the library holds."""
    if not fleet.is_library_known:
        raise RefusedError("the broadcaster has not yet told what its library holds: try again in a moment")


def judge_version(fleet: FleetView, name: str, version: int) -> None:
    """As ``judge_image``, for one version that has to be named."""
    judge_image(fleet, name, version)
    if not version:
        raise MessageError("name the version: 1 or more")


def judge_rate(rate_bits_per_second: int) -> None:
    """Raises MessageError for what is no rate; 0 is the configured one."""
    if not 0 <= rate_bits_per_second <= LARGEST_RATE:
        raise MessageError("the rate is a number of bits per second; leave it out for the configured one")


def judge_tsi(tsi: str) -> None:
    """Raises MessageError for what cannot be a session's name."""
    if len(tsi) != 16 or not set(tsi) <= set("0123456789abcdef"):
        raise MessageError("a session is named by 16 hex digits")


def judge_pause(session: SessionView) -> None:
    """Raises RefusedError for a session that does not send."""
    if session.step is not SessionStep.RUNNING:
        raise RefusedError(f"the session in {session.room} is {session.step.value}: only one that runs can be paused")


def judge_resume(session: SessionView) -> None:
    """Raises RefusedError for a session that is not paused."""
    if session.step is not SessionStep.PAUSED:
        raise RefusedError(f"the session in {session.room} is {session.step.value}: there is nothing to continue")


def seats_to_plan(
    fleet: FleetView, room: RoomView, starters: Mapping[str, str], names: Iterable[str] = ()
) -> tuple[PlannedSeat, ...]:
    """The machines of a room that are there, for a plan.

    Args:
        fleet: as it is shown.
        room: one of its rooms.
        starters: by machine, who is planning it at this very moment.
        names: of the seats that are meant; all of them where none is named.

    Raises:
        RefusedError: none is there, or one takes part in a session or a plan of somebody, who is named.
    """
    chosen = _seats_named(room, names)
    there = [seat for seat in chosen if seat.machine and seat.receiver_id]
    absent = [seat.name for seat in chosen if names and seat not in there]
    if absent:
        raise RefusedError(f"the machine of seat {absent[0]} is not there: switch it on, or leave that seat out")
    if not there:
        raise RefusedError(f"no machine of {room.name} is there: switch them on, or put machines on its seats")
    judge_free(fleet, {seat.machine: seat.name for seat in there}, starters)
    return tuple(PlannedSeat(machine=seat.machine, seat=seat.name, hostname=seat.hostname) for seat in there)


def _seats_named(room: RoomView, names: Iterable[str]) -> list[SeatView]:
    wanted = list(names)
    for name in wanted:
        if not any(same_name(seat.name, name) for seat in room.seats):
            raise RefusedError(f"room {room.name} has no seat '{name[:MAX_NAME]}': choose one of its seats")
    return [seat for seat in room.seats if not wanted or any(same_name(seat.name, name) for name in wanted)]


def judge_free(fleet: FleetView, machines: Mapping[str, str], starters: Mapping[str, str]) -> None:
    """Raises RefusedError when one of ``machines`` (name of the seat by machine) is used by somebody, who is named."""
    for machine, name in machines.items():
        if machine in starters:
            raise RefusedError(f"seat {name} is just being planned by {starters[machine]}: look again in a moment")
    for session in fleet.sessions:
        if session.step is SessionStep.ENDED:
            continue
        for seat in session.seats:
            if seat.machine in machines and not seat.state.is_final:
                what = "plan" if session.step is SessionStep.PLANNED else "session"
                whose = session.ordered_by
                if whose == SELF_SERVICE:
                    raise RefusedError(
                        f"seat {machines[seat.machine]} is being restored by whoever sits there, in {session.room}:"
                        " wait for its end, or stop that session first"
                    )
                raise RefusedError(
                    f"seat {machines[seat.machine]} takes part in the {what} of {whose} in"
                    f" {session.room}: agree with {whose}, or end that first"
                )


def judge_start(session: SessionView, typed_room: str, typed_count: int, started_by: str) -> None:
    """Raises RefusedError unless ``session`` is a plan and its room and number of seats were typed.

    ``started_by`` names who has started it, as far as that is known here; else it is who planned it.
    """
    if session.step is not SessionStep.PLANNED or started_by:
        raise RefusedError(
            f"the session in {session.room} was started already by {started_by or session.ordered_by}: watch it instead"
        )
    if typed_room.strip() != session.room:
        raise RefusedError(f"'{typed_room[:MAX_NAME]}' is not the room of this plan: type {session.room} to confirm")
    count = len(to_overwrite(session))
    if not count:
        raise RefusedError(f"no seat in {session.room} can be overwritten: see the reason at each, then plan again")
    if typed_count != count:
        raise RefusedError(
            f"{typed_count} was typed and {count} machines in {session.room} would be overwritten: look at the plan"
            " again and type that number"
        )


def seats_to_retry(session: SessionView, machines: Iterable[str]) -> dict[str, str]:
    """Name of the seat by machine. Raises RefusedError for one that is not of the session, or is verified."""
    seats = {seat.machine: seat for seat in session.seats}
    chosen = {}
    for machine in machines:
        seat = seats.get(machine)
        if seat is None:
            raise RefusedError(
                f"machine '{machine[:MAX_NAME]}' was not in the session in {session.room}: choose others"
            )
        if seat.state is SeatState.VERIFIED:
            raise RefusedError(f"seat {seat.name} is verified already: leave it out")
        chosen[machine] = seat.name
    if not chosen:
        raise RefusedError("no seat was chosen: choose at least one that did not finish")
    return chosen


def judge_applicants(fleet: FleetView, receiver_ids: tuple[str, ...]) -> None:
    """Raises RefusedError unless every one of them waits to be let in."""
    waiting = {applicant.receiver_id for applicant in fleet.applicants}
    if not receiver_ids:
        raise RefusedError("no receiver was chosen: choose at least one that waits")
    if not waiting.issuperset(receiver_ids):
        raise RefusedError("a receiver that was chosen waits no more: look at the list again")


def need_room(rooms: Rooms, name: str) -> Room:
    """The saved room of this name. Raises RefusedError."""
    room = room_named(rooms, name)
    if room is None:
        raise RefusedError(f"there is no room '{name[:MAX_NAME]}': choose one of the rooms")
    return room


def addresses_to_wake(rooms: Rooms, name: str) -> tuple[str, ...]:
    """MAC addresses of the machines of a room. Raises RefusedError when there are none."""
    room = need_room(rooms, name)
    addresses = [seat.mac_address or usual_mac(seat.machine) for seat in room.seats]
    found = tuple(dict.fromkeys(address for address in addresses if is_mac_address(address)))
    if not found:
        raise RefusedError(f"no seat of {room.name} has an address to wake: enter MAC addresses in the room first")
    return found


def seats_to_boot(rooms: Rooms, name: str) -> tuple[BootedSeat, ...]:
    """The machines of a room that can be told from the network by their addresses. Raises RefusedError."""
    room = need_room(rooms, name)
    seats = {seat.mac_address or usual_mac(seat.machine): seat.name for seat in room.seats}
    found = tuple(BootedSeat(address=address, seat=seat) for address, seat in seats.items() if is_mac_address(address))
    if not found:
        raise RefusedError(f"no seat of {room.name} has a MAC address to boot by: enter them in the room first")
    return found


def judge_boot(fleet: FleetView, seconds: int) -> None:
    """Raises RefusedError where nobody would hand out the environment; an order can always be taken back."""
    if seconds and not fleet.can_boot:
        raise RefusedError(NO_NETBOOT)


def judge_configuration(fleet: FleetView, name: str) -> None:
    """Raises RefusedError for one that the broadcaster does not have; empty is the image's, if it has one."""
    if name and name != NO_CONFIGURATION and name not in fleet.configurations:
        known = ", ".join(fleet.configurations) or "none"
        raise RefusedError(f"the library has no configuration '{name[:MAX_NAME]}': it has {known}")


def judge_name(what: str, name: str) -> None:
    """Raises MessageError for what cannot be the name of an image."""
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise MessageError(f"{what} needs a name of 1 to {MAX_NAME} characters that can be printed")


def judge_path(path: str) -> None:
    """Raises MessageError for what cannot be a path on the broadcaster's machine."""
    if not path.startswith("/") or len(path) > MAX_PATH or "\0" in path:
        raise MessageError("write the whole path on the broadcaster's machine, from / on")


def judge_removal(fleet: FleetView, name: str, version: int) -> None:
    """Raises RefusedError for an image that a session uses, or that is not there."""
    judge_version(fleet, name, version)
    for image in fleet.images:
        if image.name == name and image.version == version and image.sessions:
            raise RefusedError(f"version {version} of '{name}' is used by a session: remove it when that has ended")


def judge_shrink(fleet: FleetView, name: str, version: int, disk_size: int) -> None:
    """Raises RefusedError for an image that is not there or fits as it is, MessageError for what is no size."""
    judge_version(fleet, name, version)
    if not 0 <= disk_size <= LARGEST_DISK:
        raise MessageError("the size of the disk is a number of bytes; 0 is as small as it gets")
    size = next(image.disk_size for image in fleet.images if (image.name, image.version) == (name, version))
    if disk_size >= size:
        raise RefusedError(f"version {version} of '{name}' has {size} bytes: it fits on that disk as it is")
