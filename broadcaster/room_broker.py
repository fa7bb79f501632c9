"""amqtt as a room needs it: corrected where a room depends on MQTT 3.1.1, and bounded where a peer could abuse it.

Each connection is bounded in both directions. What it says is read no faster than its share: beyond it the socket is
left unread, so that TCP holds the sender back and the others' messages pass. What it does not read is kept up to a
bound, then the connection is cut: a subscriber that is stuck must not fill the memory, and what it misses is repeated.
With certificates each connection has the name in its own, and may do what ``broadcaster.access`` allows that name; what
it may not is dropped or refused, and nobody else notices. It imports nothing of the roles, so that the broker's
process stays small.
"""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NoReturn, cast

from amqtt.adapters import BufferReader, ReaderAdapter, StreamReaderAdapter, StreamWriterAdapter, WriterAdapter
from amqtt.broker import Broker, Server
from amqtt.contexts import Action, BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import MQTTError
from amqtt.mqtt.connack import IDENTIFIER_REJECTED, NOT_AUTHORIZED, ConnackPacket
from amqtt.mqtt.connect import ConnectPacket
from amqtt.mqtt.packet import PUBACK, PUBCOMP, PUBREC, PUBREL
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session

from broadcaster.access import is_known, is_receiver, may_publish, may_subscribe

LISTENER: Final = "default"

KEEPALIVE_GRACE: Final = 5
"""[seconds] beyond its keep-alive interval that a connection may be silent. MQTT 3.1.1 section 3.1.2.10 asks for half
as much again; chosen: as long as our own interval, because a PC that reads its disk at full speed may be late."""

CONNECT_TIMEOUT: Final = 10.0
"""[seconds] until the first packet of a connection is there: stops a peer from holding silent connections."""

MESSAGES_PER_SECOND: Final = 100.0
"""[messages/s] of one connection: eight times what a receiver says; what a broker of 2,500/s shares among a room."""

MESSAGE_BURST: Final = 500.0
"""[messages] of one connection at once: what waited while the broker was away, and a room that says farewell."""

BYTES_PER_MESSAGE: Final = 16 * 1024
"""[bytes] that count as one message: large ones cost as much as many."""

MAX_PACKET_LENGTH: Final = 1 << 20
"""[bytes] four times our longest message; MQTT allows 256 MiB, which amqtt would collect in memory."""

MAX_WAITING: Final = 4096
"""[messages] accepted and not yet passed on; beyond it nobody's messages are read until they are."""

MAX_UNREAD: Final = 8 << 20
"""[bytes] that a subscriber may leave unread: the retained messages of the largest session fit."""

MAX_RETAINED: Final = 8192
"""[messages] two for each seat of the largest session: stops a peer that invents topics."""

MAX_RETAINED_BYTES: Final = 64 << 20
"""[bytes] of them all: six hundred announcements of the largest image."""

MAX_FILTERS: Final = 4096
"""[topic filters] that differ, of all connections: one of each seat for its tickets, and about ten of the roles. Each
message is compared with each."""

MAX_CONNECTIONS_PER_RECEIVER: Final = 4
"""[connections] with one receiver's certificate: it needs one, and a second while the first is half-open."""

FAREWELL_TIMEOUT: Final = 1.0
"""[seconds] for the last bytes to a peer that is being disconnected."""

CONGESTION_POLL: Final = 0.01
"""[seconds] between looks at a queue of MAX_WAITING, which takes a second to drain."""

_LONGEST_HEADER: Final = 5
"""[bytes] MQTT 3.1.1 section 2.2: a type, and a length of four bytes at most"""

_SUBSCRIPTION_REFUSED: Final = 0x80
"""MQTT 3.1.1 section 3.9.3"""

_ACKNOWLEDGEMENTS: Final = (PUBACK, PUBREC, PUBREL, PUBCOMP)


class RoomBroker(Broker):
    """The broker of one room; made inside the running loop.

    Args:
        asks_names: connections have certificates, and may do what the rules allow their names. Without it anybody may
            do anything.
    """

    def __init__(self, *, asks_names: bool = False) -> None:
        self._asks_names = asks_names
        self._connections_of: Counter[str] = Counter()
        super().__init__(
            BrokerConfig(
                listeners={LISTENER: ListenerConfig(type=ListenerType.EXTERNAL)},
                plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
                timeout_disconnect_delay=KEEPALIVE_GRACE,
            )
        )

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        bounded_writer = BoundedWriter(writer)
        name = bounded_writer.name
        self._connections_of[name] += 1
        try:
            if not is_receiver(name) or self._connections_of[name] <= MAX_CONNECTIONS_PER_RECEIVER:
                await self.external_connected(PacedReader(reader, self._is_congested), bounded_writer, LISTENER)
        finally:
            self._connections_of[name] -= 1
            if not self._connections_of[name]:
                del self._connections_of[name]
            await bounded_writer.close()

    def _is_congested(self) -> bool:
        return self._broadcast_queue.qsize() > MAX_WAITING

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        """Refuse what a name may not be or leave behind, before amqtt touches the session of that client id.

        The client id of a receiver is its name, or it could throw another one out. Its last will is held to the rules
        now, since amqtt publishes wills without asking.
        """
        if not self._asks_names:
            return await super()._initialize_client_session(reader, writer, remote_address, remote_port)
        assert isinstance(reader, PacedReader)
        assert isinstance(writer, BoundedWriter)
        first = await reader.read_packet()
        connect = await ConnectPacket.from_stream(BufferReader(first))
        refusal = _refusal(writer.name, connect)
        if refusal is not None:
            await ConnackPacket.build(0, refusal).to_stream(writer)
            raise MQTTError(f"refused {writer.name}")
        handler, session = await super()._initialize_client_session(
            BufferReader(first), writer, remote_address, remote_port
        )
        session.username = writer.name
        return handler, session

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        """Ask the rules; what somebody is sent was asked for before, when it subscribed."""
        if not self._asks_names or action is Action.RECEIVE:
            return True
        may = may_publish if action is Action.PUBLISH else may_subscribe
        return may(session.username or "", topic)

    async def _handle_client_session(  # noqa: PLR0917 - amqtt's signature
        self,
        reader: ReaderAdapter,
        writer: WriterAdapter,
        client_session: Session,
        handler: BrokerProtocolHandler,
        server: Server,
        listener_name: str,
    ) -> None:
        """End connections that are silent for too long (MQTT-3.1.2-24), which amqtt notices but does not act on."""
        assert isinstance(reader, PacedReader)
        reader.longest_silence = client_session.keep_alive or None
        await super()._handle_client_session(reader, writer, client_session, handler, server, listener_name)

    async def _delete_session(self, client_id: str) -> None:
        """End the old connection of a machine that connects anew under its own client id (MQTT-3.1.4-2).

        Otherwise the half-open connection of a PC that was switched off and on again times out after its successor
        has come, and its last will declares a seat dead that is alive. A takeover is no death: no will is published.
        """
        session, handler = self.sessions.get(client_id, (None, None))
        if session is not None and handler is not None and session.transitions.is_connected():
            session.will_flag = False
            await handler.handle_connection_closed()
            await handler.stop()
        await super()._delete_session(client_id)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        """Send retained messages to those who subscribed to them (MQTT-3.3.1-6).

        Otherwise each machine that connects is sent what anybody has subscribed to, and those sends suspend a loop
        over the subscriptions that breaks, and the connection with it, when another machine subscribes meanwhile.
        """
        if any(subscriber is session for subscriber, _ in self.subscriptions.get(subscription[0], ())):
            await super()._publish_retained_messages_for_subscription(subscription, session)

    async def retain_message(
        self,
        source_session: Session | None,
        topic_name: str | None,
        data: bytes | bytearray | None,
        qos: int | None = None,
    ) -> None:
        """Keep the state of a topic while there is room; those who come later miss what did not fit."""
        others = [kept for topic, kept in self.retained_messages.items() if topic != topic_name]
        length = len(data or b"") + sum(len(kept.data) for kept in others)
        if not data or (len(others) < MAX_RETAINED and length <= MAX_RETAINED_BYTES):
            await super().retain_message(source_session, topic_name, data, qos)

    async def add_subscription(self, subscription: tuple[str, int], session: Session) -> int:
        """Add a topic filter while there is room; the granted quality of service, or a refusal."""
        if subscription[0] not in self.subscriptions and len(self.subscriptions) >= MAX_FILTERS:
            for unused in [topic for topic, subscribers in self.subscriptions.items() if not subscribers]:
                del self.subscriptions[unused]  # amqtt keeps those that everybody has unsubscribed
            if len(self.subscriptions) >= MAX_FILTERS:
                return _SUBSCRIPTION_REFUSED
        return await super().add_subscription(subscription, session)


def _refusal(name: str, connect: ConnectPacket) -> int | None:
    """The return code (MQTT 3.1.1 section 3.2.2.3) that refuses a connection, None for one that may be."""
    header = connect.variable_header
    if not is_known(name) or header is None or connect.payload is None or not header.clean_session_flag:
        # What a session left behind could be taken over by another name that uses its client id.
        return NOT_AUTHORIZED
    if is_receiver(name) and connect.payload.client_id != name:
        return IDENTIFIER_REJECTED
    if header.will_flag and not may_publish(name, connect.payload.will_topic or ""):
        return NOT_AUTHORIZED
    return None


class PacedReader(StreamReaderAdapter):
    """What a peer says, no faster than its share; the end of data where it is too long, too late or makes no sense.

    It follows the packets: a fixed header is read ahead as a whole, so that a packet's kind and length are known before
    it is handed on. Acknowledgements are not counted: there are as many as messages that the peer was sent.
    """

    def __init__(self, reader: asyncio.StreamReader, is_congested: Callable[[], bool] = lambda: False) -> None:
        super().__init__(reader)
        self.longest_silence: float | None = CONNECT_TIMEOUT
        """[seconds] between two packets, None for any length"""
        self._is_congested = is_congested
        self._header = bytearray()
        """of the next packet, as far as it was read, then as far as it was not yet handed on"""
        self._body_left: int | None = None
        """bytes of this packet behind its header, None between packets"""
        self._tokens = MESSAGE_BURST
        self._filled_at = self._heard_at = time.monotonic()

    async def read(self, n: int = -1) -> bytes:
        """The next ``n`` bytes of the packet that has begun, or of the next one.

        Raises:
            ConnectionResetError: nothing more will come, or nothing more is wanted.
            IncompleteReadError: the peer has closed the connection.
        """
        if n == 0:
            return b""
        if self._body_left is None:
            self._body_left = await self._begin_packet()
            await self._pace(self._header[0] >> 4, self._body_left)
        if self._header:
            taken = bytes(self._header[:n])
            del self._header[:n]
        elif 0 < n <= self._body_left:
            taken = await self._read_in_time(n)
            self._body_left -= n
        else:
            self._refuse("a packet contradicts its own length")
        if not self._header and self._body_left == 0:
            self._body_left = None
        return taken

    async def read_packet(self) -> bytes:
        """A whole packet, between two others. Raises as ``read``."""
        first = await self.read(1)
        assert self._body_left is not None
        return first + await self.read(len(self._header)) + await self.read(self._body_left)

    async def _begin_packet(self) -> int:
        """Read a fixed header (MQTT 3.1.1 section 2.2); the length of what follows it. May be cancelled at any time."""
        while len(self._header) < 2 or self._header[-1] & 0x80:
            if len(self._header) == _LONGEST_HEADER:
                self._refuse("a length of more than four bytes")
            self._header += await self._read_in_time(1)
        self._heard_at = time.monotonic()
        length = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(self._header[1:]))
        if length > MAX_PACKET_LENGTH:
            self._refuse(f"a packet of {length} bytes")
        return length

    async def _pace(self, kind: int, length: int) -> None:
        if kind in _ACKNOWLEDGEMENTS:
            return
        now = time.monotonic()
        earned = (now - self._filled_at) * MESSAGES_PER_SECOND
        self._tokens = min(MESSAGE_BURST, self._tokens + earned) - max(1.0, length / BYTES_PER_MESSAGE)
        self._filled_at = now
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / MESSAGES_PER_SECOND)
        while self._is_congested():  # noqa: ASYNC110 - amqtt's queue tells its length, and nobody when it changes
            await asyncio.sleep(CONGESTION_POLL)
        self._heard_at = time.monotonic()

    async def _read_in_time(self, count: int) -> bytes:
        if self.longest_silence is None:
            return await self._reader.readexactly(count)
        try:
            async with asyncio.timeout(self._heard_at + self.longest_silence - time.monotonic()):
                return await self._reader.readexactly(count)
        except TimeoutError:
            self._refuse("silence")

    def _refuse(self, reason: str) -> NoReturn:
        """End the connection for amqtt, which takes one failed read as one packet lost."""
        error = ConnectionResetError(reason)
        self._reader.set_exception(error)
        raise error


class BoundedWriter(StreamWriterAdapter):
    """What a peer is told; it never waits, and cuts the connection of a peer that leaves too much of it unread."""

    @property
    def name(self) -> str:
        """The common name in the peer's certificate, which TLS has verified; empty without one."""
        tls: ssl.SSLObject | None = self.get_ssl_info()
        certificate = (tls and tls.getpeercert()) or {}
        subject = cast("tuple[tuple[tuple[str, str], ...], ...]", certificate.get("subject", ()))
        names = [value for part in subject for kind, value in part if kind == "commonName"]
        return names[0] if len(names) == 1 else ""

    async def drain(self) -> None:
        """Look at what is unread.

        Raises:
            ConnectionResetError: it was too much, or the connection has ended.
        """
        transport = self._writer.transport
        if transport.get_write_buffer_size() > MAX_UNREAD:
            transport.abort()
        if transport.is_closing():
            raise ConnectionResetError

    async def close(self) -> None:
        """End the connection, with a moment for what is still unread; a peer that does not read cannot hold it."""
        if not self.is_closed:
            self.is_closed = True
            transport = self._writer.transport
            transport.close()
            asyncio.get_running_loop().call_later(FAREWELL_TIMEOUT, transport.abort)
