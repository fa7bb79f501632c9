"""A played console that stands still, with something on every page: python -m tests.browser.staged_console PORT.

It prints the paths of the session that runs and of the plan, as one line of JSON, before it listens.
"""

import json
import sys

import uvicorn

from dashboards.pages.paths import session_path, start_path
from tests.dashboards.pages.played_console import played_app
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
    desk.advance(20)
    return desk, {"session": session_path(running), "plan": start_path(tsi=planned)}


def main() -> None:
    """Serve it on localhost."""
    desk, paths = staged()
    print(json.dumps(paths), flush=True)
    uvicorn.run(played_app(desk, ADMIN), port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
