"""Which pages there are, and how one is registered: its path, its title, the role it needs and who builds it.

A page is a function that is given a ``Visit`` and builds its content; the frame around it is the shell's. To add one,
write its module, and name its ``Page`` in ``PAGES``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from nicegui import app as nicegui_app
from nicegui import ui

from dashboards.access.access import Access
from dashboards.api.work import Work
from dashboards.desk import Desk
from dashboards.pages import paths
from dashboards.pages.accounts_page import build_accounts
from dashboards.pages.audit_page import build_audit
from dashboards.pages.captures_page import build_captures
from dashboards.pages.health_page import build_health
from dashboards.pages.history_page import build_history
from dashboards.pages.library_page import build_library
from dashboards.pages.past_session_page import build_past_session
from dashboards.pages.room_page import build_room
from dashboards.pages.rooms_editor import build_rooms_editor
from dashboards.pages.rooms_page import build_rooms
from dashboards.pages.session_page import build_session
from dashboards.pages.sessions_page import build_sessions
from dashboards.pages.shell import ASSETS, Shell
from dashboards.pages.start_page import build_start
from dashboards.pages.ticker import TICK_SECONDS, Ticker
from dashboards.pages.visit import CurrentUser, Place, Visit
from dashboards.user import Role

RECONNECT_SECONDS: Final = 30.0
"""[s] that a page is kept for a browser that lost its connection: a laptop that changes from one network to another"""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the console."""

    path: str
    title: str
    build: Callable[[Visit], object]
    role: Role = Role.VIEWER
    """that it needs; who has less is told so"""


PAGES: Final = (
    Page(paths.ROOMS, "Rooms", build_rooms),
    Page(paths.ROOM, "Room", build_room),
    Page(paths.SESSIONS, "Sessions", build_sessions),
    Page(paths.SESSION, "Session", build_session),
    Page(paths.START, "Start a session", build_start, Role.OPERATOR),
    Page(paths.LIBRARY, "Library", build_library),
    Page(paths.CAPTURES, "Captures", build_captures),
    Page(paths.HISTORY, "History", build_history),
    Page(paths.PAST_SESSION, "Past session", build_past_session),
    Page(paths.EDIT_ROOMS, "Edit rooms", build_rooms_editor, Role.OPERATOR),
    Page(paths.AUDIT, "Audit", build_audit, Role.ADMIN),
    Page(paths.HEALTH, "Health", build_health),
    Page(paths.ACCOUNTS, "Accounts", build_accounts),
)


def pages(desk: Desk, access: Access, work: Work, current_user: CurrentUser) -> Ticker:
    """Register every page with NiceGUI; the ticker that brings them up to date runs with the app."""
    ticker = Ticker(desk.fleet)
    for url_path, file in ASSETS.items():
        nicegui_app.add_static_file(local_file=file, url_path=url_path)
    for page in PAGES:
        _register(page, Place(desk, access, work, current_user), ticker)
    nicegui_app.timer(TICK_SECONDS, ticker.tick)
    return ticker


def run_pages_with(app: FastAPI, **more: Any) -> None:
    """Put NiceGUI on ``app`` as the pages need it; call it last, since it answers every path that is left."""
    ui.run_with(
        app,
        title="slatecast",
        dark=None,
        language="en-US",
        favicon=None,
        tailwind=False,  # a compiler of styles in each browser costs every page 0.3 s; console.css has what we need
        binding_refresh_interval=None,  # nothing of ours is polled: the ticker is the only clock
        reconnect_timeout=RECONNECT_SECONDS,
        show_welcome_message=False,
        **more,
    )


def _register(page: Page, place: Place, ticker: Ticker) -> None:
    def show(request: Request) -> Response | None:
        user = place.current_user(request)
        if user is None:
            return RedirectResponse(paths.LOGIN, status_code=303)
        visit = Visit(place, ticker, request, user)
        shell = Shell(visit, page.title, page.path)
        with shell.content:
            if visit.may(page.role):
                page.build(visit)
            else:
                ui.label(f"{page.title} needs the role {page.role.name.lower()}. Ask an admin for it.")
        return None

    ui.page(page.path)(show)
