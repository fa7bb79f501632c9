"""Bodies of the seat API: read and sent in parts, within bounds of length and patience, whoever is at the other end."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from aiohttp import web

from broadcaster.http_listener import PRODUCT
from protocol.errors import MessageError, RefusedError

PART_PATIENCE: Final = 10.0
"""[s] How long nothing of a body may come, or be taken: a disk that is being read stalls for less."""

SLOWEST_RATE: Final = 128 * 1024
"""[bytes/s] Who sends or reads a body slower than 1 Mbit/s, beyond PART_PATIENCE, holds a place that others need."""

FILE_PART: Final = 256 * 1024
"""[bytes] of a file that are read and sent at a time."""


async def parts_of(request: web.BaseRequest, longest: int) -> AsyncIterator[bytes]:
    """The body of a request, as it comes.

    Raises:
        MessageError: it is longer than ``longest`` bytes, comes too slowly, or does not come to its end.
    """
    if (request.content_length or 0) > longest:
        raise MessageError(f"a body of more than {longest} bytes")
    began, length = time.monotonic(), 0
    try:
        while True:
            async with asyncio.timeout(PART_PATIENCE):
                part = await request.content.readany()
            if not part:
                return
            length += len(part)
            if length > longest:
                raise MessageError(f"a body of more than {longest} bytes")
            if time.monotonic() - began > PART_PATIENCE + length / SLOWEST_RATE:
                raise MessageError("a body that comes too slowly")
            yield part
    except (TimeoutError, ValueError, web.RequestPayloadError):
        raise MessageError("a body that does not come") from None


async def body_of(request: web.BaseRequest, longest: int) -> bytes:
    """All of it; raises as ``parts_of``."""
    body = bytearray()
    async for part in parts_of(request, longest):
        body += part
    return bytes(body)


async def send_file(request: web.BaseRequest, path: Path) -> web.StreamResponse:
    """Answer with the contents of a file; a reader that is too slow loses its connection.

    Raises:
        RefusedError: it cannot be read.
    """
    try:
        file = await asyncio.to_thread(path.open, "rb")
    except OSError as error:
        raise RefusedError(f"a file of the configuration cannot be read: {error.strerror}") from error
    with file:
        length = await asyncio.to_thread(file.seek, 0, 2)
        await asyncio.to_thread(file.seek, 0)
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream", **PRODUCT})
        response.content_length = length
        await response.prepare(request)
        began, sent = time.monotonic(), 0
        while sent < length:
            part = await asyncio.to_thread(file.read, min(FILE_PART, length - sent))
            sent += len(part)
            is_slow = time.monotonic() - began > PART_PATIENCE + sent / SLOWEST_RATE
            if not part or is_slow or not await _is_taken(response, part):
                response.force_close()
                if request.transport is not None:
                    request.transport.abort()
                return response
        await response.write_eof()
    return response


async def _is_taken(response: web.StreamResponse, part: bytes) -> bool:
    try:
        async with asyncio.timeout(PART_PATIENCE):
            await response.write(part)
    except TimeoutError:
        return False
    return True
