import asyncio
import random
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest
from aiohttp import web

from broadcaster import catch_up, http_listener
from broadcaster.authority import Authority
from broadcaster.catch_up import MAX_REQUESTS, MAX_REQUESTS_PER_ADDRESS, CatchUpLane
from broadcaster.encoder import BlockEncoder, SealedSymbols
from broadcaster.transmission import TransferObject, Transmission
from broadcaster.turns import RateCap
from protocol.blocks import BlockBuffer
from protocol.catch_up import BlockAddress
from protocol.errors import IntegrityError, LibraryError, MessageError, TransportError
from protocol.link.interfaces import InterfaceInfo
from protocol.link.tls import pinned_context, server_context
from protocol.seal import Seal
from receiver.catch_up_source import CatchUpSource
from receiver.decoder import recover_stored
from receiver.identity import ReceiverIdentity
from tests.brokers import receiver_tls_identity
from tests.simulator.image import ENCODING_SYMBOL_LENGTH as L
from tests.simulator.image import draw_image

pytestmark = [pytest.mark.asyncio, pytest.mark.system]

TSI = "000000000000004d"
GIGABIT = 10**9
LOOPBACK = InterfaceInfo("lo", 1, "127.0.0.1", "::1", 65536, None, is_loopback=True, is_wireless=False)
BIG = 100
"""[datagrams] in each block of ``filler``."""

IMAGE = draw_image(random.Random(5), 12)


def seal() -> Seal:
    return Seal(bytes(range(32)), IMAGE.manifest.digest, int(TSI, 16), L)


def encoder(read_stored: Callable[[int], bytes] = IMAGE.stored.__getitem__) -> BlockEncoder:
    return BlockEncoder(IMAGE.manifest, read_stored, seal(), L)


def filler(transmission: Transmission) -> SealedSymbols:
    """Symbols of no image at all, many of them."""
    return SealedSymbols(transmission, memoryview(bytes(len(transmission.esis) * 1450)), 1450)


FILLER_SHAPES = (TransferObject(1, lambda _: 191), TransferObject(1000, lambda _: BIG))


@dataclass
class Damages:
    found: list[tuple[int, int, str]] = field(default_factory=list)

    def add(self, toi: int, sbn: int, error: IntegrityError | LibraryError) -> None:
        self.found.append((toi, sbn, str(error)))


@asynccontextmanager
async def lane_of(
    encode: Callable[[Transmission], SealedSymbols] | None = None,
    shapes: tuple[TransferObject, TransferObject] | None = None,
    *,
    rate: int = GIGABIT,
    damages: Damages | None = None,
    interface: InterfaceInfo = LOOPBACK,
    use_ipv6: bool = False,
    cap: RateCap | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[CatchUpLane]:
    with ThreadPoolExecutor(2) as executor:
        lane = CatchUpLane(
            interface,
            tsi=TSI,
            objects=shapes or (encoder().manifest_object(), encoder().disk_object()),
            encode=encode or encoder().encode,
            executor=executor,
            rate_bits_per_second=rate,
            on_damaged=(damages or Damages()).add,
            use_ipv6=use_ipv6,
            cap=cap,
            tls=tls,
        )
        async with lane:
            yield lane


@dataclass
class Answer:
    status: int
    head: str
    body: bytes


async def ask(lane: CatchUpLane, path: str, *, method: str = "GET", source: str = "127.0.0.2") -> Answer:
    """One request on a connection of its own."""
    port = int(lane.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return Answer(int(head.split()[1]), head.decode(), body)


def path_to(toi: int, sbn: int, esis: range | None = None) -> str:
    return str(BlockAddress(TSI, toi, sbn, esis))


# --- what is served --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("use_ipv6", [False, True])
async def test_a_receiver_opens_what_it_fetches_like_what_the_group_brings(use_ipv6: bool) -> None:
    async with (
        lane_of(use_ipv6=use_ipv6) as lane,
        CatchUpSource(lane.url, TSI, L, None) as source,
    ):
        datagram_count = 0
        for toi, stored_blocks in ((0, [IMAGE.manifest.encode()]), (1, IMAGE.stored)):
            shape = (encoder().manifest_object(), encoder().disk_object())[toi]
            for sbn, stored in enumerate(stored_blocks):
                k = shape.source_block_length(sbn)
                block = BlockBuffer(bytearray((k + 64) * L))
                block.reset(toi, sbn, k)
                # all source symbols but the last, by themselves; then one repair symbol
                for esis in (None,) if k == 1 else (range(k - 1), range(k + 3, k + 4)):
                    fetched = await source.fetch(toi, sbn, esis)
                    assert fetched is not None
                    counts = seal().open_batch(fetched, L + 34, lambda *_, b=block: (b.symbols, b.ledger))
                    assert counts.opened == len(esis or range(k))
                    datagram_count += counts.opened
                assert bytes(recover_stored(block, L, len(stored))) == stored
        assert lane.bytes_sent == source.bytes_received
        assert lane.datagrams_sent == datagram_count
        assert lane.requests_refused == lane.requests_invalid == 0


async def test_with_tls_it_serves_those_with_a_certificate() -> None:
    authority, receiver = Authority.create(), ReceiverIdentity.draw()
    tls = server_context(authority.server_identity(), client_authority=authority.certificate)
    identity = receiver_tls_identity(receiver, authority)
    strangers = [
        None,  # no certificate
        receiver_tls_identity(receiver, Authority.create()),
        authority.server_identity(),
    ]
    async with lane_of(tls=tls) as lane:
        assert lane.url.startswith("https://")
        async with CatchUpSource(lane.url, TSI, L, pinned_context(authority.certificate, identity)) as source:
            expected = encoder().encode(
                Transmission(1, 0, encoder().disk_object().source_block_length(0), range(3), is_first_pass=True)
            )
            assert await source.fetch(1, 0, range(3)) == bytes(expected.datagrams)
        for stranger in strangers:
            async with CatchUpSource(lane.url, TSI, L, pinned_context(authority.certificate, stranger)) as source:
                with pytest.raises(TransportError, match=r"^catch-up lane https://.* certificate"):
                    await source.fetch(1, 0, range(3))
        other = pinned_context(Authority.create().certificate, identity)
        async with CatchUpSource(lane.url, TSI, L, other) as source:
            with pytest.raises(TransportError, match=r"^catch-up lane https://.* not trusted"):
                await source.fetch(1, 0, range(3))
        assert lane.requests_served == 1
        with pytest.raises(MessageError, match="TLS"):
            CatchUpSource(lane.url, TSI, L, None)
        with pytest.raises(MessageError, match="TLS"):
            CatchUpSource(lane.url.replace("https", "http"), TSI, L, other)


async def test_the_body_is_the_datagrams_of_the_group_to_the_byte() -> None:
    async with lane_of() as lane:
        for sbn in range(len(IMAGE.stored)):
            k = encoder().disk_object().source_block_length(sbn)
            for esis in (None, range(k - 1, k), range(k, k + 64)):
                expected = encoder().encode(Transmission(1, sbn, k, esis or range(k), is_first_pass=True))
                answer = await ask(lane, path_to(1, sbn, esis))
                assert answer.status == 200
                assert answer.body == expected.datagrams
                assert f"Content-Length: {len(expected.datagrams)}" in answer.head
                assert "Content-Type: application/octet-stream" in answer.head


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/v1/sessions", 404),
        ("/v1/sessions/000000000000004d/objects/1/blocks", 404),
        ("/favicon.ico", 404),
        ("/metrics", 404),
        (path_to(1, 12), 404),
        (path_to(0, 1), 404),
        (path_to(2, 0), 404),
        (path_to(1, 0).replace("4d", "4e"), 404),
        (path_to(1, 0) + "?", 400),
        (path_to(1, 0) + "?first_esi=0", 400),
        (path_to(1, 0) + "?first_esi=0&count=0", 400),
        (path_to(1, 0) + "?first_esi=0&count=255", 400),
        (path_to(1, 0) + "?first_esi=99999&count=1", 400),
    ],
)
async def test_there_is_nothing_else(path: str, status: int) -> None:
    async with lane_of() as lane:
        answer = await ask(lane, path)
        assert answer.status == status
        assert answer.body.count(b"\n") == 1
        assert lane.requests_invalid == 1
        assert lane.bytes_sent == 0


async def test_symbols_that_the_block_does_not_have() -> None:
    k = encoder().disk_object().source_block_length(3)
    async with lane_of() as lane:
        for esis in (range(k - 1, k + 1), range(k + 64, k + 65), range(k, k + 65), range(k + 1)):
            assert (await ask(lane, path_to(1, 3, esis))).status == 400


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH"])
async def test_nothing_but_get(method: str) -> None:
    async with lane_of() as lane:
        answer = await ask(lane, path_to(1, 0), method=method)
        assert answer.status == 405
        assert "Allow: GET" in answer.head
        assert "Server: slatecast\r\n" in answer.head  # and neither a version nor a library


# --- what is damaged -------------------------------------------------------------------------------------------------


async def test_a_damaged_block_is_told_once_and_the_others_are_served() -> None:
    def read_stored(sbn: int) -> bytes:
        reads.append(sbn)
        if sbn == 3:
            raise IntegrityError("chunk 3", bytes(32), bytes(32))
        if sbn == 4:
            raise LibraryError("the library is gone")
        return IMAGE.stored[sbn]

    reads: list[int] = []
    damages = Damages()
    async with lane_of(encoder(read_stored).encode, damages=damages) as lane:
        async with CatchUpSource(lane.url, TSI, L, None) as source:
            assert await asyncio.gather(*(source.fetch(1, sbn) for sbn in (3, 3, 3, 4, 4))) == [None] * 5
            assert await source.fetch(1, 5) is not None
        assert [found[:2] for found in damages.found] == [(1, 3), (1, 4)]
        assert "chunk 3" in damages.found[0][2]
        before = list(reads)
        assert (await ask(lane, path_to(1, 3))).status == 410
        assert reads == before


# --- what is bounded -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def held_lane() -> AsyncIterator[tuple[CatchUpLane, threading.Event]]:
    """A lane that encodes nothing before the event."""
    go = threading.Event()

    def encode(transmission: Transmission) -> SealedSymbols:
        assert go.wait(20)
        return filler(transmission)

    try:
        async with lane_of(encode, FILLER_SHAPES) as lane:
            yield lane, go
    finally:
        go.set()


@pytest.mark.asyncio
async def test_a_lane_that_is_paused_is_busy_for_everybody_until_it_goes_on() -> None:
    async with lane_of(filler, FILLER_SHAPES) as lane:
        lane.is_paused = True
        answers = [await ask(lane, path_to(1, number)) for number in range(3)]
        assert [answer.status for answer in answers] == [503] * 3
        assert lane.bytes_sent == 0
        lane.is_paused = False
        assert (await ask(lane, path_to(1, 0))).status == 200


async def check_refusals(lane: CatchUpLane, go: threading.Event, sources: list[str], refused_count: int) -> None:
    """Ask from all these addresses at once; ``refused_count`` are answered while none of the others can be."""
    asking = [asyncio.create_task(ask(lane, path_to(1, n), source=source)) for n, source in enumerate(sources)]
    answers = []
    for number, each in enumerate(asyncio.as_completed(asking), 1):
        answers.append(await each)
        if number == refused_count:
            assert lane.requests_under_way == len(sources) - refused_count
            go.set()
    assert [answer.status for answer in answers] == [503] * refused_count + [200] * (len(sources) - refused_count)
    assert all("Retry-After: 1\r\n" in answer.head for answer in answers[:refused_count])
    assert lane.requests_refused == refused_count
    assert lane.requests_under_way == 0
    assert not lane._under_way  # nor is anything kept of whoever asked


@pytest.mark.slow
async def test_sixty_addresses_at_once() -> None:
    async with held_lane() as (lane, go):
        sources = [f"127.0.1.{n}" for n in range(1, 61)] * 2
        await check_refusals(lane, go, sources, len(sources) - MAX_REQUESTS)
        assert lane.datagrams_sent == MAX_REQUESTS * BIG
        assert lane.bytes_sent == MAX_REQUESTS * BIG * 1450


async def test_one_address_does_not_take_all() -> None:
    async with held_lane() as (lane, go):
        await check_refusals(lane, go, ["127.0.0.2"] * (MAX_REQUESTS_PER_ADDRESS + 2) + ["127.0.0.3"], 2)


async def test_receivers_on_the_broadcasters_machine_share_its_address() -> None:
    async with held_lane() as (lane, go):
        go.set()
        answers = await asyncio.gather(*(ask(lane, path_to(1, n), source="127.0.0.1") for n in range(30)))
        assert {answer.status for answer in answers} == {200}


@pytest.mark.slow
async def test_all_answers_together_keep_to_the_rate() -> None:
    async with lane_of(filler, FILLER_SHAPES, rate=GIGABIT) as lane:
        lane.rate_bits_per_second = 20_000_000
        assert lane.rate_bits_per_second == 20_000_000
        began = time.monotonic()
        await asyncio.gather(*(ask(lane, path_to(1, n), source=f"127.0.0.{n + 2}") for n in range(5)))
        seconds = time.monotonic() - began
        # Ethernet, IP and TCP headers count, and the first turns have a few milliseconds of credit.
        least = 5 * BIG * 1450 * 8 * (1 + 66 / 1448) / 20_000_000
        assert least - 0.01 <= seconds <= least + 2


async def test_an_address_with_many_requests_does_not_delay_another() -> None:
    async with held_lane() as (lane, go):
        lane.rate_bits_per_second = 50_000_000
        greedy = [asyncio.create_task(ask(lane, path_to(1, n))) for n in range(MAX_REQUESTS_PER_ADDRESS)]
        modest = asyncio.create_task(ask(lane, path_to(1, 9), source="127.0.0.3"))
        go.set()
        assert (await modest).status == 200
        assert not all(task.done() for task in greedy)
        await asyncio.gather(*greedy)


async def test_a_cap_of_the_host_is_asked_for_every_byte_on_the_link() -> None:
    class Cap:
        reserved = 0

        def reserve(self, length: int) -> float:
            self.reserved += length
            return 0.0

    cap = Cap()
    async with lane_of(filler, FILLER_SHAPES, cap=cap) as lane:
        assert (await ask(lane, path_to(1, 0))).status == 200
    assert BIG * 1450 * 1.04 < cap.reserved < BIG * 1450 * 1.06


@pytest.fixture
def was_cut(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when the lane has lost its patience with a reader; the kernel's buffers are small meanwhile."""

    def cut(request: web.BaseRequest, response: web.StreamResponse) -> None:
        really_cut(request, response)
        event.set()

    event, really_cut = asyncio.Event(), catch_up._cut
    monkeypatch.setattr(catch_up, "_cut", cut)
    monkeypatch.setattr(http_listener, "SEND_BUFFER_BYTES", 4096)
    return event


@contextmanager
def slow_reader(lane: CatchUpLane, path: str) -> Iterator[socket.socket]:
    """A socket that has asked, and has little room for the answer."""
    with socket.socket() as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asking.connect(("127.0.0.1", int(lane.url.rpartition(":")[2])))
        asking.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        asking.setblocking(False)
        yield asking


@pytest.mark.parametrize("esis", [None, range(20)])
async def test_a_reader_that_does_not_read_is_cut_off(
    esis: range | None, was_cut: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "READER_PATIENCE", 0.05)
    async with lane_of(filler, FILLER_SHAPES) as lane:
        with slow_reader(lane, path_to(1, 0, esis)):
            await asyncio.wait_for(was_cut.wait(), 10)
        assert lane.requests_served == 0
        assert (await ask(lane, path_to(1, 0))).status == 200
        assert lane.requests_under_way == 0


@pytest.mark.slow
async def test_a_reader_that_dribbles_is_cut_off(was_cut: asyncio.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "READER_PATIENCE", 0.5)
    loop = asyncio.get_running_loop()
    async with lane_of(filler, FILLER_SHAPES) as lane:
        with slow_reader(lane, path_to(0, 0)) as dribbling, suppress(ConnectionError):
            # 277 kB take this reader 0.7 s at least, but no write of the lane waits for more than half of that.
            for _ in range(100):
                if not await loop.sock_recv(dribbling, 4096):
                    break
                await asyncio.sleep(0.01)
        assert was_cut.is_set()
        assert lane.requests_served == 0


@pytest.mark.slow
async def test_who_hangs_up_makes_room_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "MAX_REQUESTS", 1)
    monkeypatch.setattr(catch_up, "RETRY_AFTER", 0)
    async with lane_of(filler, FILLER_SHAPES, rate=100_000) as lane:
        port = int(lane.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path_to(1, 0)} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await reader.readexactly(1000)  # at this rate the rest takes ten seconds
        writer.transport.abort()
        lane.rate_bits_per_second = GIGABIT
        async with CatchUpSource(lane.url, TSI, 1416, None) as source:
            assert await source.fetch(1, 1) == bytes(BIG * 1450)
        assert lane.requests_served == 1


async def test_leaving_cuts_what_is_under_way() -> None:
    async with lane_of(filler, FILLER_SHAPES, rate=100_000) as lane:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(lane.url.rpartition(":")[2]))
        writer.write(f"GET {path_to(1, 0)} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await reader.readexactly(1000)
        began = time.monotonic()
    assert time.monotonic() - began < 1
    with pytest.raises((ConnectionError, EOFError)):
        await reader.readexactly(BIG * 1450)
    writer.close()


async def test_leaving_waits_for_no_reader(was_cut: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    with ExitStack() as reading:
        async with lane_of(filler, FILLER_SHAPES) as lane:
            slow = reading.enter_context(slow_reader(lane, path_to(0, 0)))
            received = len(await loop.sock_recv(slow, 4096))
            began = time.monotonic()
        assert time.monotonic() - began < 1
        with suppress(ConnectionError):
            while part := await loop.sock_recv(slow, 65536):
                received += len(part)
    assert received < 40_000  # what the kernel had, and nothing that still waited in here
    assert not was_cut.is_set()


# --- where it is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "use_ipv6", "host"),
    [
        ("127.0.0.1", None, False, "http://127.0.0.1:"),
        ("127.0.0.1", None, True, "http://127.0.0.1:"),
        ("127.0.0.1", "::1", False, "http://127.0.0.1:"),
        ("127.0.0.1", "::1", True, "http://[::1]:"),
        (None, "::1", False, "http://[::1]:"),
    ],
)
async def test_url(ipv4: str | None, ipv6: str | None, use_ipv6: bool, host: str) -> None:
    async with lane_of(interface=replace(LOOPBACK, ipv4=ipv4, ipv6=ipv6), use_ipv6=use_ipv6) as lane:
        assert lane.url.startswith(host)
        assert not lane.url.endswith(":0")


async def test_a_link_local_address_leads_nowhere() -> None:
    with ThreadPoolExecutor(1) as executor:
        for ipv6, url in (("fe80::1", ""), ("fd00::1", "http://[fd00::1]:7")):
            lane = CatchUpLane(
                replace(LOOPBACK, ipv4=None, ipv6=ipv6),
                tsi=TSI,
                objects=FILLER_SHAPES,
                encode=filler,
                executor=executor,
                rate_bits_per_second=1,
                on_damaged=Damages().add,
                port=7,
            )
            assert lane.url == url


async def test_an_interface_without_address_is_refused() -> None:
    with pytest.raises(TransportError, match="lo has no address"):
        async with lane_of(interface=replace(LOOPBACK, ipv4=None, ipv6=None)):
            pass
