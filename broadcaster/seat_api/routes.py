"""What can be asked of the seat API: one row for each route, with the bounds of its body. Pure.

A path that is in no row does not exist. The paths themselves are those of ``protocol.seat_api`` and
``protocol.capture``.
"""

from enum import Enum, auto
from typing import Final, NamedTuple

from protocol.capture import (
    CAPTURES_PATH,
    MAX_CHUNKS_BODY,
    MAX_DISK_BODY,
    MAX_LACKING_DIGESTS,
    CaptureAddress,
)
from protocol.digests import DIGEST_LENGTH
from protocol.seat_api import API_ROOT, MAX_API_BODY, RESTORES_PATH, WORK_PATH, SessionAddress


class Asked(Enum):
    """What a request is for."""

    WORK = auto()
    RESTORE = auto()
    CONFIGURATION = auto()
    FILE = auto()
    STEP = auto()
    WISH = auto()
    STATE = auto()
    LACKING = auto()
    CHUNKS = auto()
    DISK = auto()
    PROGRESS = auto()
    FAILURE = auto()


class Route(NamedTuple):
    """One thing that can be asked."""

    asked: Asked
    method: str
    template: str
    """its path; what stands in braces is hex digits"""
    longest: int = 0
    """[bytes] of its body; 0 takes none"""
    is_held: bool = False
    """its body is long and held in memory, so few of them are read at a time"""


_SESSION: Final = f"{API_ROOT}/sessions/{{tsi}}"
_CAPTURE: Final = f"{CAPTURES_PATH}/{{id}}"

ROUTES: Final = (
    Route(Asked.WORK, "GET", WORK_PATH),
    Route(Asked.RESTORE, "POST", RESTORES_PATH, MAX_API_BODY),
    Route(Asked.CONFIGURATION, "GET", f"{_SESSION}/configuration"),
    Route(Asked.FILE, "GET", f"{_SESSION}/files/{{digest}}"),
    Route(Asked.STEP, "POST", f"{_SESSION}/steps", MAX_API_BODY),
    Route(Asked.WISH, "POST", CAPTURES_PATH, MAX_API_BODY),
    Route(Asked.STATE, "GET", _CAPTURE),
    Route(Asked.LACKING, "POST", f"{_CAPTURE}/lacking", MAX_LACKING_DIGESTS * DIGEST_LENGTH),
    Route(Asked.CHUNKS, "POST", f"{_CAPTURE}/chunks", MAX_CHUNKS_BODY, is_held=True),
    Route(Asked.DISK, "POST", f"{_CAPTURE}/disk", MAX_DISK_BODY),
    Route(Asked.PROGRESS, "POST", f"{_CAPTURE}/progress", MAX_API_BODY),
    Route(Asked.FAILURE, "POST", f"{_CAPTURE}/failure", MAX_API_BODY),
)

_BY_TEMPLATE: Final = {route.template: route for route in ROUTES}
_FIXED: Final = frozenset({WORK_PATH, RESTORES_PATH, CAPTURES_PATH})


class Match(NamedTuple):
    """A path that exists."""

    route: Route
    tsi: str = ""
    digest: bytes = b""
    capture_id: str = ""


def match_path(path: str) -> Match | None:
    """What a path of any origin, query included, stands for; None where there is nothing."""
    if path in _FIXED:
        return Match(_BY_TEMPLATE[path])
    session = SessionAddress.parse(path)
    if session is not None:
        tail = "files/{digest}" if session.what == "files" else session.what
        return Match(_BY_TEMPLATE[f"{_SESSION}/{tail}"], tsi=session.tsi, digest=session.digest)
    capture = CaptureAddress.parse(path)
    if capture is None:
        return None
    template = f"{_CAPTURE}/{capture.what}" if capture.what else _CAPTURE
    return Match(_BY_TEMPLATE[template], capture_id=capture.capture_id)
