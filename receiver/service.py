"""Runs one receiver for real: waits for sessions on the broker and takes part in them, one at a time."""

import asyncio
import logging
import secrets
import time

from protocol import PROTOCOL_VERSION
from protocol.link.message_stream import received_messages
from protocol.link.mqtt import LastWill, MqttLink
from protocol.messages import ALL_SESSIONS, Announcement, Message, Presence, encode_message, topic_of
from receiver.active_session import ActiveSession
from receiver.config import ReceiverConfig, SessionOutcome
from receiver.session import ReceiverSession

_logger = logging.getLogger(__name__)


class Receiver:
    """One receiver on the broker; ``session`` is the one under way, for whoever shows progress."""

    def __init__(self, config: ReceiverConfig) -> None:
        self.session: ReceiverSession | None = None
        self._config = config
        self._receiver_id = secrets.token_hex(16)
        self._announcements: asyncio.Queue[Announcement] = asyncio.Queue(maxsize=64)
        self._active: ActiveSession | None = None
        self._seen: set[str] = set()

    def link(self) -> MqttLink:
        """The link to the broker, to be entered by the caller; its last will takes this receiver off the room."""
        will = self._presence(is_online=False)
        return MqttLink(
            self._config.broker,
            self._receiver_id,
            will=LastWill(topic_of(will), encode_message(will), retain=True),
            ca_file=self._config.ca_file,
            on_disconnect=self._control_lost,
            on_reconnect=self._control_restored,
        )

    async def run_session(self, link: MqttLink) -> SessionOutcome:
        """Wait for the next session, take part in it, and say how it ended. Raises TransportError."""
        self._link = link
        await link.subscribe(ALL_SESSIONS)
        self._say_hello()
        listener = asyncio.create_task(self._listen())
        try:
            announcement = await self._announcements.get()
            _logger.info("session %s: image %s", announcement.tsi, announcement.image.name)
            # A session that is joined again goes on counting, or what is said would look old to the broadcaster.
            last_sequence = 0 if self.session is None else self.session.last_sequence
            self._active = ActiveSession(announcement, self._config, self._receiver_id, link, last_sequence)
            self.session = self._active.session
            if not link.is_connected:
                self._control_lost()
            outcome = await self._active.run()
            if self._active.session.has_lost_sender:
                self._seen.discard(announcement.tsi)  # joined again as soon as it is announced again
            return outcome
        finally:
            self._active = None
            listener.cancel()

    def say_goodbye(self) -> None:
        """Tell the broker that this receiver leaves on purpose."""
        goodbye = self._presence(is_online=False)
        self._link.publish(topic_of(goodbye), encode_message(goodbye), retain=True)

    async def _listen(self) -> None:
        async for message in received_messages(self._link):
            self._receive(message)

    def _receive(self, message: Message) -> None:
        if isinstance(message, Announcement):
            is_new = message.tsi not in self._seen and not self._announcements.full()
            if is_new and message.protocol_version == PROTOCOL_VERSION:
                self._seen.add(message.tsi)
                self._announcements.put_nowait(message)
        elif self._active is not None:
            self._active.receive_message(message)

    def _control_lost(self) -> None:
        if self._active is not None:
            self._active.session.control_lost(time.monotonic())

    def _control_restored(self) -> None:
        self._say_hello()
        if self._active is not None:
            self._active.session.control_restored(time.monotonic())

    def _say_hello(self) -> None:
        hello = self._presence(is_online=True)
        self._link.publish(topic_of(hello), encode_message(hello), retain=True)

    def _presence(self, *, is_online: bool) -> Presence:
        return Presence(receiver_id=self._receiver_id, seat=self._config.seat, is_online=is_online)
