"""A real receiver on a real broker, with the broadcaster played by hand: what it says, what it multicasts."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from broadcaster.announcement import build_announcement
from broadcaster.catch_up import CatchUpLane
from broadcaster.encoder import BlockEncoder, SealedSymbols
from broadcaster.transmission import Transmission
from protocol.bitmap import decode_bitmap, ranges_of
from protocol.envelope import open_payload
from protocol.errors import IntegrityError, LibraryError
from protocol.fields import decode_tsi
from protocol.link.interfaces import resolve_interface
from protocol.link.message_stream import Voice
from protocol.link.mqtt import MqttLink
from protocol.link.multicast import MulticastSender, group_for
from protocol.link.tls import server_context
from protocol.messages import (
    ALL_RECEIVERS,
    Announcement,
    FecOti,
    Message,
    MissingBlocks,
    Presence,
    ReceiverReport,
    SessionPhase,
    SignedTicket,
)
from protocol.seal import Seal
from protocol.signing import Purpose
from protocol.ticket import ReceiverKeys, sign_ticket
from receiver.config import ReceiverConfig, SessionOutcome
from receiver.service import Receiver
from tests.brokers import RunningBroker
from tests.sample_messages import DIRECTOR, IMAGE_KEY, status
from tests.sample_trust import authority, enrolment, identity
from tests.simulator.image import ENCODING_SYMBOL_LENGTH, SimulatedImage, draw_image

LO = resolve_interface("lo")
IMAGE: SimulatedImage = draw_image(random.Random(1), 40, 0.5)
SECRET = bytes(32)
PORT = 27_183
BLOCKS = range(len(IMAGE.manifest))
_NUMBERS = itertools.count(1)

Said = TypeVar("Said", ReceiverReport, MissingBlocks, Presence)


def announcement(**changes: object) -> Announcement:
    """A session of its own."""
    tsi = random.SystemRandom().getrandbits(64)
    group = group_for(tsi, ipv6=False)
    with MulticastSender(LO, group, PORT) as sender:
        source = sender.source  # loopback may send from the address of another interface
    made = build_announcement(
        IMAGE.manifest,
        tsi=tsi,
        image_key=IMAGE_KEY.public,
        image_signature=IMAGE_KEY.sign(Purpose.IMAGE, IMAGE.manifest.digest),
        group=group,
        port=PORT,
        source=source,
        oti=FecOti(encoding_symbol_length=ENCODING_SYMBOL_LENGTH),
    )
    return msgspec.structs.replace(made, **changes)


def read_stored(sbn: int) -> bytes:
    """The stored bytes of a block of IMAGE."""
    stored = IMAGE.library.store.read(IMAGE.manifest[sbn].raw_digest)
    assert stored is not None
    return stored


def blocks_of(message: MissingBlocks) -> set[int]:
    """What it says is missing."""
    assert message.first_sbn == 0
    return set(ranges_of(decode_bitmap(message.bitmap, message.block_count)))


class Operator:
    """Plays the broadcaster's part of the control traffic."""

    def __init__(self, link: MqttLink, receiver: ReceiverKeys) -> None:
        self._link = link
        self._voice = Voice(link, DIRECTOR)
        self._receiver = receiver
        self._sequence = 0
        self._unread: list[Message] = []
        """of other kinds than what was waited for"""

    def announce(self, *announcements: Announcement, may_write: bool = True) -> None:
        """And order the receiver to take part in each."""
        for announcement in announcements:
            self._voice.say(announcement, retain=True)
        for announcement in announcements:
            self.order(announcement, may_write=may_write)

    def announce_to_all(self, announcement: Announcement) -> None:
        """And give nobody a ticket."""
        self._voice.say(announcement, retain=True)

    def order(self, announcement: Announcement, *, may_write: bool) -> None:
        """Give the receiver its ticket."""
        self._voice.say(sign_ticket(announcement, self._receiver, SECRET, DIRECTOR, may_write=may_write))

    def publish(self, topic: str, payload: bytes) -> None:
        self._link.publish(topic, payload)

    def say(self, announcement: Announcement, phase: SessionPhase, *settled: str, **changes: Any) -> None:
        self._sequence += 1
        said = status(self._sequence, tsi=announcement.tsi, phase=phase, settled=settled, **changes)
        self._voice.say(said)

    async def next_report(
        self, *announcements: Announcement, until: Callable[[ReceiverReport], bool] = lambda report: True
    ) -> ReceiverReport:
        """Of one of these sessions."""
        wanted = {announcement.tsi for announcement in announcements}
        return await self._next(ReceiverReport, lambda report: report.tsi in wanted and until(report))

    async def next_inventory(self, announcement: Announcement) -> MissingBlocks:
        return await self._next(MissingBlocks, lambda message: message.tsi == announcement.tsi)

    async def next_presence(self, seat: str) -> Presence:
        return await self._next(Presence, lambda presence: presence.seat == seat)

    async def _next(self, kind: type[Said], is_it: Callable[[Said], bool]) -> Said:
        for message in list(self._unread):
            if isinstance(message, kind):
                self._unread.remove(message)
                if is_it(message):
                    return message
        async for topic, payload in self._link.messages():
            if not payload:
                continue
            message = open_payload(topic, payload, self._key_for)
            if not isinstance(message, kind):
                self._unread.append(message)
            elif is_it(message):
                return message
        raise AssertionError(f"no {kind.__name__}")

    def _key_for(self, message: Message) -> bytes:
        if isinstance(message, Presence):
            return message.identity_key  # of an earlier receiver, too: presences are retained
        return DIRECTOR.public if isinstance(message, SignedTicket) else self._receiver.identity_key


@dataclass
class Source:
    """The blocks of IMAGE as a broadcaster of ``announcement`` would send them; some cannot be read."""

    announcement: Announcement
    damaged: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        tsi = decode_tsi(self.announcement.tsi)
        seal = Seal(SECRET, IMAGE.manifest.digest, tsi, ENCODING_SYMBOL_LENGTH)
        self.encoder = BlockEncoder(IMAGE.manifest, self._read, seal, ENCODING_SYMBOL_LENGTH)
        self.objects = (self.encoder.manifest_object(), self.encoder.disk_object())
        self.fetched: list[tuple[int, int]] = []
        """toi and sbn of what the catch-up lane asked for"""

    def multicast(self, toi: int, sbns: Iterable[int]) -> None:
        """All source symbols of these blocks, at once."""
        with MulticastSender(LO, self.announcement.group, self.announcement.port) as sender:
            for sbn in sbns:
                length = self.objects[toi].source_block_length(sbn)
                sealed = self.encoder.encode(Transmission(toi, sbn, length, range(length), is_first_pass=True))
                sender.send_batch([sealed.datagrams], sealed.datagram_length)

    def multicast_manifest(self) -> None:
        self.multicast(0, range(self.objects[0].block_count))

    def encode_for_lane(self, transmission: Transmission) -> SealedSymbols:
        """What a catch-up lane serves."""
        self.fetched.append((transmission.toi, transmission.sbn))
        return self.encoder.encode(transmission)

    def _read(self, sbn: int) -> bytes:
        if sbn in self.damaged:
            raise IntegrityError(f"block {sbn}", bytes(32), b"")
        return read_stored(sbn)


@asynccontextmanager
async def catch_up_lane(
    damaged: Iterable[int] = (), encode: Callable[[Source, Transmission], SealedSymbols] = Source.encode_for_lane
) -> AsyncIterator[tuple[Source, CatchUpLane, list[tuple[int, int]]]]:
    """A session with a catch-up lane, the lane, and what it found damaged."""
    source = Source(announcement(), set(damaged))
    found: list[tuple[int, int]] = []

    def note(toi: int, sbn: int, error: IntegrityError | LibraryError) -> None:
        found.append((toi, sbn))

    with ThreadPoolExecutor(1) as executor:
        lane = CatchUpLane(
            LO,
            tsi=source.announcement.tsi,
            objects=source.objects,
            encode=lambda transmission: encode(source, transmission),
            executor=executor,
            rate_bits_per_second=10**9,
            on_damaged=note,
            tls=server_context(authority().server_identity(), client_authority=authority().certificate),
        )
        async with lane:
            source.announcement = msgspec.structs.replace(source.announcement, catch_up_url=lane.url)
            yield source, lane, found


@asynccontextmanager
async def room(
    broker: RunningBroker, target: Path, *, is_delta: bool = True
) -> AsyncIterator[tuple[Receiver, MqttLink, Operator]]:
    """A receiver that is connected, and somebody to play with it."""
    async with asyncio.timeout(30), MqttLink(broker.address, "operator") as operator_link:
        await operator_link.subscribe(ALL_RECEIVERS)
        who = identity(next(_NUMBERS))
        config = ReceiverConfig("seat", str(target), LO, is_delta=is_delta, countdown_seconds=0)
        receiver = Receiver(config, who, enrolment(who, broker.address))
        async with receiver.link() as link:
            yield receiver, link, Operator(operator_link, who.keys)


@asynccontextmanager
async def taking_part(receiver: Receiver, link: MqttLink) -> AsyncIterator["asyncio.Task[SessionOutcome]"]:
    task = asyncio.create_task(receiver.run_session(link))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
