"""A real receiver under strace, a real broker, and somebody who can say anything on it.

Not one system call writes to the disk, or opens it for writing, before the real order comes; that order does both.
"""

import asyncio
import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from broadcaster.keys import KeyStore
from protocol.envelope import signed_payload
from protocol.errors import MessageError
from protocol.link.mqtt import MqttLink
from protocol.messages import (
    ALL_RECEIVERS,
    ALL_SESSIONS,
    Announcement,
    Message,
    Presence,
    ReceiverReport,
    SignedTicket,
    decode_message,
    topic_of,
)
from protocol.signing import Purpose
from protocol.ticket import ReceiverKeys
from tests.brokers import Mosquitto
from tests.end_to_end.room import KEYS, PATIENCE, Room, Running
from tests.forged_orders.forger import Forger, Scene
from tests.sample_orders import OTHER_IMAGE_KEY

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: apt-get install strace"),
]

FORGED = 50
SEED = 11

WRITING = re.compile(
    r"\b(?:p?write(?:64|v2?)?|pwritev2?|ftruncate(?:64)?|truncate|fallocate|sendfile|copy_file_range|splice|mmap"
    r"|io_uring_enter|io_submit|BLKZEROOUT|BLKDISCARD)\b\(?"
    r"|O_RDWR|O_WRONLY"
)
"""What strace says of a call that can change a file, or prepares it."""

Said = TypeVar("Said", Announcement, Presence, ReceiverReport, SignedTicket)


class Eavesdropper:
    """Reads all that is said on the broker, and can say anything."""

    def __init__(self, link: MqttLink) -> None:
        self._link = link
        self._heard: list[Message] = []
        self._news = asyncio.Event()

    async def listen(self) -> None:
        async for topic, payload in self._link.messages():
            try:
                self._heard.append(decode_message(topic, payload.rpartition(b"\n")[0]))
            except MessageError:
                continue  # our own forgeries come back
            self._news.set()

    async def until(self, kind: type[Said], is_wanted: Callable[[Said], bool]) -> Said:
        async with asyncio.timeout(PATIENCE):
            while True:
                for message in self._heard:
                    if isinstance(message, kind) and is_wanted(message):
                        return message
                self._news.clear()
                await self._news.wait()

    def say(self, topic: str, payload: bytes) -> None:
        self._link.publish(topic, payload)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with Room(tmp_path) as room:
        yield room


@pytest.mark.asyncio
async def test_no_forged_order_makes_a_receiver_write(room: Room, mosquitto: Callable[..., Mosquitto]) -> None:
    broker = mosquitto()
    await broker.start()
    url = f"mqtt://{broker.address.host}:{broker.address.port}"
    image, target, log = room.add(room.source()), room.target("seat"), room.folder / "strace.log"
    old = target.read_bytes()
    async with MqttLink(broker.address, "eavesdropper") as link:
        await link.subscribe(ALL_SESSIONS)
        await link.subscribe(ALL_RECEIVERS)
        ear = Eavesdropper(link)
        listening = asyncio.create_task(ear.listen())
        first = room.cast(image, "--broker", url, "--expect", 9, "--wait", 600)
        door = await until(first.door)
        receiver = traced(room, log, target, door)
        presence = await ear.until(Presence, lambda one: one.is_online)
        ended = await ear.until(Announcement, lambda one: True)
        ended_ticket = await ear.until(SignedTicket, lambda one: one.receiver_id == presence.receiver_id)
        await ear.until(ReceiverReport, lambda one: one.receiver_id == presence.receiver_id)
        await asyncio.to_thread(first.interrupt)

        store = KeyStore.open(room.folder / KEYS)
        assert store.image is not None
        keys = ReceiverKeys(
            identity_key=presence.identity_key, sealing_key=presence.sealing_key, boot_nonce=presence.boot_nonce
        )
        waiting = msgspec.structs.replace(ended, tsi="5a" * 8)
        forger = Forger(random.Random(SEED), Scene(store.director, store.image, keys, waiting, ended, ended_ticket))
        for delivery in forger.opening():
            ear.say(*delivery)
        for forgery in forger.forgeries(FORGED, insiders=0.6):
            for delivery in forgery.deliveries:
                ear.say(*delivery)
        for delivery in last_words(forger):
            ear.say(*delivery)
        await until(lambda: receiver.errors.until("image sentinel is signed by a key"))
        assert "refused: the order to write" in receiver.errors.text
        before = log.read_text(encoding="utf-8", errors="replace")
        assert target.name in before  # it was looked at, so the trace sees it
        assert [line for line in before.splitlines() if WRITING.search(line)] == []
        assert target.read_bytes() == old

        # The same receiver obeys the same director's real order, and then the trace shows it.
        second = room.cast(image, "--broker", url, "--new")
        assert await asyncio.to_thread(second.finish, 60) == 0, second.errors.text
        assert target.read_bytes() != old
        assert WRITING.search(log.read_text(encoding="utf-8", errors="replace")[len(before) :])
        receiver.kill()
        listening.cancel()


@pytest.mark.asyncio
async def test_a_ticket_is_of_no_use_to_another_machine_or_after_a_restart(
    room: Room, mosquitto: Callable[..., Mosquitto]
) -> None:
    broker = mosquitto()
    await broker.start()
    url = f"mqtt://{broker.address.host}:{broker.address.port}"
    image, target, other = room.add(room.source()), room.target("seat"), room.target("other")
    async with MqttLink(broker.address, "eavesdropper") as link:
        await link.subscribe(ALL_SESSIONS)
        await link.subscribe(ALL_RECEIVERS)
        ear = Eavesdropper(link)
        listening = asyncio.create_task(ear.listen())
        cast = room.cast(image, "--broker", url, "--expect", 9, "--wait", 600)
        door = await until(cast.door)
        receiver = room.receive(target, door, seat="first")
        victim = await ear.until(Presence, lambda one: one.seat == "first")
        announced = await ear.until(Announcement, lambda one: True)
        ticket = await ear.until(SignedTicket, lambda one: one.receiver_id == victim.receiver_id)
        await ear.until(ReceiverReport, lambda one: one.receiver_id == victim.receiver_id)
        receiver.kill()

        # The session gets another name: of its own, the newcomers have real tickets, and judge no other.
        started = {
            "other": room.start(*receive(other, door, "other")),
            "again": room.start(*receive(target, door, "again")),
        }
        store = KeyStore.open(room.folder / KEYS)
        for seat, process in started.items():
            presence = await ear.until(Presence, lambda one, seat=seat: one.seat == seat)  # type: ignore[misc]
            assert presence.receiver_id != victim.receiver_id
            renamed = msgspec.structs.replace(ticket, receiver_id=presence.receiver_id, tsi="5a" * 8)
            waiting = msgspec.structs.replace(announced, tsi="5a" * 8)
            for message in (waiting, renamed):
                ear.say(*signed(message, store))
            await until(lambda process=process: process.errors.until("refused: the order to write"))  # type: ignore[misc]
            said = " ".join(process.errors.text.split())
            assert "for another machine" in said
        for disk in (target, other):
            assert set(disk.read_bytes()) == {0xA5}
        listening.cancel()


def receive(target: Path, door: str, seat: str) -> list[object]:
    return ["receive", "--target", target, "--server", door, "--interface", "lo", "--seat", seat]


def traced(room: Room, log: Path, target: Path, door: str) -> Running:
    argv = ("-m", "slatecast", *receive(target, door, "seat"))
    return room.start_python("-m", "tests.forged_orders.under_strace", log, target, "--", *argv)


def last_words(forger: Forger) -> list[tuple[str, bytes]]:
    """An order that is refused for a reason of its own, so that one sees that all before was heard."""
    image = msgspec.structs.replace(forger.announced.image, name="sentinel")
    signature = OTHER_IMAGE_KEY.sign(Purpose.IMAGE, forger.announced.manifest_digest)
    sentinel = msgspec.structs.replace(
        forger.announced, image=image, image_key=OTHER_IMAGE_KEY.public, image_signature=signature
    )
    return list(forger.pair(sentinel))


def signed(message: Message, store: KeyStore) -> tuple[str, bytes]:
    return topic_of(message), signed_payload(message, store.director)


Result = TypeVar("Result")


async def until(wait: Callable[[], Result]) -> Result:
    """What blocks while it waits for words, beside the loop."""
    return await asyncio.to_thread(wait)
