"""A played console that stands still, with something on every page: python -m tests.browser.staged_console PORT.

It prints the paths of the session that runs and of the plan, as one line of JSON, before it listens.
"""

import json
import sys

import uvicorn

from dashboards.pages.paths import session_path, start_path
from protocol.backup_names import backup_name
from protocol.capture import CaptureStep
from tests.dashboards.pages.played_console import played_app
from tests.dashboards.played_captures import DISK_SIZE, capture_news
from tests.dashboards.played_desk import ADMIN, PlayedDesk
from tests.dashboards.played_fleet import PlayedFleet

BLOCKS = 64_000
CAST_SECONDS = 160.0
"""at which they are sent at 840 Mbit/s"""


def staged() -> tuple[PlayedDesk, dict[str, str]]:
    """Sessions that have ended, one with seats in many states, and a plan."""
    desk = PlayedDesk(PlayedFleet(rooms=4, seats=24, cast_seconds=CAST_SECONDS, blocks=BLOCKS))
    desk.save_rooms(ADMIN, desk.rooms())
    for room, is_orderly in [("Room 3", False), ("Room 4", True), ("Room 2", True)]:
        desk.played.is_orderly = is_orderly
        desk.played.start(desk.played.plan(room))
        desk.advance(int(3 * CAST_SECONDS))
    desk.played.is_orderly = False
    running = desk.played.plan("Room 1")
    desk.advance(20)
    desk.played.start(running)
    desk.advance(75)
    planned = desk.played.plan("Room 3")
    stage_captures(desk)
    desk.advance(20)
    return desk, {"session": session_path(running), "plan": start_path(tsi=planned)}


def stage_captures(desk: PlayedDesk) -> None:
    """A wish, one that was refused for what was found, and the backups of a row of seats."""
    captures, now = desk.played.captures, desk.played.now
    guest, *_ = desk.played.guests
    refused = captures.begin("reference-2", "lab-windows", "ada", now - 240, seat="reference 2")
    captures.change(
        refused, step=CaptureStep.REFUSED, findings=2, target="/dev/nvme0n1, WDC SN530", disk_size=DISK_SIZE
    )
    captures.change(refused, reason="partition 3: Windows is hibernated, maybe by its fast startup")
    seats = [seat for seat in desk.fleet().rooms[3].seats if seat.machine and seat.receiver_id][:4]
    for number, seat in enumerate(seats):
        backup = captures.begin(seat.machine, backup_name(seat.machine), "ada", now - 60, is_backup=True)
        if number < 3:
            read = int(0.08 * number * DISK_SIZE)
            captures.change(
                backup, step=CaptureStep.RUNNING, done=0.1 + 0.13 * number, target="/dev/sda, Samsung SSD 870"
            )
            captures.change(backup, disk_size=DISK_SIZE, read_bytes=read, sent_bytes=read // 9)
    captures.add(capture_news("d" * 16, CaptureStep.ASKED, machine=guest, seat="laptop of the lab", findings=0))
    captures.change("d" * 16, image="lab-ubuntu", began_at=now - 20, target="/dev/sda, Samsung SSD 870", done=0.0)
    captures.change("d" * 16, read_bytes=0, sent_bytes=0)


def main() -> None:
    """Serve it on localhost."""
    desk, paths = staged()
    print(json.dumps(paths), flush=True)
    uvicorn.run(played_app(desk, ADMIN), port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
