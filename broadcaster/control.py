"""What one broadcast hears and says over MQTT: only what is proved reaches the session, and whoever was admitted gets
its order.

    link --payloads--> admit (rate) --> proved by the sender's key --> new, and not too many --> certificates, tickets,
    session
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

from broadcaster.admissions import MAX_ADMITTED, Admissions
from broadcaster.alarms import Alarms
from broadcaster.budget import MessageBudget
from broadcaster.certificates import Certificates
from broadcaster.credentials import CastCredentials
from broadcaster.freshness import Freshness, Numbered
from broadcaster.session import SenderSession
from protocol.errors import MessageError, SealError, SignatureError
from protocol.link.message_stream import Voice, received_messages, sender_of
from protocol.link.mqtt import BrokerAddress, MqttLink
from protocol.messages import (
    ALL_RECEIVERS,
    Announcement,
    Message,
    Presence,
    ReceiverReport,
    SessionPhase,
    SignedCertificate,
    announcement_topic,
    ticket_topic,
)
from protocol.ticket import sign_ticket

FAREWELL_SECONDS: Final = 2.0
"""[s] How long the last words (session ended, announcement withdrawn) may take to reach the broker."""

TICKET_GAP: Final = 0.5
"""[s] Between two tickets for the same receiver, half of what one waits that lacks its own: a presence can be repeated
by anybody who reads a broker without access rules."""

_logger = logging.getLogger(__name__)


class RoomControl:
    """The control traffic of one broadcast.

    Args:
        broker: where it goes.
        credentials: who we are.
        session_secret: 32 bytes, given to admitted receivers alone.
        on_order: told receiver id and seat of each ticket that lets a receiver write, repeated ones too.
        is_wanted: whether this receiver is one of those that the session is for, asked of each presence that is proved.
            Whoever is not wanted gets no ticket, and nothing that it says reaches the session.
    """

    def __init__(
        self,
        broker: BrokerAddress,
        credentials: CastCredentials,
        session_secret: bytes,
        on_order: Callable[[str, str], object],
        *,
        is_wanted: Callable[[Presence], bool] = lambda presence: True,
    ) -> None:
        self.broker = broker
        self.budget = MessageBudget()
        self._credentials = credentials
        self._session_secret = session_secret
        self._on_order = on_order
        self._is_wanted = is_wanted
        self._wanted: dict[str, Presence] = {}
        self._dismissed_machines: set[str] = set()
        self._admissions = Admissions(credentials.director.public)
        self._freshness = Freshness()
        self._tickets_due: dict[str, float] = {}
        self._alarms = Alarms()
        self._session: SenderSession | None = None
        self._certificates: Certificates | None = None

    def link(self, client_id: str, on_lost: Callable[[], None], on_restored: Callable[[], None]) -> MqttLink:
        """The link to the broker, to be entered by the caller; both calls come once the session is open."""
        self._link = MqttLink(
            self.broker,
            client_id,
            tls=self._credentials.broker_tls,
            admit=self._admit,
            on_disconnect=lambda: self._if_open(on_lost),
            on_reconnect=lambda: self._if_open(on_restored),
        )
        self._voice = Voice(self._link, self._credentials.director)
        return self._link

    def open(
        self, session: SenderSession, kept: Iterable[SignedCertificate], dismissed_machines: Iterable[str] = ()
    ) -> None:
        """The session is there; ``kept`` are the certificates of its earlier run, as are the machines it dismissed."""
        self._session = session
        self._dismissed_machines.update(dismissed_machines)
        self._certificates = Certificates(session.announcement, self._admissions.keys_of)
        self._certificates.restore(kept)

    @property
    def certificates(self) -> Certificates:
        """Of the seats that are done."""
        assert self._certificates is not None
        return self._certificates

    async def subscribe(self) -> None:
        """Ask for everything that receivers say. Raises TransportError."""
        await self._link.subscribe(ALL_RECEIVERS)

    async def messages(self) -> AsyncIterator[Message]:
        """What admitted receivers say, after tickets, certificates and alarms were seen to; for one consumer."""
        async for message in received_messages(self._link, self._admissions.key_for):
            if isinstance(message, Presence):
                self._choose(message)
            if getattr(message, "receiver_id", "") not in self._wanted:
                continue
            if isinstance(message, Numbered) and not self._is_heeded(message):
                continue
            if isinstance(message, Presence) and message.is_online:
                self._give_ticket(message)
            elif isinstance(message, SignedCertificate):
                self._take_certificate(message)
            elif isinstance(message, ReceiverReport):
                alarm = self._alarms.heard(message, time.monotonic())
                if alarm:
                    _logger.warning("%s", alarm)
            yield message

    def give_tickets(self) -> None:
        """Give everybody that is there the ticket that now holds, at once."""
        self._tickets_due.clear()
        for presence in list(self._wanted.values()):
            if presence.is_online:
                self._give_ticket(presence)

    def dismiss(self, receiver_id: str) -> None:
        """Give this machine no ticket any more, under whatever id it comes back; what it still says is heard."""
        presence = self._wanted.get(receiver_id)
        if presence is not None:
            self._dismissed_machines.add(presence.machine)

    @property
    def dismissed_machines(self) -> frozenset[str]:
        """Machines that get no ticket any more."""
        return frozenset(self._dismissed_machines)

    def speak(self, session: SenderSession) -> None:
        """Say all that is due."""
        while (message := session.next_message(time.monotonic())) is not None:
            self._voice.say(message, retain=isinstance(message, Announcement), supersedes=True)

    async def farewell(self, session: SenderSession) -> None:
        """Say the last words, and withdraw the announcement."""
        self.speak(session)
        self._link.publish(announcement_topic(session.announcement.tsi), b"", retain=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._link.flush()

    def strike(self, receiver_id: str, what: str) -> None:
        """An admitted receiver said what makes no sense."""
        self.budget.strike(receiver_id, what, time.monotonic())

    def _choose(self, presence: Presence) -> None:
        """Note whether this receiver is one of ours, as it now presents itself."""
        receiver_id = presence.receiver_id
        is_known = receiver_id in self._wanted
        if not self._is_wanted(presence) or (presence.machine in self._dismissed_machines and not is_known):
            self._wanted.pop(receiver_id, None)
            return
        if not is_known and len(self._wanted) >= MAX_ADMITTED:
            del self._wanted[next(iter(self._wanted))]
        self._wanted[receiver_id] = presence

    def _give_ticket(self, presence: Presence) -> None:
        """Each time that a receiver says it is there: one that lacks its ticket says so more often."""
        session, keys = self._session, self._admissions.keys_of(presence.receiver_id)
        if session is None or keys is None or session.phase is SessionPhase.ENDED:
            return
        if presence.machine in self._dismissed_machines:
            return
        now = time.monotonic()
        if now < self._tickets_due.get(presence.receiver_id, now):
            return
        if len(self._tickets_due) >= MAX_ADMITTED:
            self._tickets_due.clear()
        self._tickets_due[presence.receiver_id] = now + TICKET_GAP
        try:
            ticket = sign_ticket(
                session.announcement,
                keys,
                self._session_secret,
                self._credentials.director,
                may_write=not session.is_held,
            )
        except SealError as error:
            self.strike(presence.receiver_id, str(error))
            return
        self._voice.say(ticket, supersedes=True)
        if not session.is_held:
            self._on_order(presence.receiver_id, presence.seat)

    def _take_certificate(self, signed: SignedCertificate) -> None:
        try:
            self.certificates.receive(signed)
        except (SignatureError, MessageError) as error:
            self.strike(signed.receiver_id, str(error))

    def _is_heeded(self, message: Numbered) -> bool:
        """What is old says nothing, and is not held against the receiver: anybody may have repeated it."""
        return self._freshness.is_new(message) and self.budget.admit(message.receiver_id, time.monotonic())

    def _admit(self, topic: str) -> bool:
        receiver_id = sender_of(topic)
        if receiver_id is None:
            return True
        is_our_own = topic == ticket_topic(receiver_id)
        return not is_our_own and self.budget.admit_unproved(receiver_id, time.monotonic())

    def _if_open(self, call: Callable[[], None]) -> None:
        if self._session is not None:
            call()
