"""What a host offers to the seats beside its sessions: captures, and the seat API that they and others are asked by."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broadcaster.audit import AUDIT_FILE, AuditEvent, AuditLog
from broadcaster.captures.intake import CaptureIntake
from broadcaster.captures.register import Attending
from broadcaster.cast_audit import note, utc_now, who_orders
from broadcaster.control_side import Control
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from broadcaster.seat_api.api import SeatApi
from protocol.link.whole_file import replace_whole

PORT_FILE: Final = "seat-api.port"
"""In the folder of the library: seats that are at work while a host is killed go on with the one after it."""

LARGEST_PORT: Final = 65_535

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SeatSide:
    """Both, once they are open."""

    captures: CaptureIntake
    api: SeatApi


@asynccontextmanager
async def open_seat_side(
    library: Library,
    keys: KeyStore,
    control: Control,
    attending: Attending,
    *,
    kept_for: Callable[[str], int],
    on_change: Callable[[], object],
    on_image: Callable[[], object],
) -> AsyncIterator[SeatSide]:
    """Go on with the captures of a library, and listen for seats.

    Args:
        library: where captured images go.
        keys: the image key signs them; the authority vouches for both sides of the seat API.
        control: where the seat API listens.
        attending: who is there.
        kept_for: how many backups of a machine stay.
        on_change: told when operators should be told.
        on_image: told when there is a new image.

    Raises:
        LibraryError: the captures cannot be read.
        TransportError: the seat API cannot listen.
    """

    def write_down(event: AuditEvent, fields: Mapping[str, str | int]) -> None:
        log = AuditLog(library.root / AUDIT_FILE, keys.director)
        note(log, event, utc_now(), {**who_orders(), **fields})

    async with AsyncExitStack() as stack:
        captures = CaptureIntake(
            library,
            keys.image,
            attending,
            kept_for=kept_for,
            on_change=on_change,
            on_image=on_image,
            write_down=write_down,
            utc_now=lambda: utc_now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        await stack.enter_async_context(captures)
        file = library.root / PORT_FILE
        api = await stack.enter_async_context(control.seat_api(captures, await asyncio.to_thread(_kept_port, file)))
        await asyncio.to_thread(_keep_port, file, api.port)
        yield SeatSide(captures, api)


def _kept_port(file: Path) -> int | None:
    """Where the host before this one listened; None where nobody knows."""
    try:
        port = int(file.read_text("ascii"))
    except (OSError, ValueError):
        return None
    return port if 0 < port <= LARGEST_PORT else None


def _keep_port(file: Path, port: int) -> None:
    try:
        replace_whole(file, str(port).encode(), 0o600)
    except OSError as error:
        _logger.warning("seats that are at work may not find the next host: %s: %s", file, error.strerror or error)
