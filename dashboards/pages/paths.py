"""Where each page is: the paths that pages link to. Pure."""

from typing import Final
from urllib.parse import quote

ROOMS: Final = "/"
ROOM: Final = "/rooms/{room:path}"
"""the name of a room may hold any character, a slash as well"""
SESSIONS: Final = "/sessions"
SESSION: Final = "/sessions/{tsi}"
START: Final = "/start"
LIBRARY: Final = "/library"
CAPTURES: Final = "/captures"
HISTORY: Final = "/history"
PAST_SESSION: Final = "/history/{tsi}"
AUDIT: Final = "/audit"
HEALTH: Final = "/health-page"
"""not /health, which is for machines and needs no login"""
EDIT_ROOMS: Final = "/edit-rooms"
ACCOUNTS: Final = "/accounts"
LOGIN: Final = "/login"
LOGOUT: Final = "/logout"


def room_path(room: str) -> str:
    """The page of a room."""
    return f"/rooms/{quote(room, safe='')}"


def session_path(tsi: str) -> str:
    """The page of a session."""
    return f"/sessions/{quote(tsi, safe='')}"


def past_session_path(tsi: str) -> str:
    """The page of a session in the history."""
    return f"{HISTORY}/{quote(tsi, safe='')}"


def start_path(room: str = "", tsi: str = "", image: str = "", version: int = 0) -> str:
    """The page that starts a session in ``room`` with ``image``, or shows the plan ``tsi``; what is empty is chosen."""
    if tsi:
        return f"{START}?tsi={quote(tsi, safe='')}"
    wanted = {"room": room, "image": image, "version": str(version) if version else ""}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in wanted.items() if value)
    return f"{START}?{query}" if query else START


def report_path(tsi: str, form: str) -> str:
    """The report of a session that has ended; ``form`` is json or html."""
    return f"{session_path(tsi)}/report.{form}"
