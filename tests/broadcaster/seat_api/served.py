"""A seat API under test: what it asks is noted, what it answers is given."""

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp

from broadcaster.authority import Authority
from broadcaster.seat_api.api import SeatApi
from protocol.capture import CaptureFailure, CaptureProgress, CaptureState, CaptureStep, CaptureWish
from protocol.link.tls import TlsIdentity, pinned_context, server_context
from protocol.seat_api import CaptureOrder, RestoreAnswer, RestoreOffer, RestoreWish
from receiver.identity import ReceiverIdentity
from tests import sample_trust

HOST = "127.0.0.1"
CAPTURE_ID = "0123456789abcdef"
TSI = "fedcba9876543210"


async def until(holds: Callable[[], object]) -> None:
    """Wait for what other tasks do, 10 s at most."""
    async with asyncio.timeout(10):
        for _ in itertools.takewhile(lambda _: not holds(), itertools.count()):
            await asyncio.sleep(0.01)


class PlayedCaptures:
    """One capture of one receiver; ``asked`` is all that was asked, ``error`` is raised instead of an answer."""

    def __init__(self, receiver_id: str) -> None:
        self.receiver_id = receiver_id
        self.asked: list[tuple[str, Any]] = []
        self.error: Exception | None = None
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.waiting = 0

    def order(self, receiver_id: str) -> CaptureOrder | None:
        if receiver_id != self.receiver_id:
            return None
        return CaptureOrder(capture_id=CAPTURE_ID, image="windows", is_backup=False, target="")

    async def wish(self, receiver_id: str, wish: CaptureWish) -> CaptureState:
        return await self._answered(receiver_id, CAPTURE_ID, "wish", wish) or self._state()

    def state(self, receiver_id: str, capture_id: str) -> CaptureState | None:
        return self._state() if (receiver_id, capture_id) == (self.receiver_id, CAPTURE_ID) else None

    async def lacking(self, receiver_id: str, capture_id: str, digests: Sequence[bytes]) -> list[bool] | None:
        state = await self._answered(receiver_id, capture_id, "lacking", list(digests))
        return None if state is None else [digest[0] == 0 for digest in digests]

    async def chunks(self, receiver_id: str, capture_id: str, body: bytes) -> CaptureState | None:
        return await self._answered(receiver_id, capture_id, "chunks", body)

    async def disk(self, receiver_id: str, capture_id: str, body: AsyncIterator[bytes]) -> CaptureState | None:
        return await self._answered(receiver_id, capture_id, "disk", b"".join([part async for part in body]))

    async def progress(self, receiver_id: str, capture_id: str, progress: CaptureProgress) -> CaptureState | None:
        return await self._answered(receiver_id, capture_id, "progress", progress)

    async def failure(self, receiver_id: str, capture_id: str, failure: CaptureFailure) -> CaptureState | None:
        return await self._answered(receiver_id, capture_id, "failure", failure)

    async def _answered(self, receiver_id: str, capture_id: str, what: str, asked: object) -> CaptureState | None:
        self.waiting += 1
        await self.goes_on.wait()
        self.waiting -= 1
        self.asked.append((what, asked))
        if self.error is not None:
            raise self.error
        return self.state(receiver_id, capture_id)

    def _state(self) -> CaptureState:
        return CaptureState(capture_id=CAPTURE_ID, step=CaptureStep.RUNNING, image="windows")


class PlayedRestores:
    """One image is offered to everybody."""

    offered = RestoreOffer(image="windows", version=3, created="2026-11-21T20:00:00Z")

    def offer(self, receiver_id: str) -> RestoreOffer | None:
        return self.offered

    async def wish(self, receiver_id: str, wish: RestoreWish) -> RestoreAnswer:
        return RestoreAnswer(tsi=TSI if wish.version == 3 else "", refusal="" if wish.version == 3 else "look again")

    def place_of(self, receiver_id: str) -> tuple[str, str]:
        return "seat" * 30, "room"

    def notice(self, receiver_id: str) -> str:
        return "hello"


class PlayedConfigurations:
    """One file, for one receiver and session."""

    def __init__(self, receiver_id: str, path: Path) -> None:
        self._receiver_id = receiver_id
        self._path = path
        self.steps: list[bytes] = []

    async def configuration(self, tsi: str, receiver_id: str) -> bytes | None:
        return b"{}" if (tsi, receiver_id) == (TSI, self._receiver_id) else None

    async def file(self, tsi: str, receiver_id: str, digest: bytes) -> Path | None:
        return self._path if (tsi, receiver_id, digest) == (TSI, self._receiver_id, b"\1" * 32) else None

    async def step(self, tsi: str, receiver_id: str, body: bytes) -> None:
        self.steps.append(body)


class Served:
    """The API, its collaborators, and ways to ask it."""

    def __init__(self, folder: Path) -> None:
        self.receiver = ReceiverIdentity.draw()
        self.captures = PlayedCaptures(self.receiver.receiver_id)
        self.restores = PlayedRestores()
        self.configurations = PlayedConfigurations(self.receiver.receiver_id, folder / "file")
        authority = sample_trust.authority()
        self.api = SeatApi(
            ip_address(HOST),
            0,
            1,
            tls=server_context(authority.server_identity(), client_authority=authority.certificate),
            captures=self.captures,
        )
        self.api.restores = self.restores
        self.api.configurations = self.configurations

    def tls(self, receiver: ReceiverIdentity | None = None, authority: Authority | None = None) -> ssl.SSLContext:
        """As an admitted receiver connects, or as one of another authority."""
        ours = sample_trust.authority()
        receiver = receiver or self.receiver
        certificate = (authority or ours).receiver_certificate(receiver.keys.identity_key)
        return pinned_context(ours.certificate, TlsIdentity(certificate, receiver.tls_private_key))

    @asynccontextmanager
    async def session(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[aiohttp.ClientSession]:
        """Of HTTP, with the url of the API."""
        connector = aiohttp.TCPConnector(ssl=tls or self.tls())
        async with aiohttp.ClientSession(self.api.url, connector=connector) as session:
            yield session

    async def ask(self, method: str, path: str, body: bytes | None = None, **how: Any) -> tuple[int, bytes]:
        """Status and body."""
        async with self.session(**how) as session, session.request(method, path, data=body) as response:
            return response.status, await response.read()
