"""Who may say and hear what: the rules, and that both brokers hold everybody to them, for every topic there is."""

import asyncio
import contextlib
import itertools
import json
import typing
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from broadcaster.access import (
    ROLES,
    ROOT,
    SAID_BY_RECEIVERS,
    SAID_TO_ALL,
    SESSION_ROLES,
    is_known,
    is_receiver,
    may_publish,
    may_subscribe,
)
from broadcaster.authority import Authority
from protocol import messages
from protocol.commands import ALL_ANSWERS, COMMANDS_TOPIC
from protocol.errors import TransportError
from protocol.link import mqtt
from protocol.link.mqtt import LastWill, MqttLink
from protocol.link.tls import TlsIdentity
from protocol.messages import TOPIC_ROOT, BroadcasterMessage, ReceiverMessage
from protocol.operators import ALL_NEWS, OPERATORS_ROOT
from receiver.identity import ReceiverIdentity
from tests import sample_messages
from tests.brokers import SecuredBroker, receiver_tls_identity
from tests.sample_messages import TSI

SAMPLES = {
    type(sample): sample
    for sample in (
        sample_messages.announcement(),
        sample_messages.status(),
        sample_messages.presence(),
        sample_messages.report(),
        sample_messages.repair_request(),
        sample_messages.missing_blocks(ranges=[(0, 1)], block_count=1),
        sample_messages.certificate(),
        sample_messages.ticket(),
    )
}
OPERATORS = json.loads((Path(__file__).parents[1] / "vectors" / "operators.json").read_text(encoding="utf-8"))
ALL_TYPES = typing.get_args(ReceiverMessage) + typing.get_args(BroadcasterMessage)
ID, OTHER_ID = "ab" * 16, "cd" * 16

TOO_WIDE = ("#", f"{ROOT}/#", f"{ROOT}/receivers/#", f"{ROOT}/receivers/+/#", f"{ROOT}/+/+/+", "+/+/+/+/+", "$SYS/#")


def topics_of(types: Iterable[type], receiver_id: str) -> list[str]:
    """On which topics these messages travel, of or to one receiver, in one session."""
    topics = []
    for kind in types:
        is_of_receiver = messages.topic_of(SAMPLES[kind]).startswith(f"{ROOT}/receivers/")
        changes = {"receiver_id": receiver_id} if is_of_receiver else {}
        topics.append(messages.topic_of(msgspec.structs.replace(SAMPLES[kind], **changes)))
    return topics


def said_by(receiver_id: str) -> list[str]:
    return topics_of(typing.get_args(ReceiverMessage), receiver_id)


def heard_by(receiver_id: str) -> list[str]:
    """What a receiver may hear: everything of broadcasters, and everything of itself."""
    return topics_of(ALL_TYPES, receiver_id)


# --- the rules -------------------------------------------------------------------------------------------------------


def test_rules_name_every_message() -> None:
    assert set(SAMPLES) == set(ALL_TYPES), "a new message needs a sample here"
    assert ROOT == TOPIC_ROOT
    assert {topic.rpartition("/")[2] for topic in said_by(ID)} == set(SAID_BY_RECEIVERS)
    to_all = [topic for topic in topics_of(typing.get_args(BroadcasterMessage), ID) if "/sessions/" in topic]
    assert {topic.rpartition("/")[2] for topic in to_all} == set(SAID_TO_ALL)


@pytest.mark.parametrize("topic", heard_by(ID))
def test_rules_of_one_topic(topic: str) -> None:
    for role in (*ROLES, *SESSION_ROLES):
        assert may_publish(role, topic)
        assert may_subscribe(role, topic)
    assert may_publish(ID, topic) == (topic in said_by(ID))
    assert may_subscribe(ID, topic)
    assert not may_publish(OTHER_ID, topic)
    assert may_subscribe(OTHER_ID, topic) == ("/sessions/" in topic)
    for name in ("", "stranger", "Broadcaster", "broadcaster\n", "+", "#", ID.upper(), ID[:-1], f"{ID}\n"):
        assert not is_known(name)
        assert not may_publish(name, topic)
        assert not may_subscribe(name, topic)


def operators_topics() -> list[str]:
    """Where operators hear, order and are answered; one of each."""
    topics = {vector["topic"] for kind in ("news", "orders", "answers") for vector in OPERATORS[kind]}
    return sorted(topics)


@pytest.mark.parametrize("topic", operators_topics())
def test_receivers_neither_hear_nor_say_what_is_for_operators(topic: str) -> None:
    for role in ROLES:
        assert may_publish(role, topic)
        assert may_subscribe(role, topic)
    assert not may_publish(ID, topic)
    assert not may_subscribe(ID, topic)


@pytest.mark.parametrize(
    "topic_filter", [*ALL_NEWS, ALL_ANSWERS, COMMANDS_TOPIC, f"{OPERATORS_ROOT}/#", f"{ROOT}/+/{ID}", f"{ROOT}/+/host"]
)
def test_nor_by_a_filter(topic_filter: str) -> None:
    assert not may_subscribe(ID, topic_filter)
    assert may_subscribe("console", topic_filter)


@pytest.mark.parametrize(
    "topic_filter", [messages.ALL_SESSIONS, f"{ROOT}/sessions/+/status", f"{ROOT}/receivers/{ID}/#"]
)
def test_filters_that_receivers_use(topic_filter: str) -> None:
    assert may_subscribe(ID, topic_filter)


@pytest.mark.parametrize(
    "topic_filter", [*TOO_WIDE, f"{ROOT}/sessions/#", f"{ROOT}/receivers/+/ticket", f"{ROOT}/receivers/{ID}/x/#", ""]
)
def test_filters_that_are_too_wide(topic_filter: str) -> None:
    assert is_receiver(ID)
    assert not may_subscribe(ID, topic_filter)


@pytest.mark.parametrize("topic", ["", "$SYS/broker", "slatecast", ROOT, f"{ROOT}x/a", f"/{ROOT}/a"])
def test_nobody_leaves_our_topics(topic: str) -> None:
    for name in (*ROLES, *SESSION_ROLES[:1], ID):
        assert not may_publish(name, topic)
        assert not may_subscribe(name, topic)


# --- the brokers -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Actor:
    """Somebody with a certificate, or without one."""

    label: str
    client_id: str
    identity: TlsIdentity | None
    name: str = ""
    """in a certificate that counts; empty for strangers"""


@dataclass(frozen=True)
class Cast:
    """Everybody who tries."""

    seat: str
    """receiver_id of the one whose topics are tried"""
    actors: list[Actor]


def draw_cast(authority: Authority) -> Cast:
    own, other, taker, foreign = (ReceiverIdentity.draw() for _ in range(4))
    seat = own.receiver_id
    abroad = Authority.create()
    return Cast(
        seat,
        [
            Actor("broadcaster", "broadcaster", authority.role_identity("broadcaster"), "broadcaster"),
            Actor("own receiver", seat, receiver_tls_identity(own, authority), seat),
            Actor("other receiver", other.receiver_id, receiver_tls_identity(other, authority), other.receiver_id),
            Actor(
                "receiver that calls itself another", seat, receiver_tls_identity(taker, authority), taker.receiver_id
            ),
            Actor("no certificate", seat, None),
            Actor("receiver of another room", foreign.receiver_id, receiver_tls_identity(foreign, abroad)),
            Actor("own receiver, certified by another", seat, receiver_tls_identity(own, abroad)),
            Actor("broadcaster of another room", "broadcaster", abroad.role_identity("broadcaster")),
            Actor("broker", "broadcaster", authority.server_identity()),
        ],
    )


@asynccontextmanager
async def console(broker: SecuredBroker) -> AsyncIterator[MqttLink]:
    """A role that sees all, under a name of its own, so that it is in nobody's way."""
    async with MqttLink(broker.address, "console", tls=broker.tls(broker.role("console"))) as link:
        await link.subscribe(f"{ROOT}/#")
        yield link


async def heard_until(link: MqttLink, topic: str, payload: bytes) -> set[tuple[str, bytes]]:
    """Everything that arrives before this message."""
    heard = set()
    async with asyncio.timeout(20):
        async for message in link.messages():
            if message == (topic, payload):
                break
            heard.add(message)
    return heard


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers get no answer; wait for that no longer than needed."""
    monkeypatch.setattr(mqtt, "ANSWER_TIMEOUT", 1.0)


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.asyncio
async def test_what_somebody_may_not_say_arrives_nowhere(secured: SecuredBroker) -> None:
    cast = draw_cast(secured.authority)
    topics = sorted({*heard_by(cast.seat), *operators_topics(), "elsewhere", f"{ROOT}/new"})
    async with console(secured) as observer:
        for actor in cast.actors:
            end = f"{ROOT}/receivers/{actor.name}/presence"
            expected = {topic for topic in topics if actor.name and may_publish(actor.name, topic)}
            if actor.name == "broadcaster":
                expected, end = set(topics) - {"elsewhere"}, f"{ROOT}/end"
            with contextlib.suppress(TransportError):
                async with MqttLink(secured.address, actor.client_id, tls=secured.tls(actor.identity)) as link:
                    assert actor.name, f"{actor.label} was let in"
                    for topic, retain in itertools.product(topics, (False, True)):
                        link.publish(topic, f"{actor.label} {retain}".encode(), retain=retain)
                    link.publish(end, b"end")
                    await link.flush()
                    heard = await heard_until(observer, end, b"end")
                    assert {topic for topic, _ in heard} == expected, actor.label
                    assert {payload.decode().rpartition(" ")[0] for _, payload in heard} <= {actor.label}
            observer.publish(f"{ROOT}/mark", actor.label.encode())
            assert await heard_until(observer, f"{ROOT}/mark", actor.label.encode()) == set(), actor.label
        async with MqttLink(secured.address, "broadcaster", tls=secured.tls(cast.actors[0].identity)) as late:
            await late.subscribe(f"{ROOT}/#")  # what was kept is the last that may have been said
            late.publish(f"{ROOT}/late", b"end")
            kept = await heard_until(late, f"{ROOT}/late", b"end")
    assert {topic for topic, _ in kept} == {*topics} - {"elsewhere"}
    assert {payload for _, payload in kept} == {b"broadcaster True", b"own receiver True"}


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.asyncio
async def test_what_somebody_may_not_hear_does_not_reach_it(secured: SecuredBroker) -> None:
    cast = draw_cast(secured.authority)
    topics = [*heard_by(cast.seat), *operators_topics()]
    async with console(secured) as observer:
        for topic in topics:
            observer.publish(topic, b"kept", retain=True)
        await observer.flush()
        for actor in cast.actors:
            expected = {
                (topic, payload)
                for topic in topics
                for payload in (b"kept", b"said")
                if actor.name and may_subscribe(actor.name, topic)
            }
            with contextlib.suppress(TransportError):
                async with MqttLink(secured.address, actor.client_id, tls=secured.tls(actor.identity)) as link:
                    assert actor.name, f"{actor.label} was let in"
                    for topic_filter in (*topics, *TOO_WIDE, *ALL_NEWS, messages.ALL_SESSIONS):
                        with contextlib.suppress(TransportError):
                            await link.subscribe(topic_filter)
                    for topic in topics:
                        observer.publish(topic, b"said")
                    observer.publish(f"{ROOT}/sessions/{TSI}/status", actor.label.encode())
                    heard = await heard_until(link, f"{ROOT}/sessions/{TSI}/status", actor.label.encode())
                    strange = {topic for topic, _ in heard if topic.startswith("$SYS/")}
                    assert heard == expected, (actor.label, strange)


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.asyncio
async def test_nobody_is_thrown_out_by_another(secured: SecuredBroker) -> None:
    cast = draw_cast(secured.authority)
    own = cast.actors[1]
    lost: list[str] = []
    async with (
        console(secured),
        MqttLink(
            secured.address, own.client_id, tls=secured.tls(own.identity), on_disconnect=lambda: lost.append("own")
        ) as link,
    ):
        for actor in cast.actors[2:]:
            with contextlib.suppress(TransportError):
                async with MqttLink(secured.address, own.client_id, tls=secured.tls(actor.identity)) as taker:
                    await taker.flush()
            link.publish(f"{ROOT}/receivers/{cast.seat}/report", b"still here")
            await link.flush()
            assert (lost, link.reconnect_count) == ([], 0), actor.label


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.asyncio
async def test_last_wills_are_held_to_the_rules(secured: SecuredBroker) -> None:
    own = draw_cast(secured.authority).actors[1]
    wills = [
        f"{ROOT}/receivers/{OTHER_ID}/presence",
        f"{ROOT}/sessions/{TSI}/status",
        f"{ROOT}/receivers/{own.name}/presence",
    ]
    async with console(secured) as observer:
        for topic in wills:
            link = MqttLink(
                secured.address, own.client_id, will=LastWill(topic, b"dead"), tls=secured.tls(own.identity)
            )
            with contextlib.suppress(TransportError):
                await link.__aenter__()
                assert link._client is not None
                link._client._client._sock_close()  # no farewell, so the will is due
                with contextlib.suppress(TransportError):
                    await link.__aexit__(ConnectionError, None, None)
        heard = await heard_until(observer, wills[-1], b"dead")
    assert heard == set()
