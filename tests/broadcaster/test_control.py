"""One broadcast's control traffic over a real broker; the seats are played by hand, with real keys."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from broadcaster import control as control_module
from broadcaster.budget import STRIKE_BURST, UNPROVED_BURST
from broadcaster.control import RoomControl
from broadcaster.credentials import CastCredentials
from protocol.admission import sign_admission
from protocol.certificate import sign_certificate
from protocol.envelope import open_payload
from protocol.link.message_stream import Voice
from protocol.link.mqtt import MqttLink
from protocol.messages import (
    ALL_RECEIVERS,
    ALL_SESSIONS,
    Announcement,
    Message,
    Presence,
    ReceiverReport,
    SessionStatus,
    SignedCertificate,
    SignedTicket,
    announcement_topic,
    ticket_topic,
)
from protocol.signing import SigningKey
from protocol.ticket import ReceiverKeys, Ticket, check_ticket
from receiver.identity import ReceiverIdentity
from tests.broadcaster.sender_session import Bench
from tests.brokers import RunningBroker
from tests.certified import certificate
from tests.sample_messages import DIRECTOR, IMAGE_KEY, TSI, presence, report
from tests.sample_trust import identity

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.asyncio,
    pytest.mark.parametrize("broker", ["amqtt"], indirect=True),
]

SECRET = b"s" * 32
CREDENTIALS = CastCredentials(
    director=DIRECTOR, image_key=IMAGE_KEY.public, image_signature=bytes(64), broker_tls=None, lane_tls=None
)
STRANGER = SigningKey(b"x" * 32)


class Room:
    """The broadcaster's side, and a link that plays all seats."""

    def __init__(
        self, broker: RunningBroker, is_wanted: Callable[[Presence], bool] = lambda presence: True, **settings: Any
    ) -> None:
        self.session = Bench(now=time.monotonic(), **settings).session
        self.orders: list[tuple[str, str]] = []
        self.links_lost = asyncio.Event()
        self.control = RoomControl(broker.address, CREDENTIALS, SECRET, self._ordered, is_wanted=is_wanted)
        self.broadcaster_link = self.control.link("broadcaster", self.links_lost.set, lambda: None)
        self.link = MqttLink(broker.address, "seats")
        self._heard: list[Message] = []
        self._news = asyncio.Event()

    def _ordered(self, receiver_id: str, seat: str) -> None:
        self.orders.append((receiver_id, seat))

    def say_hello(self, receiver: ReceiverIdentity, *, director: SigningKey = DIRECTOR, **changes: Any) -> None:
        keys = receiver.keys
        fields: dict[str, Any] = {
            "receiver_id": keys.receiver_id,
            "seat": "row-2",
            "identity_key": keys.identity_key,
            "sealing_key": keys.sealing_key,
            "boot_nonce": keys.boot_nonce,
            "admission": sign_admission(keys, director),
        }
        self.say(receiver, presence(1, **{**fields, **changes}))

    def say(self, receiver: ReceiverIdentity, message: Message) -> None:
        Voice(self.link, receiver.signing_key).say(message)

    async def until_heard(self, is_it: Callable[[Message], bool]) -> list[Message]:
        """What the broadcast has heard, once it has heard this."""
        while not any(map(is_it, self._heard)):
            self._news.clear()
            await self._news.wait()
        return self._heard

    async def until_all_is_heard(self) -> list[Message]:
        """What the broadcast has heard of all that was said so far: one who was admitted speaks last."""
        last = identity(99)
        self.say_hello(last, is_online=False)
        return await self.until_heard(lambda message: message.receiver_id == last.receiver_id)  # type: ignore[union-attr]  # only receivers are heard

    async def payloads(self, topic: str) -> AsyncIterator[bytes]:
        """What is said on a topic."""
        async for where, payload in self.link.messages():
            if where == topic:
                yield payload

    async def listen(self) -> None:
        async for message in self.control.messages():
            self._heard.append(message)
            self._news.set()


@asynccontextmanager
async def room(broker: RunningBroker, **settings: Any) -> AsyncIterator[Room]:
    one = Room(broker, **settings)
    async with asyncio.timeout(20), one.broadcaster_link, one.link:
        one.control.open(one.session, [])
        await one.control.subscribe()
        await one.link.subscribe(ALL_SESSIONS)
        await one.link.subscribe(ALL_RECEIVERS)
        listening = asyncio.create_task(one.listen())
        try:
            yield one
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def first(payloads: AsyncIterator[bytes]) -> bytes:
    return await anext(payloads)


# --- tickets ---------------------------------------------------------------------------------------------------------


async def test_whoever_was_admitted_gets_its_ticket(broker: RunningBroker) -> None:
    receiver = identity(1)
    async with room(broker) as lab:
        lab.say_hello(receiver)
        topic = ticket_topic(receiver.receiver_id)
        signed = open_payload(topic, await first(lab.payloads(topic)), lambda _: DIRECTOR.public)
        assert isinstance(signed, SignedTicket)
        order = check_ticket(
            signed,
            lab.session.announcement,
            receiver=receiver.keys,
            opening_key=receiver.opening_key,
            director_key=DIRECTOR.public,
            image_keys=[IMAGE_KEY.public],
        )
        assert order.session_secret == SECRET
        assert lab.orders == [(receiver.receiver_id, "row-2")]


async def test_nobody_else_does(broker: RunningBroker) -> None:
    """Let in elsewhere, with somebody else's admission, under somebody else's id, signed by another, or leaving."""
    async with room(broker) as lab:
        lab.say_hello(identity(1), director=STRANGER)
        lab.say_hello(identity(2), admission=sign_admission(identity(3).keys, DIRECTOR))
        lab.say_hello(identity(3), receiver_id=identity(4).receiver_id)
        lab.say_hello(identity(5), boot_nonce=b"n" * 16)
        robbed = identity(6)  # whose presence was overheard, with its admission
        impostor = ReceiverIdentity(STRANGER, robbed.opening_key, robbed.keys.boot_nonce)
        lab.say_hello(
            impostor,
            identity_key=robbed.keys.identity_key,
            receiver_id=robbed.receiver_id,
            admission=sign_admission(robbed.keys, DIRECTOR),
        )
        lab.say_hello(identity(7), is_online=False)
        heard = await lab.until_all_is_heard()
        assert [message.receiver_id for message in heard] == [identity(7).receiver_id, identity(99).receiver_id]  # type: ignore[union-attr]  # as above
        assert lab.orders == []
        lab.say_hello(identity(8))
        await lab.until_heard(lambda message: isinstance(message, Presence) and message.is_online)
        assert [who for who, _ in lab.orders] == [identity(8).receiver_id]


async def test_a_presence_that_is_repeated_at_once_brings_no_second_ticket(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with room(broker) as lab:
        for _ in range(3):
            lab.say_hello(identity(1))
        await lab.until_all_is_heard()
        assert len(lab.orders) == 1
    monkeypatch.setattr(control_module, "TICKET_GAP", 0.0)
    async with room(broker) as lab:
        for _ in range(3):
            lab.say_hello(identity(1))
        await lab.until_all_is_heard()
        assert len(lab.orders) == 3


def may_write(receiver: ReceiverIdentity, payload: bytes) -> bool:
    """What a ticket for this receiver says."""
    signed = open_payload(ticket_topic(receiver.receiver_id), payload, lambda _: DIRECTOR.public)
    assert isinstance(signed, SignedTicket)
    return msgspec.json.decode(signed.ticket, type=Ticket).may_write


async def test_a_planned_session_gives_tickets_that_do_not_allow_to_write_until_it_is_released(
    broker: RunningBroker,
) -> None:
    receiver, gone = identity(1), identity(2)
    async with room(broker, is_held=True) as lab:
        tickets = lab.payloads(ticket_topic(receiver.receiver_id))
        lab.say_hello(gone, is_online=False)
        lab.say_hello(receiver)
        assert not may_write(receiver, await anext(tickets))
        assert lab.orders == []
        lab.session.release(time.monotonic())
        lab.control.give_tickets()
        assert may_write(receiver, await anext(tickets))
        assert lab.orders == [(receiver.receiver_id, "row-2")]


async def test_who_is_not_wanted_gets_no_ticket_and_is_not_heard(broker: RunningBroker) -> None:
    wanted, other, last = identity(1), identity(2), identity(99)
    names = {"pc-1", "pc-99"}
    async with room(broker, is_wanted=lambda presence: presence.machine in names) as lab:
        lab.say_hello(other, machine="pc-2")
        lab.say(other, report(1, 1, receiver_id=other.receiver_id))
        lab.say_hello(wanted, machine="pc-1")
        lab.say(wanted, report(1, 1, receiver_id=wanted.receiver_id))
        lab.say_hello(last, machine="pc-99", is_online=False)
        heard = await lab.until_heard(lambda message: message.receiver_id == last.receiver_id)  # type: ignore[union-attr]  # only receivers are heard
        assert {message.receiver_id for message in heard} == {wanted.receiver_id, last.receiver_id}  # type: ignore[union-attr]  # as above
        assert [who for who, _ in lab.orders] == [wanted.receiver_id]
        assert lab.control.certificates.all() == ()
        lab.say_hello(wanted, machine="pc-3")  # it says that it is another one now
        lab.say(wanted, report(1, 2, receiver_id=wanted.receiver_id))
        before = len(heard)
        lab.say_hello(last, machine="pc-99")
        await lab.until_heard(
            lambda message: (
                isinstance(message, Presence) and message.is_online and message.receiver_id == last.receiver_id
            )
        )
        assert len(heard) == before + 1


async def test_a_machine_that_was_dismissed_gets_no_ticket_under_any_id_and_may_still_speak(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "TICKET_GAP", 0.0)
    receiver, restarted, other = identity(1), identity(2), identity(3)
    async with room(broker) as lab:
        lab.say_hello(receiver, machine="pc-1")
        await lab.until_heard(lambda message: isinstance(message, Presence))
        lab.control.dismiss(receiver.receiver_id)
        assert lab.control.dismissed_machines == {"pc-1"}
        lab.say_hello(receiver, machine="pc-1")
        lab.say(receiver, report(1, 1, receiver_id=receiver.receiver_id))
        lab.say_hello(restarted, machine="pc-1")
        lab.say_hello(other, machine="pc-3")
        heard = await lab.until_heard(lambda message: message.receiver_id == other.receiver_id)  # type: ignore[union-attr]  # only receivers are heard
        assert restarted.receiver_id not in {message.receiver_id for message in heard}  # type: ignore[union-attr]  # as above
        assert any(isinstance(message, ReceiverReport) for message in heard)
        lab.control.give_tickets()
        assert [who for who, _ in lab.orders] == [each.receiver_id for each in (receiver, other, other)]


async def test_a_session_that_has_ended_gives_no_ticket(broker: RunningBroker) -> None:
    async with room(broker) as lab:
        lab.session.abort("the bell rang", time.monotonic())
        lab.say_hello(identity(1))
        await lab.until_all_is_heard()
        assert lab.orders == []


async def test_a_key_that_nothing_can_be_sealed_to_is_nonsense(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "TICKET_GAP", 0.0)
    receiver, no_key = identity(1), bytes(32)
    keys = ReceiverKeys(identity_key=receiver.keys.identity_key, sealing_key=no_key, boot_nonce=bytes(16))
    async with room(broker) as lab:
        for _ in range(int(STRIKE_BURST)):
            lab.say_hello(receiver, sealing_key=no_key, boot_nonce=bytes(16), admission=sign_admission(keys, DIRECTOR))
        await lab.until_all_is_heard()
        assert lab.orders == []
        assert "quarantined: 20 times" in (lab.control.budget.reason(receiver.receiver_id, time.monotonic()) or "")


async def test_our_own_tickets_cost_the_receiver_nothing(broker: RunningBroker) -> None:
    receiver = identity(1)
    async with room(broker) as lab:
        for _ in range(2 * int(UNPROVED_BURST)):
            assert not lab.control._admit(ticket_topic(receiver.receiver_id))
        lab.say_hello(receiver)
        topic = ticket_topic(receiver.receiver_id)
        await first(lab.payloads(topic))
        lab.link.publish(topic, b"what somebody else puts there")
        lab.say(receiver, report(1, receiver_id=receiver.receiver_id))
        await lab.until_heard(lambda message: isinstance(message, ReceiverReport))
        assert (lab.control.budget.rejected_count, lab.control.budget.quarantined_count) == (0, 0)


# --- what is heard ---------------------------------------------------------------------------------------------------


async def test_only_what_an_admitted_receiver_has_signed_is_heard_and_once(broker: RunningBroker) -> None:
    receiver = identity(1)
    said = report(1, sequence=7, receiver_id=receiver.receiver_id)
    async with room(broker) as lab:
        lab.say(receiver, said)  # before anybody knows its key
        lab.say_hello(receiver)
        lab.say(identity(2), said)
        lab.say(receiver, said)
        lab.say(receiver, said)
        lab.say(receiver, report(1, sequence=6, receiver_id=receiver.receiver_id))
        lab.link.publish(f"slatecast/v1/receivers/{receiver.receiver_id}/report", b"{")
        heard = await lab.until_all_is_heard()
        assert [message for message in heard if isinstance(message, ReceiverReport)] == [said]
        assert lab.control.budget.reason(receiver.receiver_id, time.monotonic()) is None


async def test_an_alarm_of_a_seat_is_told_once(broker: RunningBroker, caplog: pytest.LogCaptureFixture) -> None:
    receiver = identity(1)
    alarmed = {"receiver_id": receiver.receiver_id, "alarm": "2 blocks poisoned; by 192.0.2.66", "poisoned_blocks": 2}
    async with room(broker) as lab:
        lab.say_hello(receiver)
        for sequence in (1, 2):
            lab.say(receiver, report(1, sequence=sequence, **alarmed))
        await lab.until_all_is_heard()
    lines = [record.getMessage() for record in caplog.records if "ALARM" in record.getMessage()]
    assert lines == ["ALARM at seat-1: 2 blocks poisoned; by 192.0.2.66"]


# --- certificates ----------------------------------------------------------------------------------------------------


def certified(lab: Room, receiver: ReceiverIdentity, **changes: Any) -> SignedCertificate:
    keys = receiver.keys
    named = {"identity_key": keys.identity_key, "sealing_key": keys.sealing_key, "boot_nonce": keys.boot_nonce}
    return sign_certificate(certificate(1, lab.session.announcement, **{**named, **changes}), receiver.signing_key)


async def test_a_certificate_is_taken_from_whom_it_is_about(broker: RunningBroker) -> None:
    receiver = identity(1)
    async with room(broker) as lab:
        lab.say_hello(receiver)
        good = certified(lab, receiver)
        lab.say(receiver, good)
        await lab.until_all_is_heard()
        assert lab.control.certificates.get(receiver.receiver_id) == good
        assert lab.control.certificates.all() == (good,)


async def test_a_certificate_of_another_image_is_nonsense(broker: RunningBroker) -> None:
    receiver = identity(1)
    async with room(broker) as lab:
        lab.say_hello(receiver)
        for _ in range(int(STRIKE_BURST)):
            lab.say(receiver, certified(lab, receiver, image="another"))
        await lab.until_all_is_heard()
        assert lab.control.certificates.all() == ()
        assert "another image" in (lab.control.budget.reason(receiver.receiver_id, time.monotonic()) or "")


async def test_certificates_of_an_earlier_run_are_there_at_once(broker: RunningBroker) -> None:
    lab = Room(broker)
    kept = certified(lab, identity(1))
    lab.control.open(lab.session, [kept])
    assert lab.control.certificates.all() == (kept,)
    assert lab.control.certificates.keys_of(identity(1).receiver_id) == identity(1).keys


# --- what is said ----------------------------------------------------------------------------------------------------


async def test_what_is_due_is_said_under_the_directors_key(broker: RunningBroker) -> None:
    async with room(broker) as lab:
        lab.control.speak(lab.session)
        said: list[Message] = []
        async for topic, payload in lab.link.messages():
            said.append(open_payload(topic, payload, lambda _: DIRECTOR.public))
            if len(said) == 2:
                break
        assert said[0] == lab.session.announcement
        assert isinstance(said[1], SessionStatus)


async def test_the_farewell_withdraws_the_announcement(broker: RunningBroker) -> None:
    topic = announcement_topic(TSI)
    async with room(broker) as lab:
        lab.control.speak(lab.session)
        payloads = lab.payloads(topic)
        assert isinstance(open_payload(topic, await first(payloads), lambda _: DIRECTOR.public), Announcement)
        async with MqttLink(broker.address, "early") as early:
            await early.subscribe(topic)
            assert (await anext(aiter(early.messages())))[1] != b""
        await lab.control.farewell(lab.session)
        assert await first(payloads) == b""
        async with MqttLink(broker.address, "late") as late:
            await late.subscribe(ALL_SESSIONS)
            late.publish(f"{topic}/marker", b"1")
            assert (await anext(aiter(late.messages())))[1] == b"1"


async def test_a_farewell_that_nobody_takes_does_not_last(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "FAREWELL_SECONDS", 0.05)
    async with room(broker) as lab:
        await broker.stop()
        await lab.links_lost.wait()
        await lab.control.farewell(lab.session)


async def test_a_link_that_is_lost_before_the_session_is_open_is_nobodys_news(broker: RunningBroker) -> None:
    lab = Room(broker)
    lab.control._if_open(lab.links_lost.set)
    assert not lab.links_lost.is_set()
    lab.control.open(lab.session, [])
    lab.control._if_open(lab.links_lost.set)
    assert lab.links_lost.is_set()
