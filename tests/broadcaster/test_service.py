import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from broadcaster.cast_config import CastConfig
from broadcaster.cast_record import RECORD_INTERVAL, CastRecord
from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from broadcaster.readiness import StartPolicy
from broadcaster.report import SessionReport
from broadcaster.saved_cast import CASTS_FOLDER, CastStore
from broadcaster.service import Broadcast
from protocol.admission import sign_admission
from protocol.bitmap import encode_bitmap
from protocol.envelope import open_payload
from protocol.link.interfaces import resolve_interface
from protocol.link.message_stream import Voice
from protocol.link.mqtt import MqttLink
from protocol.link.multicast import DATA_PORT, MulticastReceiver
from protocol.manifest import Manifest
from protocol.messages import (
    ALL_SESSIONS,
    Announcement,
    MissingBlocks,
    ReceiverState,
    SessionPhase,
    SessionStatus,
    announcement_topic,
)
from protocol.ranges import RangeSet
from protocol.wire import HEADER_LENGTH, TAG_LENGTH, TOI_DISK, TOI_MANIFEST, decode_header
from tests.brokers import RunningBroker
from tests.sample_messages import DIRECTOR, presence, report
from tests.sample_trust import credentials, identity

pytestmark = [pytest.mark.system, pytest.mark.slow]

LO = resolve_interface("lo")
RATE = 100_000_000

IDENTITY = identity(1)
SEAT = IDENTITY.receiver_id
RECEIVING: dict[str, Any] = {"state": ReceiverState.RECEIVING, "has_manifest": True, "has_scanned": True}


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
        self._voice = Voice(link, IDENTITY.signing_key)
        self._tsi = broadcast.session.announcement.tsi
        self._sequence = 0

    async def come(self) -> None:
        """Report for the first time, once the broadcaster listens: a real receiver repeats itself."""
        await self.until(SessionPhase.WAITING)
        self.say_hello()
        self.report()

    def say_hello(self) -> None:
        keys = IDENTITY.keys
        self._voice.say(
            presence(
                1,
                receiver_id=SEAT,
                identity_key=keys.identity_key,
                sealing_key=keys.sealing_key,
                boot_nonce=keys.boot_nonce,
                admission=sign_admission(keys, DIRECTOR),
            )
        )

    def report(self, **fields: Any) -> None:
        self._sequence += 1
        self._voice.say(report(1, self._sequence, **{"tsi": self._tsi, "receiver_id": SEAT, **fields}))

    def misses(self, blocks: RangeSet, block_count: int) -> None:
        """It holds the manifest, and these blocks are not on its disk."""
        self.report(**RECEIVING)
        self._sequence += 1
        said = MissingBlocks(
            tsi=self._tsi,
            receiver_id=SEAT,
            sequence=self._sequence,
            first_sbn=0,
            block_count=block_count,
            bitmap=encode_bitmap(blocks, 0, block_count),
        )
        self._voice.say(said)

    def publish(self, topic: str, payload: bytes) -> None:
        self._link.publish(topic, payload)

    async def until(self, phase: SessionPhase) -> SessionStatus:
        """The first status in a phase."""
        async for topic, payload in self._link.messages():
            if self._tsi not in topic:
                continue
            message = open_payload(topic, payload, lambda _: DIRECTOR.public) if payload else payload
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


def record_of(library: Library, manifest: Manifest) -> CastRecord:
    """The record of a new cast, or of one that was killed."""
    store = CastStore(library.root / CASTS_FOLDER)
    return CastRecord(store, manifest, store.find(manifest.digest, LO.name))


@asynccontextmanager
async def running(
    library: Library, manifest: Manifest, broker: RunningBroker, config: CastConfig, *, is_held: bool = False
) -> AsyncIterator[tuple[Broadcast, Seat, "asyncio.Task[SessionReport]"]]:
    record = await asyncio.to_thread(record_of, library, manifest)
    broadcast = Broadcast(
        library,
        manifest,
        config,
        record=record,
        broker=broker.address,
        credentials=credentials(manifest),
        is_held=is_held,
    )
    async with (
        asyncio.timeout(30),
        broadcast.link("broadcaster"),
        MqttLink(broker.address, "seat") as seat_link,
        broadcast,
    ):
        await seat_link.subscribe(ALL_SESSIONS)
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
            await seat.come()
            assert announced in seat.heard
            await seat.until(SessionPhase.MANIFEST)
            seat.misses(RangeSet([(0, len(manifest))]), len(manifest))
            await seat.until(SessionPhase.DISK)
            while (await seat.until(SessionPhase.DISK)).position < len(manifest):
                pass
            seat.report(has_manifest=True, state=ReceiverState.VERIFIED)
            ended = await seat.until(SessionPhase.ENDED)
            assert await seat.cleared()
            report = await run
    assert ended.settled == (SEAT,)
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
        await seat.come()
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
async def test_only_what_the_seat_misses_is_sent(library: Library, manifest: Manifest, broker: RunningBroker) -> None:
    async with running(library, manifest, broker, config()) as (broadcast, seat, run):
        with listening(broadcast) as arrived:
            await seat.come()
            await seat.until(SessionPhase.MANIFEST)
            seat.misses(RangeSet([(1, 2), (3, 4)]), len(manifest))
            while (await seat.until(SessionPhase.DISK)).position < len(manifest):
                pass
            seat.report(has_manifest=True, state=ReceiverState.VERIFIED)
            await run
    assert {sbn for toi, sbn, _ in arrived if toi == TOI_DISK} == {1, 3}


@pytest.mark.asyncio
async def test_a_damaged_chunk_is_not_sent_and_the_rest_is(
    library: Library, manifest: Manifest, broker: RunningBroker
) -> None:
    chunk = manifest[2]
    digest = chunk.raw_digest.hex()
    path = library.root / "chunks" / digest[:2] / digest[2:]
    path.write_bytes(bytes(chunk.stored_length))
    async with running(library, manifest, broker, config()) as (broadcast, seat, run):
        with listening(broadcast) as arrived:
            await seat.come()
            await seat.until(SessionPhase.MANIFEST)
            seat.misses(RangeSet([(0, len(manifest))]), len(manifest))
            await seat.until(SessionPhase.DISK)
            while not run.done():
                seat.report(**RECEIVING, blocks_total=len(manifest), blocks_missing=1)
                await asyncio.wait([run], timeout=0.5)
    (seat_report,) = run.result().seats
    assert (seat_report.outcome, seat_report.verified) == ("incomplete", False)
    assert seat_report.reason.startswith("1 block is damaged in the library, first 2: image lab, version 1: ")
    assert f"chunk {chunk.chunk_id} at byte {chunk.offset} is damaged" in seat_report.reason
    assert {sbn for toi, sbn, _ in arrived if toi == TOI_DISK} == set(range(len(manifest))) - {2}
    assert (TOI_MANIFEST, 0) in {(toi, sbn) for toi, sbn, _ in arrived}


@pytest.mark.asyncio
async def test_a_broadcaster_that_was_killed_resumes_the_session(
    library: Library, manifest: Manifest, broker: RunningBroker
) -> None:
    """The first run ends without a farewell to its record, as a process does that is killed."""
    async with running(library, manifest, broker, config()) as (broadcast, seat, run):
        await seat.come()
        await seat.until(SessionPhase.MANIFEST)
        seat.misses(RangeSet([(0, len(manifest))]), len(manifest))
        while (await seat.until(SessionPhase.DISK)).position < len(manifest):
            pass
        first = broadcast.session.announcement
        generation = [each.sequence for each in seat.heard if isinstance(each, SessionStatus)][-1] >> 32
        await asyncio.sleep(RECORD_INTERVAL * 1.5)  # the record is written by the clock
        left_behind = {path: path.read_bytes() for path in (library.root / CASTS_FOLDER).glob("*.cast")}
    assert len(left_behind) == 1
    for path, state in left_behind.items():
        path.write_bytes(state)
        path.chmod(0o600)
    async with running(library, manifest, broker, config()) as (broadcast, seat, run):
        again = broadcast.session.announcement
        assert (again.tsi, again.group) == (first.tsi, first.group)
        assert broadcast.bytes_sent > manifest.header.stored_bytes
        status = await seat.until(SessionPhase.MANIFEST)
        assert status.sequence >> 32 > generation
        seat._sequence = 100  # what it said before is known
        seat.say_hello()  # a broadcaster that was started anew knows nobody
        with listening(broadcast) as arrived:
            seat.misses(RangeSet([(2, 3)]), len(manifest))
            await seat.until(SessionPhase.DISK)
            seat.report(has_manifest=True, state=ReceiverState.VERIFIED)
            report = await run
    assert {toi for toi, _, _ in arrived} <= {TOI_DISK}
    assert [each.outcome for each in report.seats] == ["verified"]
    assert list((library.root / CASTS_FOLDER).glob("*.cast")) == []


@pytest.mark.asyncio
async def test_a_plan_sends_the_disk_when_it_is_released_and_not_while_it_is_paused(
    library: Library, manifest: Manifest, broker: RunningBroker
) -> None:
    planned = {**RECEIVING, "state": ReceiverState.PLANNED}
    async with running(library, manifest, broker, config(30), is_held=True) as (broadcast, seat, run):
        with listening(broadcast) as arrived:
            await seat.come()
            seat.report(**planned)
            await seat.until(SessionPhase.MANIFEST)
            seat.misses(RangeSet([(0, len(manifest))]), len(manifest))
            seat.report(**planned)
            for _ in range(3):
                assert (await seat.until(SessionPhase.MANIFEST)).rate_bits_per_second
            assert {toi for toi, _, _ in arrived} == {TOI_MANIFEST}
            broadcast.pause()
            while not (await seat.until(SessionPhase.MANIFEST)).is_paused:
                pass
            broadcast.release(expected_seats=1)
            seat.report(**RECEIVING)
            for _ in range(3):
                assert (await seat.until(SessionPhase.MANIFEST)).is_paused
            assert {toi for toi, _, _ in arrived} == {TOI_MANIFEST}
            broadcast.resume()
            while (await seat.until(SessionPhase.DISK)).position < len(manifest):
                pass
            seat.report(has_manifest=True, state=ReceiverState.VERIFIED)
            report = await run
    assert {sbn for toi, sbn, _ in arrived if toi == TOI_DISK} == set(range(len(manifest)))
    assert "verified" in [each.outcome for each in report.seats]


@pytest.mark.asyncio
async def test_a_session_that_is_suspended_says_no_farewell_and_resumes_as_what_it_was(
    library: Library, manifest: Manifest, broker: RunningBroker
) -> None:
    async with running(library, manifest, broker, config(), is_held=True) as (broadcast, seat, run):
        await seat.come()
        await seat.until(SessionPhase.MANIFEST)
        broadcast.suspend()
        report = await run
        first = broadcast.session.announcement
    assert (report.end_reason, [each.outcome for each in report.seats]) == ("", ["aborted"])
    assert not any(isinstance(each, SessionStatus) and each.phase is SessionPhase.ENDED for each in seat.heard)
    assert b"" not in seat.heard
    async with running(library, manifest, broker, config()) as (broadcast, _, run):
        assert broadcast.session.announcement.tsi == first.tsi
        assert broadcast.session.is_held
        broadcast.abort("dropped")
        assert (await run).end_reason == "dropped"
    assert list((library.root / CASTS_FOLDER).glob("*.cast")) == []


@pytest.mark.asyncio
async def test_a_seat_that_is_dismissed_is_told_and_its_machine_gets_no_ticket_any_more(
    library: Library, manifest: Manifest, broker: RunningBroker
) -> None:
    async with running(library, manifest, broker, config(2)) as (broadcast, seat, _):
        await seat.come()
        while not len(broadcast.session.roster):
            await seat.until(SessionPhase.WAITING)
        assert not broadcast.dismiss("0" * 32)
        assert not broadcast.move_to_catch_up("0" * 32)
        assert broadcast.move_to_catch_up(SEAT)
        while SEAT not in (await seat.until(SessionPhase.WAITING)).catch_up:
            pass
        assert broadcast.dismiss(SEAT)
        while SEAT not in (await seat.until(SessionPhase.WAITING)).dismissed:
            pass
        assert broadcast._control.dismissed_machines == {"machine-1"}
