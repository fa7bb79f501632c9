"""No forged, replayed or mutated order makes a receiver open its disk: 100,000, or 1,000,000 with
SLATECAST_FORGED_ORDERS=full. They take the way of real ones: payload, message, ticket, session.
"""

import asyncio
import collections
import logging
import os
import random
from collections.abc import AsyncIterator, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from protocol.envelope import open_payload
from protocol.errors import MessageError, SignatureError, TicketError
from protocol.link.interfaces import resolve_interface
from protocol.link.mqtt import BrokerAddress
from protocol.link.tls import TlsIdentity
from protocol.messages import Announcement, ReceiverState, SignedTicket
from protocol.trust import Trust
from receiver import service
from receiver.config import ReceiverConfig, SessionOutcome
from receiver.enrolment import Enrolment
from receiver.identity import ReceiverIdentity
from receiver.orders import AnnouncedOrder, Orders
from receiver.service import Receiver
from tests.forged_orders.forger import Delivery, Forger, Forgery, sample_scene
from tests.sample_messages import OTHER_TSI, TSI
from tests.sample_orders import DIRECTOR, IMAGE_KEYS, SEAT

IS_FULL = os.environ.get("SLATECAST_FORGED_ORDERS") == "full"
COUNT = 1_000_000 if IS_FULL else 100_000
SEED = 46

BREATH = 64
"""[deliveries] after which the loop may do what was decided"""

EXPECTED: dict[str, set[type[Exception]]] = {
    "altered announcement": {TicketError},
    "bit of a ticket": {TicketError},
    "fields of two tickets": {TicketError},
    "foreign image key": {TicketError},
    "manifest digest of another image": {TicketError},
    "plan made an order": {TicketError},
    "other text of a ticket": {TicketError},
    "secret of another ticket": {TicketError},
    "signature of another image": {TicketError},
    "ticket of an earlier boot": {TicketError},
    "ticket of another director": {TicketError},
    "ticket of another receiver": {TicketError},
    "ticket of another session": {TicketError},
    "ticket signed for another purpose": {TicketError},
    "truncated ticket": {TicketError},
    "bit of a ticket's payload": {SignatureError, MessageError},
    "bit of an announcement's payload": {SignatureError, MessageError},
    "noise": {SignatureError, MessageError},
    "other text of a payload": {SignatureError, MessageError},
    "payload of another key": {SignatureError},
    "payload of another topic": {SignatureError},
    "payload signed for another purpose": {SignatureError},
    "truncated payload": {SignatureError, MessageError},
    "replay of a session that is over": set(),
}
"""What must stop each kind; nothing is raised for what is only no news."""


class PlayedLink:
    """A broker's link on which only these payloads arrive."""

    is_connected = True

    def __init__(self) -> None:
        self.inbox: Iterable[Delivery] = ()
        self.has_ended = asyncio.Event()

    async def subscribe(self, topic_filter: str, *, qos: int = 1) -> None:
        """All that is played is for this receiver."""

    def publish(self, *_: Any, **__: Any) -> None:
        """Nobody listens."""

    async def messages(self) -> AsyncIterator[Delivery]:
        try:
            for number, delivery in enumerate(self.inbox):
                yield delivery
                if number % BREATH == 0:
                    await asyncio.sleep(0)
            await asyncio.Event().wait()
        finally:
            self.has_ended.set()

    async def play(self, receiver: Receiver, inbox: Iterable[Delivery]) -> None:
        """Until the receiver has taken part in a session; fails when it stops listening before."""
        self.inbox = inbox
        self.has_ended.clear()
        session = asyncio.create_task(receiver.run_session(self))  # type: ignore[arg-type]  # what it uses is there
        ended = asyncio.create_task(self.has_ended.wait())
        await asyncio.wait([session, ended], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        assert session.done(), "the receiver has stopped listening"
        await session


class Disk:
    """Stands where a session opens the disk: for which session that was done."""

    def __init__(self) -> None:
        self.opened_for: list[str] = []

    def session(self, ordered: AnnouncedOrder, *_: Any, **__: Any) -> Any:
        """In place of ActiveSession, which alone opens disks."""
        announcement = ordered.announcement

        async def run() -> SessionOutcome:
            self.opened_for.append(announcement.tsi)
            return SessionOutcome(ReceiverState.VERIFIED, "", True)

        arming = SimpleNamespace(has_begun=True)
        session = SimpleNamespace(announcement=announcement, arming=arming, last_sequence=0, has_lost_sender=False)
        return SimpleNamespace(session=session, run=run, receive_message=lambda message: None)


def make_receiver() -> Receiver:
    enrolment = Enrolment(
        trust=Trust(director_key=DIRECTOR.public, image_keys=IMAGE_KEYS, authority=b"none"),
        is_confirmed=False,
        broker=BrokerAddress.parse("mqtt://127.0.0.1"),
        broker_tls=None,
        admission=bytes(64),
        certificate=TlsIdentity(b"", b""),
    )
    config = ReceiverConfig(seat="seat", target="/nowhere/disk", interface=resolve_interface("lo"))
    identity = ReceiverIdentity(SEAT.signing_key, SEAT.opening_key, SEAT.keys.boot_nonce)
    return Receiver(config, identity, enrolment)


@pytest.mark.slow
@pytest.mark.timeout(3600 if IS_FULL else 300)
@pytest.mark.asyncio
async def test_no_forged_order_opens_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    disk, link, receiver = Disk(), PlayedLink(), make_receiver()
    monkeypatch.setattr(service, "ActiveSession", disk.session)
    monkeypatch.setattr(logging.getLogger("receiver.service"), "disabled", True)
    print(f"seed {SEED}")
    forger = Forger(random.Random(SEED), sample_scene())
    kinds: collections.Counter[str] = collections.Counter()
    await link.play(receiver, forger.opening()[:2])
    assert disk.opened_for == [OTHER_TSI]

    def attack() -> Iterable[Delivery]:
        yield from forger.opening()
        for forgery in forger.forgeries(COUNT):
            kinds[forgery.kind] += 1
            yield from forgery.deliveries
            assert disk.opened_for == [OTHER_TSI], forgery
        yield from forger.finale()

    await link.play(receiver, attack())
    # The real order opens it, so everything before was heard and judged.
    assert disk.opened_for == [OTHER_TSI, TSI]
    assert kinds.total() == COUNT
    assert set(kinds) == set(EXPECTED)
    assert min(kinds.values()) >= COUNT // 100


class Ear:
    """Hears payloads as a receiver does, and tells what became of each."""

    def __init__(self) -> None:
        self.orders = Orders(SEAT.keys, SEAT.opening_key, director_key=DIRECTOR.public, image_keys=IMAGE_KEYS)
        self.began: list[AnnouncedOrder] = []

    def hear(self, delivery: Delivery) -> type[Exception] | None:
        try:
            message = open_payload(*delivery, lambda _: DIRECTOR.public)
            if isinstance(message, SignedTicket):
                began = self.orders.ticket(message)
            else:
                assert isinstance(message, Announcement)
                began = self.orders.announced(message)
        except (MessageError, SignatureError, TicketError) as error:
            return type(error)
        if began is not None:
            self.began.append(began)
        return None


@pytest.mark.slow
def test_each_kind_is_stopped_by_what_should_stop_it() -> None:
    forger, ear = Forger(random.Random(SEED), sample_scene()), Ear()
    for delivery in forger.opening():
        assert ear.hear(delivery) is None
    assert [order.announcement.tsi for order in ear.began] == [OTHER_TSI]
    errors: dict[str, set[type[Exception]]] = {kind: set() for kind in EXPECTED}
    for maker in (*forger.insiders, *forger.outsiders):
        for _ in range(60):
            forgery = maker()
            raised = raised_by(ear, forgery)
            assert raised or not EXPECTED[forgery.kind], forgery
            errors[forgery.kind] |= raised
    assert all(errors[kind] <= EXPECTED[kind] for kind in EXPECTED), errors
    assert len(ear.began) == 1
    for delivery in forger.finale():
        assert ear.hear(delivery) is None
    assert [order.announcement.tsi for order in ear.began] == [OTHER_TSI, TSI]


@pytest.mark.slow
def test_no_forged_order_releases_what_is_only_planned() -> None:
    forger, ear = Forger(random.Random(SEED), sample_scene()), Ear()
    for delivery in (*forger.opening(), *forger.plan()):
        assert ear.hear(delivery) is None
    assert [order.order.ticket.may_write for order in ear.began] == [True, False]
    real_order = forger.finale()[-1]
    for forgery in forger.forgeries(COUNT // 5, insiders=0.6):
        if real_order in forgery.deliveries:
            continue  # with an altered announcement: the plan was announced before, so that this is what it waits for
        raised_by(ear, forgery)
        assert len(ear.began) == 2, forgery
    for delivery in (*forger.plan(), *forger.finale(), *forger.plan()):
        assert ear.hear(delivery) is None
    assert [(order.announcement.tsi, order.order.ticket.may_write) for order in ear.began[1:]] == [
        (TSI, False),
        (TSI, True),
    ]


def raised_by(ear: Ear, forgery: Forgery) -> set[type[Exception]]:
    return {error for delivery in forgery.deliveries if (error := ear.hear(delivery)) is not None}
