import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from broadcaster.announcement import build_announcement
from protocol import PROTOCOL_VERSION
from protocol.errors import TransportError
from protocol.link.interfaces import resolve_interface
from protocol.link.mqtt import MqttLink
from protocol.link.multicast import group_for
from protocol.messages import (
    ALL_RECEIVERS,
    Announcement,
    FecOti,
    Presence,
    ReceiverReport,
    ReceiverState,
    SessionPhase,
    SessionStatus,
    announcement_topic,
    decode_message,
    encode_message,
    encode_tsi,
    topic_of,
)
from receiver import session as receiver_session
from receiver.config import ReceiverConfig, SessionOutcome
from receiver.service import Receiver
from tests.brokers import RunningBroker
from tests.simulator.image import ENCODING_SYMBOL_LENGTH, SimulatedImage, draw_image

pytestmark = [pytest.mark.system, pytest.mark.slow]

LO = resolve_interface("lo")
IMAGE: SimulatedImage = draw_image(random.Random(1), 20)
OLD = b"\xa5" * len(IMAGE.disk)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target.disk"
    path.write_bytes(OLD)
    return path


def content(target: Path) -> bytes:
    return target.read_bytes()


def announcement(**changes: object) -> Announcement:
    """A session of its own, of which only control is played: nothing is ever multicast."""
    tsi = random.SystemRandom().getrandbits(64)
    made = build_announcement(
        IMAGE.manifest,
        tsi=tsi,
        session_secret=bytes(32),
        group=group_for(tsi, ipv6=False),
        port=27_183,
        oti=FecOti(encoding_symbol_length=ENCODING_SYMBOL_LENGTH),
    )
    return msgspec.structs.replace(made, **changes)


class Operator:
    """Plays the broadcaster's part of the control traffic."""

    def __init__(self, link: MqttLink) -> None:
        self._link = link
        self._sequence = 0

    def announce(self, announcement: Announcement) -> None:
        self._link.publish(topic_of(announcement), encode_message(announcement), retain=True)

    def publish(self, topic: str, payload: bytes) -> None:
        self._link.publish(topic, payload)

    def say(self, announcement: Announcement, phase: SessionPhase, *settled: str) -> None:
        self._sequence += 1
        status = SessionStatus(
            tsi=announcement.tsi,
            sequence=self._sequence,
            phase=phase,
            position=0,
            rate_bits_per_second=1,
            rate_reason="",
            datagrams_sent=0,
            repair_datagrams=0,
            settled=settled,
        )
        self._link.publish(topic_of(status), encode_message(status))

    async def next_report(self, *announcements: Announcement) -> ReceiverReport:
        """Of one of these sessions."""
        wanted = {announcement.tsi for announcement in announcements}
        async for topic, payload in self._link.messages():
            message = decode_message(topic, payload) if payload else None
            if isinstance(message, ReceiverReport) and message.tsi in wanted:
                return message
        raise AssertionError("no report")

    async def next_presence(self, seat: str) -> Presence:
        async for topic, payload in self._link.messages():
            message = decode_message(topic, payload) if payload else None
            if isinstance(message, Presence) and message.seat == seat:
                return message
        raise AssertionError("no presence")


@asynccontextmanager
async def room(broker: RunningBroker, target: Path) -> AsyncIterator[tuple[Receiver, MqttLink, Operator]]:
    """A receiver that is connected, and somebody to play with it."""
    async with asyncio.timeout(30), MqttLink(broker.address, "operator") as operator_link:
        await operator_link.subscribe(ALL_RECEIVERS)
        receiver = Receiver(ReceiverConfig("seat", str(target), LO, broker.address))
        async with receiver.link() as link:
            yield receiver, link, Operator(operator_link)


@asynccontextmanager
async def taking_part(receiver: Receiver, link: MqttLink) -> AsyncIterator["asyncio.Task[SessionOutcome]"]:
    task = asyncio.create_task(receiver.run_session(link))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.asyncio
async def test_a_receiver_says_that_it_comes_and_that_it_goes(broker: RunningBroker, target: Path) -> None:
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link):
        hello = await operator.next_presence("seat")
        assert hello.is_online
        receiver.say_goodbye()
        goodbye = await operator.next_presence("seat")
        assert (goodbye.receiver_id, goodbye.is_online) == (hello.receiver_id, False)


@pytest.mark.asyncio
async def test_a_session_that_ends_early_leaves_the_target_as_it_was(broker: RunningBroker, target: Path) -> None:
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        session = announcement()
        operator.announce(session)
        report = await operator.next_report(session)
        assert (report.state, report.seat, report.has_manifest) == (ReceiverState.READY, "seat", False)
        operator.say(session, SessionPhase.ENDED)
        assert await outcome == SessionOutcome(ReceiverState.READY, "the broadcaster ended the session", False)
    assert content(target) == OLD


@pytest.mark.asyncio
async def test_an_unfit_target_is_refused_until_that_is_heard(broker: RunningBroker, target: Path) -> None:
    os.truncate(target, len(OLD) - 1)
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        session = announcement()
        operator.announce(session)
        for _ in range(2):
            report = await operator.next_report(session)
            assert report.state is ReceiverState.REFUSED
            assert "is too small" in report.reason
        operator.say(session, SessionPhase.WAITING, report.receiver_id)
        ended = await outcome
        assert (ended.state, ended.is_acknowledged) == (ReceiverState.REFUSED, True)
    assert content(target) == OLD[:-1]


@pytest.mark.asyncio
async def test_what_is_no_announcement_for_us_is_passed_over(broker: RunningBroker, target: Path) -> None:
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        await operator.next_presence("seat")
        operator.publish(announcement_topic(encode_tsi(5)), b"{}")
        operator.publish("slatecast/v1/sessions/unheard/of", b"\xff\x00")
        future = announcement(protocol_version=PROTOCOL_VERSION + 1)
        operator.announce(future)
        session = announcement()
        operator.announce(session)
        report = await operator.next_report(session)
        assert report.state is ReceiverState.READY
        operator.say(future, SessionPhase.ENDED)
        assert (await operator.next_report(session)).sequence > report.sequence
        assert not outcome.done()


@pytest.mark.asyncio
async def test_sessions_are_taken_one_after_the_other(broker: RunningBroker, target: Path) -> None:
    async with room(broker, target) as (receiver, link, operator):
        waiting = [announcement(), announcement()]
        for session in waiting:
            operator.announce(session)
        while waiting:
            async with taking_part(receiver, link) as outcome:
                report = await operator.next_report(*waiting)
                current = next(session for session in waiting if session.tsi == report.tsi)
                operator.say(current, SessionPhase.ENDED)
                assert (await outcome).state is ReceiverState.READY
                waiting.remove(current)


@pytest.mark.asyncio
async def test_a_broadcaster_that_falls_silent_is_left_and_may_come_back(
    broker: RunningBroker, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver_session, "SENDER_LEASE", 0.3)
    async with room(broker, target) as (receiver, link, operator):
        session = announcement()
        for _ in range(2):
            async with taking_part(receiver, link) as outcome:
                operator.announce(session)
                assert await outcome == SessionOutcome(ReceiverState.READY, "the broadcaster fell silent", False)
    assert content(target) == OLD


@pytest.mark.asyncio
async def test_a_group_that_cannot_be_joined_ends_the_receiver(broker: RunningBroker, target: Path) -> None:
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        operator.announce(announcement(group="192.0.2.1"))
        with pytest.raises(TransportError, match=r"192\.0\.2\.1 is no address for data"):
            await outcome
    assert content(target) == OLD
