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
        on_order: told receiver id and seat of each ticket that is given, repeated ones too.
    """

    def __init__(
        self,
        broker: BrokerAddress,
        credentials: CastCredentials,
        session_secret: bytes,
        on_order: Callable[[str, str], object],
    ) -> None:
        self.broker = broker
        self.budget = MessageBudget()
        self._credentials = credentials
        self._session_secret = session_secret
        self._on_order = on_order
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

    def open(self, session: SenderSession, kept: Iterable[SignedCertificate]) -> None:
        """The session is there; ``kept`` are the certificates of its earlier run."""
        self._session = session
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

    def _give_ticket(self, presence: Presence) -> None:
        """Each time that a receiver says it is there: one that lacks its ticket says so more often."""
        session, keys = self._session, self._admissions.keys_of(presence.receiver_id)
        if session is None or keys is None or session.phase is SessionPhase.ENDED:
            return
        now = time.monotonic()
        if now < self._tickets_due.get(presence.receiver_id, now):
            return
        if len(self._tickets_due) >= MAX_ADMITTED:
            self._tickets_due.clear()
        self._tickets_due[presence.receiver_id] = now + TICKET_GAP
        try:
            ticket = sign_ticket(session.announcement, keys, self._session_secret, self._credentials.director)
        except SealError as error:
            self.strike(presence.receiver_id, str(error))
            return
        self._voice.say(ticket, supersedes=True)
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
