"""The seat API: an HTTPS listener for admitted receivers, which hands what they ask to captures, restores and
configurations.

Whoever cannot prove by a certificate of our authority that he is a receiver does not get beyond the handshake; who
proves to be something else is refused. An admitted receiver may be hostile all the same: bodies are bounded and read
in parts, requests under way are counted per receiver and in all, large bodies wait for one of a few places, and what
does not move is cut. It knows nothing of disks, images or steps, and logs no request.
"""

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address
from types import TracebackType
from typing import Final, Self

import msgspec
from aiohttp import web

from broadcaster.http_listener import PRODUCT, HttpListener
from broadcaster.seat_api.bodies import body_of, parts_of, send_file
from broadcaster.seat_api.routes import Asked, Match, match_path
from broadcaster.seat_api.services import Captures, Configurations, NoConfigurations, NoRestores, Restores
from protocol.capture import CaptureFailure, CaptureProgress, CaptureState, CaptureWish, encode_lacking
from protocol.digests import DIGEST_LENGTH
from protocol.errors import ConfigError, LibraryError, ManifestError, MessageError, RefusedError
from protocol.fields import MAX_LONG_TEXT, MAX_SHORT_TEXT
from protocol.seat_api import RestoreWish, Work, decode_api

MAX_REQUESTS: Final = 192
"""[requests] under way; a room of 60 that works all at once makes 120."""

MAX_REQUESTS_PER_RECEIVER: Final = 4
"""[requests] Stops one machine from taking all places: a capture sends two bodies at a time and tells its progress."""

MAX_LARGE_BODIES: Final = 12
"""[requests] whose large bodies are in memory: 16 MiB each, 192 MiB in all."""

LARGE_PATIENCE: Final = 20.0
"""[s] for which a large body waits for its place, unread, before it is told to come again."""

RETRY_AFTER: Final = "2"
"""[s] When a request that found no room may come again."""

_RECEIVER_ID: Final = re.compile(r"[0-9a-f]{32}")


class SeatApi:
    """Serves the seat API on one address while entered.

    Args:
        host: the address to bind.
        port: 0 takes a free one; ``port`` says which.
        interface_index: the system's number of the interface, which link-local IPv6 addresses need.
        tls: shows our certificate and demands a receiver's.
        captures: asked for all that concerns captures.

    ``restores`` (places, notices, self-service) and ``configurations`` (what is done to a disk after it was written)
    have nothing to offer until they are set.
    """

    def __init__(
        self,
        host: IPv4Address | IPv6Address,
        port: int,
        interface_index: int,
        *,
        tls: ssl.SSLContext,
        captures: Captures,
    ) -> None:
        self.restores: Restores = NoRestores()
        self.configurations: Configurations = NoConfigurations()
        self._host = host
        self._captures = captures
        self._listener = HttpListener(host, port, interface_index, self._answer, tls=tls)
        self._under_way: Counter[str] = Counter()
        self._large = asyncio.Semaphore(MAX_LARGE_BODIES)
        self._answers: Final[Mapping[Asked, _Handler]] = {
            Asked.WORK: self._work,
            Asked.RESTORE: self._restore,
            Asked.CONFIGURATION: self._configuration,
            Asked.FILE: self._file,
            Asked.STEP: self._step,
            Asked.WISH: self._wish,
            Asked.STATE: self._state,
            Asked.LACKING: self._lacking,
            Asked.CHUNKS: self._chunks,
            Asked.DISK: self._disk,
            Asked.PROGRESS: self._progress,
            Asked.FAILURE: self._failure,
        }
        self.requests_refused = 0
        """told to come again: too many were under way"""

    @property
    def port(self) -> int:
        """The port it listens on; known once entered."""
        return self._listener.port

    @property
    def url(self) -> str:
        """What receivers are told, once entered; empty for a link-local IPv6 address, which leads nowhere elsewhere."""
        if self._host.version == 6 and self._host.is_link_local:
            return ""
        host = f"[{self._host}]" if self._host.version == 6 else str(self._host)
        return f"https://{host}:{self.port}"

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            TransportError: the address cannot be bound, or the port is taken or not permitted.
        """
        await self._listener.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut all connections."""
        await self._listener.__aexit__(kind, error, trace)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        receiver_id = _receiver_of(request)
        if receiver_id is None:
            return _said(HTTPStatus.FORBIDDEN, "only receivers that were admitted may ask")
        match = match_path(request.path_qs)
        if match is None:
            return _said(HTTPStatus.NOT_FOUND, "there is no such path")
        if request.method != match.route.method:
            return _said(HTTPStatus.METHOD_NOT_ALLOWED, f"only {match.route.method}", Allow=match.route.method)
        with self._place(receiver_id) as has_place:
            if not has_place:
                return self._busy()
            return await self._served(receiver_id, match, request)

    async def _served(self, receiver_id: str, match: Match, request: web.BaseRequest) -> web.StreamResponse:
        try:
            if not match.route.is_held:
                return await self._answers[match.route.asked](receiver_id, match, request)
            try:
                async with asyncio.timeout(LARGE_PATIENCE):
                    await self._large.acquire()
            except TimeoutError:
                return self._busy()
            try:
                return await self._answers[match.route.asked](receiver_id, match, request)
            finally:
                self._large.release()
        except (MessageError, ConfigError, ManifestError) as error:
            return _said(HTTPStatus.BAD_REQUEST, str(error))
        except LibraryError as error:
            return _said(HTTPStatus.INSUFFICIENT_STORAGE, str(error), **{"Retry-After": RETRY_AFTER})
        except RefusedError as error:
            return _said(HTTPStatus.CONFLICT, str(error))

    @contextmanager
    def _place(self, receiver_id: str) -> Iterator[bool]:
        is_crowded = self._under_way[receiver_id] >= MAX_REQUESTS_PER_RECEIVER
        if is_crowded or self._under_way.total() >= MAX_REQUESTS:
            yield False
            return
        self._under_way[receiver_id] += 1
        try:
            yield True
        finally:
            self._under_way[receiver_id] -= 1
            if not self._under_way[receiver_id]:
                del self._under_way[receiver_id]

    def _busy(self) -> web.Response:
        self.requests_refused += 1
        return _said(HTTPStatus.SERVICE_UNAVAILABLE, "too many ask at once", **{"Retry-After": RETRY_AFTER})

    # --- work, restores, configurations -----------------------------------------------------------------------------

    async def _work(self, receiver_id: str, match: Match, request: web.BaseRequest) -> web.StreamResponse:
        seat, room = self.restores.place_of(receiver_id)
        work = Work(
            seat=seat[:MAX_SHORT_TEXT],
            room=room[:MAX_SHORT_TEXT],
            capture=self._captures.order(receiver_id),
            restore=self.restores.offer(receiver_id),
            notice=self.restores.notice(receiver_id)[:MAX_LONG_TEXT],
        )
        return _json(msgspec.json.encode(work))

    async def _restore(self, receiver_id: str, match: Match, request: web.BaseRequest) -> web.StreamResponse:
        wish = decode_api(await body_of(request, match.route.longest), RestoreWish)
        return _json(msgspec.json.encode(await self.restores.wish(receiver_id, wish)))

    async def _configuration(self, receiver_id: str, match: Match, request: web.BaseRequest) -> web.StreamResponse:
        found = await self.configurations.configuration(match.tsi, receiver_id)
        return _nothing() if found is None else _json(found)

    async def _file(self, receiver_id: str, match: Match, request: web.BaseRequest) -> web.StreamResponse:
        path = await self.configurations.file(match.tsi, receiver_id, match.digest)
        return _nothing() if path is None else await send_file(request, path)

    async def _step(self, receiver_id: str, match: Match, request: web.BaseRequest) -> web.StreamResponse:
        await self.configurations.step(match.tsi, receiver_id, await body_of(request, match.route.longest))
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=PRODUCT)

    # --- captures ---------------------------------------------------------------------------------------------------

    async def _wish(self, receiver_id: str, match: Match, request: web.BaseRequest) -> web.StreamResponse:
        wish = decode_api(await body_of(request, match.route.longest), CaptureWish)
        return _state(await self._captures.wish(receiver_id, wish))

    async def _state(self, receiver_id: str, match: Match, request: web.BaseRequest) -> web.StreamResponse:
        return _state(self._captures.state(receiver_id, match.capture_id))

    async def _lacking(self, receiver_id: str, match: Match, request: web.BaseRequest) -> web.StreamResponse:
        body = await body_of(request, match.route.longest)
        if not body or len(body) % DIGEST_LENGTH:
            raise MessageError(f"{len(body)} bytes are no digests of {DIGEST_LENGTH}")
        digests = [body[start : start + DIGEST_LENGTH] for start in range(0, len(body), DIGEST_LENGTH)]
        lacking = await self._captures.lacking(receiver_id, match.capture_id, digests)
        return _nothing() if lacking is None else _bytes(encode_lacking(lacking))

    async def _chunks(self, receiver_id: str, match: Match, request: web.BaseRequest) -> web.StreamResponse:
        if self._captures.state(receiver_id, match.capture_id) is None:
            return _nothing()
        body = await body_of(request, match.route.longest)
        return _state(await self._captures.chunks(receiver_id, match.capture_id, body))

    async def _disk(self, receiver_id: str, match: Match, request: web.BaseRequest) -> web.StreamResponse:
        parts = parts_of(request, match.route.longest)
        return _state(await self._captures.disk(receiver_id, match.capture_id, parts))

    async def _progress(self, receiver_id: str, match: Match, request: web.BaseRequest) -> web.StreamResponse:
        progress = decode_api(await body_of(request, match.route.longest), CaptureProgress)
        return _state(await self._captures.progress(receiver_id, match.capture_id, progress))

    async def _failure(self, receiver_id: str, match: Match, request: web.BaseRequest) -> web.StreamResponse:
        failure = decode_api(await body_of(request, match.route.longest), CaptureFailure)
        return _state(await self._captures.failure(receiver_id, match.capture_id, failure))


_Handler = Callable[[str, Match, web.BaseRequest], Awaitable[web.StreamResponse]]


def _receiver_of(request: web.BaseRequest) -> str | None:
    """The receiver that the certificate of this connection names; None where it is another's."""
    proved = None if request.transport is None else request.transport.get_extra_info("peercert")
    names = [value for part in (proved or {}).get("subject", ()) for key, value in part if key == "commonName"]
    return names[0] if len(names) == 1 and _RECEIVER_ID.fullmatch(names[0]) else None


def _state(state: CaptureState | None) -> web.Response:
    return _nothing() if state is None else _json(msgspec.json.encode(state))


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", headers={**PRODUCT, "Cache-Control": "no-store"})


def _bytes(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/octet-stream", headers=PRODUCT)


def _nothing() -> web.Response:
    return _said(HTTPStatus.NOT_FOUND, "there is nothing of this id for this receiver")


def _said(status: HTTPStatus, text: str, **headers: str) -> web.Response:
    """One line; a connection whose request may not have been read to its end is of no further use."""
    response = web.Response(status=status, text=f"{text}\n", headers={**PRODUCT, **headers})
    response.force_close()
    return response
