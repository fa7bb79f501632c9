"""Runs one receiver for real: waits for orders on the broker and takes part in their sessions, one at a time."""

import asyncio
import contextlib
import logging
import time
from dataclasses import replace
from typing import Final

from protocol.envelope import signed_payload
from protocol.errors import TicketError
from protocol.link.message_stream import Voice, received_messages
from protocol.link.mqtt import LastWill, MqttLink
from protocol.messages import (
    ALL_SESSIONS,
    Announcement,
    BroadcasterMessage,
    Message,
    Presence,
    SessionPhase,
    SessionStatus,
    SignedTicket,
    ticket_topic,
    topic_of,
)
from receiver.active_session import ActiveSession
from receiver.config import ReceiverConfig, SessionOutcome
from receiver.enrolment import Enrolment
from receiver.identity import ReceiverIdentity
from receiver.orders import AnnouncedOrder, Orders
from receiver.session import ReceiverSession

PRESENCE_INTERVAL: Final = 5.0
"""[s] How often a receiver says that it is there, whoever may have forgotten it; half of what makes a seat silent."""

TICKET_INTERVAL: Final = 1.0
"""[s] How often a receiver that lacks the ticket of an announced session says that it is there: that asks for it."""

TICKET_TRIES: Final = 10
"""[presences] said at that pace for the same announced sessions. Who has no ticket by then is probably not meant: the
session is for another room, or only for some machines of this one; the usual presences still ask."""

OTHER_TICKETS: Final = 0.3
"""[s] For the tickets of other sessions that are announced, once one has come: all were asked for by one presence."""

MAX_REFUSALS: Final = 32
"""[reasons] that are shown; who writes to the broker could invent more."""

_logger = logging.getLogger(__name__)


class Receiver:
    """One receiver on the broker; ``session`` is the one under way, for whoever shows progress."""

    def __init__(self, config: ReceiverConfig, identity: ReceiverIdentity, enrolment: Enrolment) -> None:
        self.session: ReceiverSession | None = None
        self._config = config
        self._identity = identity
        self._enrolment = enrolment
        self._orders = Orders(
            identity.keys,
            identity.opening_key,
            director_key=enrolment.trust.director_key,
            image_keys=enrolment.trust.image_keys,
        )
        self._ordered: asyncio.Queue[AnnouncedOrder] = asyncio.Queue()
        self._active: ActiveSession | None = None
        self._refusals: set[str] = set()
        self._failure: BaseException | None = None

    def link(self) -> MqttLink:
        """The link to the broker, to be entered by the caller; its last will takes this receiver off the room."""
        will = self._presence(is_online=False)
        link = MqttLink(
            self._enrolment.broker,
            self._identity.receiver_id,
            will=LastWill(topic_of(will), signed_payload(will, self._identity.signing_key), retain=True),
            tls=self._enrolment.broker_tls,
            on_disconnect=self._control_lost,
            on_reconnect=self._control_restored,
        )
        self._voice = Voice(link, self._identity.signing_key)
        return link

    def use_target(self, target: str, fault: str = "") -> None:
        """Put the images of sessions that are not under way yet on this disk, or refuse them with ``fault``."""
        self._config = replace(self._config, target=target, target_fault=fault)

    async def run_session(self, link: MqttLink) -> SessionOutcome:
        """Wait for the next order, take part in its session, and say how it ended. Raises TransportError."""
        self._link = link
        self._voice = Voice(link, self._identity.signing_key)
        await link.subscribe(ticket_topic(self._identity.receiver_id))
        await link.subscribe(ALL_SESSIONS)
        self._say_hello()
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self.stay_present())]
        for task in tasks:
            task.add_done_callback(self._task_ended)
        try:
            ordered = await self._next_order()
            announcement = ordered.announcement
            _logger.info("session %s: image %s", announcement.tsi, announcement.image.name)
            # A session that is joined again goes on counting, or what is said would look old to the broadcaster.
            last_sequence = 0 if self.session is None else self.session.last_sequence
            self._active = ActiveSession(
                ordered,
                self._config,
                self._identity,
                self._enrolment,
                self._voice,
                last_sequence=last_sequence,
                has_begun=self._has_begun(announcement.tsi),
            )
            self.session = self._active.session
            if not link.is_connected:
                self._control_lost()
            outcome = await self._active.run()
            if self.session.has_lost_sender and not self.session.is_stopped:
                self._orders.may_begin_again(announcement.tsi)  # joined again as soon as it is announced again
            else:
                self._orders.ended(announcement.tsi)
            return outcome
        finally:
            self._active = None
            for task in tasks:
                task.cancel()

    def _has_begun(self, tsi: str) -> bool:
        """Whether the disk was written in this session before, so that nothing is left to be stopped."""
        before = self.session
        return before is not None and before.announcement.tsi == tsi and before.arming.has_begun

    def say_goodbye(self) -> None:
        """Tell the broker that this receiver leaves on purpose."""
        self._voice.say(self._presence(is_online=False), retain=True)

    async def _next_order(self) -> AnnouncedOrder:
        lacking, tries = self._orders.lacking, 0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICKET_INTERVAL):
                    ordered = await self._ordered.get()
                if (chosen := await self._chosen(ordered)) is not None:
                    return chosen
            if self._failure is not None:
                raise self._failure
            if self._orders.lacking - lacking:
                tries = 0
            lacking = self._orders.lacking
            if lacking and tries < TICKET_TRIES:
                tries += 1
                self._say_hello()

    async def _chosen(self, ordered: AnnouncedOrder) -> AnnouncedOrder | None:
        """Of the sessions that this receiver is ordered into, the one that its neighbours choose too.

        Two casts that wait for the whole room would wait for ever if each got half of it.
        """
        if self._orders.lacks_ticket:
            await asyncio.sleep(OTHER_TICKETS)
        offers = [ordered]
        while not self._ordered.empty():
            offers.append(self._ordered.get_nowait())
        # The newest of each session: of one that was planned first, the order to write.
        newest = {each.announcement.tsi: each for each in offers if not self._orders.has_ended(each.announcement.tsi)}
        chosen = newest.pop(min(newest), None) if newest else None
        for offer in newest.values():
            self._ordered.put_nowait(offer)
        return chosen

    async def stay_present(self) -> None:
        """Say hello again and again, between sessions too: a broadcaster that was restarted, or a broker that forgot,
        must learn who we are, and nobody is to take us for switched off.
        """
        while True:
            await asyncio.sleep(PRESENCE_INTERVAL)
            self._say_hello()

    async def _listen(self) -> None:
        async for message in received_messages(self._link, self._key_for):
            self._receive(message)

    def _key_for(self, message: Message) -> bytes | None:
        """Only the director speaks to receivers."""
        return self._enrolment.trust.director_key if isinstance(message, BroadcasterMessage) else None

    def _receive(self, message: Message) -> None:
        if isinstance(message, Announcement | SignedTicket):
            try:
                if isinstance(message, SignedTicket):
                    ordered = self._orders.ticket(message)
                else:
                    ordered = self._orders.announced(message)
            except TicketError as error:
                self._refuse(error)
            else:
                if ordered is not None:
                    self._take(ordered)
        elif isinstance(message, SessionStatus):
            if message.phase is SessionPhase.ENDED:
                self._orders.ended(message.tsi)
            if self._active is not None:
                self._active.receive_message(message)

    def _take(self, ordered: AnnouncedOrder) -> None:
        """A session that is under way is one that was planned, and may now be written; any other waits for its turn."""
        active = self._active
        if active is not None and active.session.announcement.tsi == ordered.announcement.tsi:
            active.release(ordered.order.ticket)
        else:
            self._ordered.put_nowait(ordered)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """A fault of ours must not leave a receiver that waits for ever and hears nothing."""
        if not task.cancelled():
            self._failure = self._failure or task.exception()

    def _refuse(self, error: TicketError) -> None:
        """Once for each reason: whoever can write to the broker could fill the screen."""
        if str(error) not in self._refusals and len(self._refusals) < MAX_REFUSALS:
            self._refusals.add(str(error))
            _logger.warning("refused: %s", error)

    def _control_lost(self) -> None:
        if self._active is not None:
            self._active.session.control_lost(time.monotonic())

    def _control_restored(self) -> None:
        self._say_hello()
        if self._active is not None:
            self._active.session.control_restored(time.monotonic())

    def _say_hello(self) -> None:
        self._voice.say(self._presence(is_online=True), retain=True, supersedes=True)

    def _presence(self, *, is_online: bool) -> Presence:
        keys = self._identity.keys
        return Presence(
            receiver_id=keys.receiver_id,
            machine=self._config.machine or self._config.seat,
            seat=self._config.seat,
            is_online=is_online,
            identity_key=keys.identity_key,
            sealing_key=keys.sealing_key,
            boot_nonce=keys.boot_nonce,
            admission=self._enrolment.admission,
            metrics=self._config.metrics_address,
        )
