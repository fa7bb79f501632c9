import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from broadcaster import service
from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from broadcaster.report import SessionReport
from broadcaster.service import MAX_GROUP_TRIES, Broadcast, CastConfig
from broadcaster.session import StartPolicy
from protocol.errors import IntegrityError, TransportError
from protocol.link.interfaces import resolve_interface
from protocol.link.mqtt import MqttLink
from protocol.link.multicast import DATA_PORT, MulticastReceiver
from protocol.manifest import Manifest
from protocol.messages import (
    ALL_SESSIONS,
    Announcement,
    ReceiverReport,
    ReceiverState,
    SessionPhase,
    SessionStatus,
    announcement_topic,
    decode_message,
    encode_message,
    topic_of,
)
from protocol.wire import HEADER_LENGTH, TAG_LENGTH, TOI_DISK, TOI_MANIFEST, decode_header
from tests.brokers import RunningBroker

pytestmark = [pytest.mark.system, pytest.mark.slow]

LO = resolve_interface("lo")
RATE = 100_000_000

REPORT = {
    "receiver_id": f"{1:032x}",
    "seat": "seat",
    "state": ReceiverState.READY,
    "reason": "",
    "target": "/dev/sda",
    "has_manifest": False,
    **dict.fromkeys(("blocks_total", "blocks_missing", "bytes_received", "symbols_expected", "symbols_lost"), 0),
    **dict.fromkeys(("blocks_repaired", "buffer_drops", "backlog_bytes", "bytes_to_verify", "bytes_verified"), 0),
    "buffer_fill_ratio": 0.0,
}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open_or_create(tmp_path / "library")


@pytest.fixture
def manifest(tmp_path: Path, library: Library) -> Manifest:
    source = tmp_path / "source.img"
    source.write_bytes(random.Random(1).randbytes(1 << 20))
    return add_image(library, source, "lab").manifest


def config(expected_seats: int = 1, wait: float = 30.0) -> CastConfig:
    return CastConfig(LO, StartPolicy(expected_seats, wait), RATE, RATE, use_ipv6=False)


class Seat:
    """Plays one receiver: hears what the broadcaster says, reports what the test wants."""

    def __init__(self, link: MqttLink, broadcast: Broadcast) -> None:
        self.heard: list[Announcement | SessionStatus | bytes] = []
        self._link = link
        self._tsi = broadcast.session.announcement.tsi
        self._sequence = 0

    def report(self, **fields: Any) -> None:
        self._sequence += 1
        report = ReceiverReport(**{**REPORT, "tsi": self._tsi, "sequence": self._sequence, **fields})
        self._link.publish(topic_of(report), encode_message(report))

    def publish(self, topic: str, payload: bytes) -> None:
        self._link.publish(topic, payload)

    async def until(self, phase: SessionPhase) -> SessionStatus:
        """The first status in a phase."""
        async for topic, payload in self._link.messages():
            if self._tsi not in topic:
                continue
            message = decode_message(topic, payload) if payload else payload
            assert isinstance(message, Announcement | SessionStatus | bytes)
            self.heard.append(message)
            if isinstance(message, SessionStatus) and message.phase is phase:
                return message
        raise AssertionError(f"never {phase}")

    async def cleared(self) -> bool:
        """Whether the retained announcement is cleared after the end."""
        async for topic, payload in self._link.messages():
            if topic == announcement_topic(self._tsi):
                return not payload
        return False


@asynccontextmanager
async def running(
    library: Library, manifest: Manifest, broker: RunningBroker, config: CastConfig
) -> AsyncIterator[tuple[Broadcast, Seat, "asyncio.Task[SessionReport]"]]:
    async with (
        asyncio.timeout(30),
        MqttLink(broker.address, "broadcaster") as link,
        MqttLink(broker.address, "seat") as seat_link,
    ):
        await seat_link.subscribe(ALL_SESSIONS)
        broadcast = Broadcast(library, manifest, config, link)
        run = asyncio.create_task(broadcast.run())
        try:
            yield broadcast, Seat(seat_link, broadcast), run
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)


@pytest.mark.asyncio
async def test_a_session_from_announcement_to_its_end(
    library: Library, manifest: Manifest, broker: RunningBroker
) -> None:
    async with running(library, manifest, broker, config()) as (broadcast, seat, run):
        announced = broadcast.session.announcement
        with listening(broadcast) as arrived:
            seat.publish("slatecast/v1/receivers/nobody/report", b"{")  # what is no message disturbs nobody
            await seat.until(SessionPhase.WAITING)
            assert announced in seat.heard
            seat.report()
            await seat.until(SessionPhase.MANIFEST)
            seat.report(has_manifest=True, state=ReceiverState.RECEIVING)
            await seat.until(SessionPhase.DISK)
            while (await seat.until(SessionPhase.DISK)).position < len(manifest):
                pass
            seat.report(has_manifest=True, state=ReceiverState.VERIFIED)
            ended = await seat.until(SessionPhase.ENDED)
            assert await seat.cleared()
            report = await run
    assert ended.settled == (f"{1:032x}",)
    assert {(toi, sbn) for toi, sbn, _ in arrived} == {
        (TOI_MANIFEST, 0),
        *((TOI_DISK, sbn) for sbn in range(len(manifest))),
    }
    assert report.datagrams_sent == len(arrived) == ended.datagrams_sent
    assert report.bytes_on_wire == broadcast.bytes_sent == sum(length for _, _, length in arrived)
    assert report.bytes_on_wire > manifest.header.stored_bytes + len(arrived) * (HEADER_LENGTH + TAG_LENGTH)
    assert [each.outcome for each in report.seats] == ["verified"]


@contextmanager
def listening(broadcast: Broadcast) -> Iterator[list[tuple[int, int, int]]]:
    """Object, block and length of every datagram that arrives meanwhile."""
    found: list[tuple[int, int, int]] = []

    def read() -> None:
        while (batch := group.receive()) is not None:
            data, length = batch
            for start in range(0, len(data), length):
                datagram = data[start : start + length]
                header = decode_header(datagram)
                found.append((header.toi, header.payload_id.sbn, len(datagram)))

    with MulticastReceiver(LO, broadcast.session.announcement.group, DATA_PORT) as group:
        loop = asyncio.get_running_loop()
        loop.add_reader(group.fileno(), read)
        try:
            yield found
        finally:
            read()
            loop.remove_reader(group.fileno())


@pytest.mark.asyncio
async def test_an_abort_tells_the_room_and_reports_what_there_is(
    library: Library, manifest: Manifest, broker: RunningBroker
) -> None:
    async with running(library, manifest, broker, config(expected_seats=2)) as (broadcast, seat, run):
        seat.report()
        await seat.until(SessionPhase.WAITING)
        while not len(broadcast.session.roster):
            await seat.until(SessionPhase.WAITING)
        broadcast.abort("the bell rang")
        assert await seat.until(SessionPhase.ENDED)
        report = await run
    assert report.end_reason == "the bell rang"
    assert [each.outcome for each in report.seats] == ["absent", "aborted"]


@pytest.mark.asyncio
async def test_cancellation_tells_the_room_too(library: Library, manifest: Manifest, broker: RunningBroker) -> None:
    async with running(library, manifest, broker, config()) as (_, seat, run):
        await seat.until(SessionPhase.WAITING)
        run.cancel()
        assert await seat.until(SessionPhase.ENDED)
        assert await seat.cleared()


@pytest.mark.asyncio
async def test_a_damaged_chunk_ends_the_session_and_is_not_sent(
    library: Library, manifest: Manifest, broker: RunningBroker
) -> None:
    chunk = manifest[2]
    digest = chunk.raw_digest.hex()
    path = library.root / "chunks" / digest[:2] / digest[2:]
    path.write_bytes(bytes(chunk.stored_length))
    async with running(library, manifest, broker, config()) as (broadcast, seat, run):
        with listening(broadcast) as arrived:
            seat.report()
            await seat.until(SessionPhase.MANIFEST)
            seat.report(has_manifest=True, state=ReceiverState.RECEIVING)
            assert await seat.until(SessionPhase.ENDED)
            with pytest.raises(IntegrityError, match=f"chunk {chunk.chunk_id} at byte {chunk.offset} is damaged"):
                await run
    assert (TOI_DISK, 2) not in {(toi, sbn) for toi, sbn, _ in arrived}
    assert (TOI_MANIFEST, 0) in {(toi, sbn) for toi, sbn, _ in arrived}


@pytest.mark.asyncio
async def test_a_group_that_is_taken_is_passed_over(
    library: Library, manifest: Manifest, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def listen(_interface: object, group: str, _port: int, _seconds: float) -> bool:
        asked.append(group)
        return len(asked) <= 2

    monkeypatch.setattr(service, "listen_for_foreign", listen)
    async with MqttLink(broker.address, "broadcaster") as link:
        broadcast = Broadcast(library, manifest, config(), link)
        assert broadcast.session.announcement.group == asked[2]
        assert len(set(asked)) == 3
        monkeypatch.setattr(service, "listen_for_foreign", lambda *_: True)
        with pytest.raises(TransportError, match=f"all of {MAX_GROUP_TRIES} group addresses are taken"):
            Broadcast(library, manifest, config(), link)
