"""The pages over a played fleet, to be looked at alone: python -m tests.dashboards.pages.played_console --port N.

The user is an admin, or who ``--role`` says; time passes by itself. ``--hostile`` adds a room whose every text wants to
be interpreted, ``--start`` starts sessions in that many rooms and plays on for ``--played`` seconds.
"""

import time

import click
import uvicorn
from fastapi import FastAPI

from dashboards.api.work import Work
from dashboards.pages.registration import pages, run_pages_with
from dashboards.user import Role, User
from tests.dashboards.pages.played_access import played_access
from tests.dashboards.played_desk import PlayedDesk
from tests.dashboards.played_fleet import PlayedFleet


def played_app(desk: PlayedDesk, user: User) -> FastAPI:
    """All pages over ``desk``, without any login."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    pages(desk, played_access(), Work(), lambda _: user)
    run_pages_with(app)
    return app


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--rooms", default=2, show_default=True)
@click.option("--seats", default=24, show_default=True)
@click.option("--start", default=1, show_default=True, help="Rooms in which a session runs.")
@click.option("--played", default=30, show_default=True, help="Seconds that were played before anybody looks.")
@click.option("--cast-seconds", default=120.0, show_default=True)
@click.option("--hostile", is_flag=True)
@click.option("--role", type=click.Choice([role.name.lower() for role in Role]), default="admin", show_default=True)
def main(
    port: int, rooms: int, seats: int, start: int, played: int, cast_seconds: float, hostile: bool, role: str
) -> None:
    """Serve the pages on localhost."""
    desk = PlayedDesk(
        PlayedFleet(rooms=rooms, seats=seats, hostile=hostile, cast_seconds=cast_seconds), clock=time.monotonic
    )
    for number in range(1, start + 1):
        desk.played.start(desk.played.plan(f"Room {number}"))
    desk.advance(played)
    uvicorn.run(played_app(desk, User("ada", Role[role.upper()])), port=port, log_level="warning")


if __name__ == "__main__":
    main()
