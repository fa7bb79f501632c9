"""``slatecast restore``: put the backup of one machine back on its disk."""

from dataclasses import asdict
from typing import Any

import click

from dashboards.backup_desk import restore_order
from dashboards.rooms.rooms import Room, Rooms, RoomSeat, same_name
from protocol.errors import ConfigError
from protocol.operators import ImageNews
from slatecast.cli.console_command import console_options, talk, the_console
from slatecast.cli.session_planning import follow, judge_confirmation, plan_and_start
from slatecast.console_api import ConsoleApi


@click.command()
@click.argument("seat")
@click.option("--room", help="Its room, where several rooms have a seat of that name.")
@click.option("--version", type=click.IntRange(1), help="Which of its backups.  [default: the newest]")
@click.option(
    "--wait", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Seconds to wait for the machine."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--watch", "is_watched", is_flag=True, help="Follow it until it ends.")
@console_options
def restore(
    seat: str, *, room: str | None, version: int | None, wait: float, yes: bool, is_watched: bool, **where: Any
) -> int:
    """Overwrite the disk of SEAT with its own backup.

    The machine has to be there, in the environment. Its files are as they were when the backup was made; what was
    configured on the disk is in the backup already, so nothing is configured again.
    """
    judge_confirmation(1 if yes else None, yes=yes)
    address = the_console(**where)

    async def order(api: ConsoleApi) -> dict[str, object]:
        found, place = _place_of(await api.get("rooms", Rooms), seat, room)
        images = await api.get("images", list[ImageNews])
        return asdict(restore_order(found, place, images, version or 0))

    tsi = plan_and_start(address, talk(address, order), expect=1, wait=wait, yes=yes)
    return talk(address, lambda api: follow(api, tsi)) if is_watched else 0


def _place_of(rooms: Rooms, name: str, room_name: str | None) -> tuple[Room, RoomSeat]:
    """The seat of this name. Raises ConfigError when there is none, or more than one."""
    rooms_meant = [room for room in rooms.rooms if room_name is None or same_name(room.name, room_name)]
    if not rooms_meant:
        raise ConfigError(f"there is no room {room_name!r}: name one of the rooms with --room")
    found = [(room, seat) for room in rooms_meant for seat in room.seats if same_name(seat.name, name)]
    if not found:
        raise ConfigError(f"there is no seat {name!r}: name one as its room does")
    if len(found) > 1:
        raise ConfigError(f"seat {name!r} is in {found[0][0].name} and in {found[1][0].name}: say which with --room")
    return found[0]
