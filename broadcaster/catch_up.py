"""The catch-up lane: serves single blocks of one session by HTTPS, to seats that would slow the room.

A body is the sealed datagrams of the symbols asked for, byte for byte those of the group, so a receiver opens and
checks them the same way. Receivers that were let in may ask, others do not get beyond their handshake; what that costs
is bounded: requests under way in all and per address, and the rate of all answers together, for which addresses take
turns. Paths are those of ``protocol.catch_up``; there is nothing to list.
"""

import asyncio
import logging
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import AsyncExitStack, contextmanager
from functools import lru_cache
from ipaddress import ip_address
from types import MappingProxyType, TracebackType
from typing import Final, Self

from aiohttp import web

from broadcaster.encoder import SealedSymbols
from broadcaster.http_listener import PRODUCT, READER_PATIENCE, HttpListener
from broadcaster.transmission import TransferObject, Transmission
from broadcaster.turns import RateCap, Turns
from protocol.catch_up import BlockAddress, LaneAddress
from protocol.errors import IntegrityError, LibraryError, MessageError, TransportError
from protocol.link.interfaces import InterfaceInfo
from protocol.link.multicast import MAX_BATCH_DATAGRAMS
from protocol.wire import MAX_REPAIR_SYMBOLS

MAX_REQUESTS: Final = 64
"""[requests] under way, each with up to 370 kB of datagrams: 24 MB; the others are told to come again."""

MAX_REQUESTS_PER_ADDRESS: Final = 4
"""[requests] Stops one machine from taking all of them; a receiver makes two."""

RETRY_AFTER: Final = 1
"""[s] When a refused request may come again: the least that HTTP can say."""

DIGESTS_KEPT: Final = 64
"""[answers] of up to 4 kB to requests for digests: eight for each of the blocks that are sent side by side."""

TURN_SECONDS: Final = 0.005
"""[s] How long a turn lasts at the lane's rate: 200 wake-ups a second. At most 64 kB, as TCP sends at once anyway."""

_TCP_SEGMENT: Final = 1448
"""[bytes] What one Ethernet frame carries of a body, with TCP timestamps."""

_SEGMENT_OVERHEAD: Final = {4: 66, 6: 86}
"""[bytes] Headers of Ethernet, IP and TCP with timestamps, by IP version."""

_logger = logging.getLogger(__name__)


class CatchUpLane:
    """Serves both objects of one session on one interface while entered.

    Args:
        interface: where to listen; its IPv4 address if it has one, unless ``use_ipv6``.
        tsi: the session, as its announcement names it.
        objects: the shapes of objects 0 and 1.
        encode: gives the datagrams of a transmission; runs in ``executor``, raises IntegrityError or LibraryError.
        rate_bits_per_second: link bits of all answers together.
        on_damaged: told once for each toi and sbn that cannot be read from the library, in the event loop.
        port: 0 takes a free one.
        cap: what bounds this lane together with the others of this host.
        symbol_digests: what the symbols of a transmission must hash to; runs and raises as ``encode``. Without it
            nobody is told.
        tls: makes it HTTPS, for those whom the context accepts; None is for tests.
    """

    def __init__(
        self,
        interface: InterfaceInfo,
        *,
        tsi: str,
        objects: tuple[TransferObject, TransferObject],
        encode: Callable[[Transmission], SealedSymbols],
        executor: Executor,
        rate_bits_per_second: int,
        on_damaged: Callable[[int, int, IntegrityError | LibraryError], object],
        port: int = 0,
        use_ipv6: bool = False,
        cap: RateCap | None = None,
        symbol_digests: Callable[[Transmission], bytes] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        text = interface.ipv6 if (use_ipv6 and interface.ipv6) or interface.ipv4 is None else interface.ipv4
        if text is None:
            raise TransportError(f"interface {interface.name} has no address to catch up from: give it one")
        self._host = ip_address(text)
        self._tsi = tsi
        self._objects = objects
        self._encode = encode
        # All seats that a false symbol has reached ask at once, for the same digests.
        self._symbol_digests = None if symbol_digests is None else lru_cache(DIGESTS_KEPT)(symbol_digests)
        self._executor = executor
        self._on_damaged = on_damaged
        self._damaged: set[tuple[int, int]] = set()
        self._turns = Turns(rate_bits_per_second, cap=cap)
        self._is_secure = tls is not None
        self._listener = HttpListener(self._host, port, interface.index, self._answer, tls=tls)
        self._under_way: Counter[str] = Counter()
        self.is_paused = False
        """the lane is busy for everybody; what is under way is finished"""
        self.bytes_sent = 0
        """bytes of bodies handed to the kernel"""
        self.datagrams_sent = 0
        """datagrams in them"""
        self.requests_served = 0
        """answered with a whole body"""
        self.requests_refused = 0
        """told to come again: too many were under way"""
        self.requests_invalid = 0
        """malformed, or for what does not exist"""
        self.digests_served = 0
        """requests for digests of symbols that were answered: about each of these blocks somebody was lied to"""

    @property
    def rate_bits_per_second(self) -> int:
        """Link bits of all answers together; may be set at any time."""
        return self._turns.rate_bits_per_second

    @rate_bits_per_second.setter
    def rate_bits_per_second(self, rate: int) -> None:
        self._turns.rate_bits_per_second = rate

    @property
    def requests_under_way(self) -> int:
        """Requests that are being answered."""
        return self._under_way.total()

    @property
    def url(self) -> str:
        """What to announce, once entered; empty where the interface has only a link-local IPv6 address.

        Such an address leads nowhere on another machine.
        """
        if self._host.version == 6 and self._host.is_link_local:
            return ""
        return str(LaneAddress(self._host, self._listener.port, self._is_secure))

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            TransportError: the address cannot be bound, or the port is taken or not permitted.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._listener)
            turns = asyncio.create_task(self._turns.run(), name="catch-up turns")
            stack.push_async_callback(_end, turns)
            self._entered = stack.pop_all()
        _logger.info("catch-up lane at %s", self.url or self._host)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut what is under way."""
        await self._entered.aclose()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Give one request its answer; cancelled when its connection ends."""
        if request.method != "GET":
            return await self._refuse(request, 405, "only GET", {"Allow": "GET"})
        try:
            asked = BlockAddress.parse(request.raw_path)
            transmission = None if asked is None else self._transmission(asked)
        except MessageError as error:
            return await self._refuse(request, 400, str(error))
        if asked is None or transmission is None:
            return await self._refuse(request, 404, "no such session, object or block")
        address = request.remote or ""
        with self._admitted(address) as is_admitted:
            if not is_admitted:
                self.requests_refused += 1
                return await _send(request, 503, "busy", {"Retry-After": str(RETRY_AFTER)})
            answer = await self._read(transmission, is_digests=asked.asks_digests)
            if isinstance(answer, SealedSymbols):
                return await self._send_symbols(request, address, answer)
            return await self._send_digests(request, address, answer)

    def _transmission(self, asked: BlockAddress) -> Transmission | None:
        """What to encode, or None where there is no such block.

        Raises:
            MessageError: the block has no such symbols, or they are of both kinds.
        """
        if asked.asks_digests and self._symbol_digests is None:
            return None
        if asked.tsi != self._tsi or asked.sbn >= self._objects[asked.toi].block_count:
            return None
        length = self._objects[asked.toi].source_block_length(asked.sbn)
        esis = range(length) if asked.esis is None else asked.esis
        if esis.stop > length + MAX_REPAIR_SYMBOLS or (esis.start < length < esis.stop and not asked.asks_digests):
            raise MessageError(f"the block has {length} source and {MAX_REPAIR_SYMBOLS} repair symbols: ask within one")
        return Transmission(asked.toi, asked.sbn, length, esis, is_first_pass=False)

    @contextmanager
    def _admitted(self, address: str) -> Iterator[bool]:
        # Receivers on this machine, those of a demo, share its address.
        is_crowded = self._under_way[address] >= MAX_REQUESTS_PER_ADDRESS and address != str(self._host)
        if self.is_paused or is_crowded or self.requests_under_way >= MAX_REQUESTS:
            yield False
            return
        self._under_way[address] += 1
        try:
            yield True
        finally:
            self._under_way[address] -= 1
            if not self._under_way[address]:
                del self._under_way[address]

    async def _read(self, transmission: Transmission, *, is_digests: bool) -> SealedSymbols | bytes | None:
        """The symbols of a block or their digests; None where the library does not have it undamaged."""
        block = (transmission.toi, transmission.sbn)
        read = self._symbol_digests if is_digests else self._encode
        assert read is not None
        if block not in self._damaged:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._executor, read, transmission)
            except (IntegrityError, LibraryError) as error:
                if block not in self._damaged:  # another request may have found it meanwhile
                    self._damaged.add(block)
                    self._on_damaged(*block, error)
        return None

    async def _send_digests(self, request: web.BaseRequest, address: str, digests: bytes | None) -> web.StreamResponse:
        if digests is None:
            return await _send(request, 410, "this block is damaged in the library")
        await self._turns.take(address, self._length_on_link(len(digests)))
        self.digests_served += 1
        self.bytes_sent += len(digests)
        return await _send(request, 200, digests)

    async def _send_symbols(self, request: web.BaseRequest, address: str, sealed: SealedSymbols) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream", **PRODUCT})
        response.content_length = len(sealed.datagrams)
        await response.prepare(request)
        patience = READER_PATIENCE
        offset = 0
        while offset < len(sealed.datagrams):
            part = sealed.datagrams[offset : offset + self._turn_length(sealed.datagram_length)]
            offset += len(part)
            await self._turns.take(address, self._length_on_link(len(part)))
            began = time.monotonic()
            try:
                async with asyncio.timeout(patience):
                    if offset < len(sealed.datagrams):
                        await response.write(part)
                    else:  # which waits until all of it is in the kernel
                        await response.write_eof(bytes(part))
            except TimeoutError:
                _cut(request, response)
                return response
            patience -= time.monotonic() - began
            self.bytes_sent += len(part)
            self.datagrams_sent += -(-len(part) // sealed.datagram_length)
        self.requests_served += 1
        return response

    def _turn_length(self, datagram_length: int) -> int:
        """[bytes] Whole datagrams that leave in one turn."""
        fitting = int(self.rate_bits_per_second * TURN_SECONDS / 8 / datagram_length)
        return max(1, min(MAX_BATCH_DATAGRAMS, fitting)) * datagram_length

    def _length_on_link(self, length: int) -> int:
        return length + -(-length // _TCP_SEGMENT) * _SEGMENT_OVERHEAD[self._host.version]

    async def _refuse(
        self, request: web.BaseRequest, status: int, text: str, headers: Mapping[str, str] = MappingProxyType({})
    ) -> web.StreamResponse:
        self.requests_invalid += 1
        return await _send(request, status, text, headers)


async def _send(
    request: web.BaseRequest, status: int, said: str | bytes, headers: Mapping[str, str] = MappingProxyType({})
) -> web.StreamResponse:
    """Answer in one line, or in a few bytes."""
    body = f"{said}\n".encode() if isinstance(said, str) else said
    kind = "text/plain; charset=utf-8" if isinstance(said, str) else "application/octet-stream"
    response = web.Response(status=status, body=body, headers={"Content-Type": kind, **PRODUCT, **headers})
    try:
        async with asyncio.timeout(READER_PATIENCE):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        _cut(request, response)
    return response


def _cut(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """End the connection of a reader that held its answer up."""
    _logger.info("%s took too long to read an answer", request.remote)
    response.force_close()
    if request.transport is not None:
        request.transport.abort()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()  # a failure of ours is not hidden
