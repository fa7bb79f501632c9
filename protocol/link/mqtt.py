"""The MQTT link: one connection to the broker that comes back by itself; the only file that imports aiomqtt.

It carries opaque payloads: what they mean is protocol.messages' business, when to repeat them the sessions'. It never
blocks its caller while the broker is away, and never grows without bound: what does not fit is dropped, oldest first,
and counted, because state converges by repetition (docs/protocol.md). Only the first connection may fail; later ones
are tried until the link is closed, subscriptions are renewed, and ``on_reconnect`` may publish presence again.
MQTT 3.1.1 with a clean session: both amqtt and Mosquitto speak it, and nothing must outlive a connection but retained
messages. One client id per receiver for its lifetime: a broker then ends the old connection, and its last will, first.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, NamedTuple, Self
from urllib.parse import quote, unquote, urlsplit

import aiomqtt
from paho.mqtt.reasoncodes import ReasonCode
from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, wait_random_exponential

from protocol.errors import ConfigError, SessionStateError, TransportError
from protocol.link.backlog import MAX_BACKLOG, MESSAGE_OVERHEAD, Backlog, Message
from protocol.link.tls import is_certificate_refused

DEFAULT_PORT: Final = 1883
DEFAULT_TLS_PORT: Final = 8883

KEEPALIVE: Final = 5
"""[seconds] Silence after which the broker is probed; a half-open connection is given up after twice this."""

ANSWER_TIMEOUT: Final = 5.0
"""[seconds] chosen: a broker on the LAN that takes longer for one acknowledgement is as good as gone."""

LONGEST_BACKOFF: Final = 1.0
"""[seconds] Ceiling of the random wait between two attempts: a broker that returns gets 60 connections spread over this
time, a third of what amqtt takes, and no receiver waits longer."""

FAREWELL_TIMEOUT: Final = 2.0
"""[seconds] How long closing waits for messages that are still on their way out."""

MQTT_SUBSCRIPTION_FAILURE: Final = 0x80
"""The return code of MQTT 3.1.1 section 3.9.3 that refuses a subscription."""

_NO_ANSWER: Final = "Operation timed out"
"""What aiomqtt says of a broker that takes a connection and does not speak."""

_logger = logging.getLogger(__name__)

# What matters of the library comes as an exception. It logs, with a traceback, also an answer to a request that was
# cancelled meanwhile, as by Ctrl-C, and lets asyncio log why a connection ended that was given up before; to an
# operator that is nothing.
_library_logger = logging.getLogger(f"{__name__}.library")
_library_logger.setLevel(logging.CRITICAL)
logging.getLogger("asyncio").addFilter(lambda record: not _is_of_library(record))


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker listens, and as whom to speak to it."""

    host: str
    port: int = DEFAULT_PORT
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``mqtt[s]://[user[:password]@]host[:port]`` or ``host[:port]``.

        Raises:
            ConfigError: another scheme, no host, a port out of range, or more than an address.
        """
        try:
            parts = urlsplit(text if "://" in text else f"mqtt://{text}")
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ConfigError(
                f"broker {_without_password(text)}: write host:port, or [address]:port for IPv6"
            ) from None
        if parts.scheme not in ("mqtt", "mqtts"):
            raise ConfigError(f"broker {_without_password(text)}: the scheme must be mqtt or mqtts")
        if not host or port == 0 or any(character.isspace() for character in host):
            raise ConfigError(f"broker {_without_password(text)}: write host:port with a port from 1 to 65535")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ConfigError(f"broker {_without_password(text)}: nothing may follow the port")
        tls = parts.scheme == "mqtts"
        return cls(
            host=host,
            port=port or (DEFAULT_TLS_PORT if tls else DEFAULT_PORT),
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
            tls=tls,
        )

    def __str__(self) -> str:
        """The address as an operator may see it: without the password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = "" if self.username is None else f"{quote(self.username)}@"
        return f"{'mqtts' if self.tls else 'mqtt'}://{user}{host}:{self.port}"


class LastWill(NamedTuple):
    """What the broker publishes for us when our connection ends without a farewell."""

    topic: str
    payload: bytes
    retain: bool = True


class MqttLink:
    """A connection to the broker for as long as the context is entered.

    Args:
        address: the broker.
        client_id: the same for one receiver or broadcaster over its whole life, unique in the room.
        will: published by the broker when this process, its machine or its network dies.
        tls: whom to believe and what to show to an mqtts broker; None trusts the authorities of the system.
        on_reconnect: called in the event loop after each later connection, when subscriptions are renewed.
        on_disconnect: called in the event loop when the broker is lost, once before each ``on_reconnect``.
        admit: asked with the topic of each message that arrives, before it takes room in any queue: so one peer's
            flood is dropped alone, not with the oldest messages of all the others.
    """

    def __init__(
        self,
        address: BrokerAddress,
        client_id: str,
        *,
        will: LastWill | tuple[str, bytes, bool] | None = None,
        tls: ssl.SSLContext | None = None,
        on_reconnect: Callable[[], None] | None = None,
        on_disconnect: Callable[[], None] | None = None,
        admit: Callable[[str], bool] | None = None,
    ) -> None:
        self._address = address
        self._client_id = client_id
        self._will = None if will is None else LastWill(*will)
        self._on_reconnect = on_reconnect
        self._on_disconnect = on_disconnect
        self._queue_type = None if admit is None else _admitting_queue(admit)
        self._subscriptions: dict[str, int] = {}
        self._outbox = Backlog()
        self._inbox = Backlog()
        self._tls = (tls or ssl.create_default_context()) if address.tls else None
        self._client: aiomqtt.Client | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._connection_count = 0
        self._is_closing = False

    @property
    def is_connected(self) -> bool:
        """Whether the broker is there, as far as the last exchange tells."""
        return self._client is not None

    @property
    def dropped_count(self) -> int:
        """Messages lost in both directions because a queue was full."""
        return self._outbox.dropped_count + self._inbox.dropped_count

    @property
    def reconnect_count(self) -> int:
        """Connections made after the first."""
        return max(0, self._connection_count - 1)

    async def __aenter__(self) -> Self:
        """Connect once.

        Raises:
            TransportError: refused, unreachable, unknown name, wrong password or no trust in the certificate.
        """
        self._client = await self._connect()
        self._keeper = asyncio.create_task(self._keep_connected(self._client), name=f"mqtt link {self._client_id}")
        self._keeper.add_done_callback(lambda _: self._inbox.close())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send what is still queued, say farewell (the will stays unpublished) and disconnect."""
        assert self._keeper is not None
        if error is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_TIMEOUT):
                    await self.flush()
        self._is_closing = True
        self._keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeper
        if self._client is not None:  # the keeper was cancelled before its first step
            await self._part(self._client)

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, supersedes: bool = False
    ) -> None:
        """Queue one message and return at once.

        One that is retained, or that ``supersedes``, takes the place of its predecessor of that topic that still waits:
        what piled up while the broker was away would otherwise look like a flood when it is back.
        """
        try:
            aiomqtt.Topic(topic)
        except ValueError:
            raise SessionStateError(f"{topic!r} is no topic to publish on") from None
        self._outbox.put(Message(topic, payload, qos, retain, supersedes))

    def withdraw(self, topic: str) -> None:
        """Take back what still waits to be sent on ``topic``; sent late, it would do what nobody expects any more."""
        self._outbox.withdraw(topic)

    async def flush(self) -> None:
        """Wait until the broker has acknowledged everything queued; bound it with ``asyncio.timeout``."""
        await self._outbox.drained()

    async def subscribe(self, topic_filter: str, *, qos: int = 1) -> None:
        """Receive what is published on ``topic_filter``, now and after each reconnect.

        Raises:
            TransportError: the broker refuses, or is connected but does not answer.
            SessionStateError: MQTT knows no such filter.
        """
        try:
            aiomqtt.Wildcard(topic_filter)
        except ValueError:
            raise SessionStateError(f"{topic_filter!r} is no topic filter") from None
        self._subscriptions[topic_filter] = qos
        client = self._client
        if client is None:
            return
        try:
            await self._request_subscriptions(client, {topic_filter: qos})
        except aiomqtt.MqttError as error:
            if self._client is client:
                raise TransportError(f"broker {self._address} does not answer a subscription: {error}") from None

    async def unsubscribe(self, topic_filter: str) -> None:
        """Stop receiving ``topic_filter``; a broker that is away is not asked, since it has forgotten it anyway."""
        self._subscriptions.pop(topic_filter, None)
        if self._client is not None:
            with contextlib.suppress(aiomqtt.MqttError):
                await self._client.unsubscribe(topic_filter)

    async def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        """Topic and payload of each message, across reconnects, until the link is closed; for one consumer."""
        while (message := await self._inbox.oldest()) is not None:
            self._inbox.remove(message)
            yield message.topic, message.payload

    async def _keep_connected(self, first: aiomqtt.Client) -> None:
        """Serve one connection after the other; ends by cancellation only."""
        clients = deque([first])
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(TransportError),
            wait=wait_random_exponential(multiplier=0.2, max=LONGEST_BACKOFF),
            before_sleep=before_sleep_log(_logger, logging.DEBUG),
        ):
            with attempt:
                await self._serve(clients.popleft() if clients else await self._connect())

    async def _connect(self) -> aiomqtt.Client:
        will = self._will and aiomqtt.Will(self._will.topic, self._will.payload, qos=1, retain=self._will.retain)
        client = aiomqtt.Client(
            self._address.host,
            self._address.port,
            identifier=self._client_id,
            username=self._address.username,
            password=self._address.password,
            will=will,
            clean_session=True,
            tls_context=self._tls,
            logger=_library_logger,
            timeout=ANSWER_TIMEOUT,
            keepalive=KEEPALIVE,
            queue_type=self._queue_type,
            max_queued_incoming_messages=MAX_BACKLOG // MESSAGE_OVERHEAD,
            # Without it Nagle holds a small message until the broker's delayed ACK: 40 ms for every exchange.
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        try:
            return await client.__aenter__()
        except aiomqtt.MqttError as error:
            reason = _reason(error, has_tls=self._tls is not None)
            # What TLS 1.3 says of a certificate after the handshake, paho takes for a connection that was lost.
            if str(error) == _NO_ANSWER and await asyncio.to_thread(self._is_certificate_refused):
                reason = "does not accept our certificate: enrol at the broadcaster that this broker belongs to"
            raise TransportError(f"broker {self._address} {reason}") from None

    def _is_certificate_refused(self) -> bool:
        return self._tls is not None and is_certificate_refused(self._address.host, self._address.port, self._tls)

    async def _serve(self, client: aiomqtt.Client) -> None:
        """Use one connection until it breaks, which is a TransportError."""
        self._client = client
        self._connection_count += 1
        is_told = self._connection_count == 1  # on_disconnect follows nothing but what the caller knows as connected
        try:
            if not is_told:
                await self._resume(client)
                is_told = True
            await self._exchange(client)
        except aiomqtt.MqttError as error:
            self._client = None
            _logger.warning("broker %s is gone (%s), reconnecting", self._address, error)
            if is_told and self._on_disconnect is not None:
                self._on_disconnect()
            raise TransportError(f"broker {self._address} is gone") from None
        finally:
            await self._part(client)

    async def _resume(self, client: aiomqtt.Client) -> None:
        _logger.info("broker %s is back", self._address)
        if self._subscriptions:
            await self._request_subscriptions(client, dict(self._subscriptions))
        if self._on_reconnect is not None:
            self._on_reconnect()

    async def _part(self, client: aiomqtt.Client) -> None:
        self._client = None
        with contextlib.suppress(aiomqtt.MqttError):
            await client.__aexit__(None, None, None)

    async def _exchange(self, client: aiomqtt.Client) -> None:
        """Move messages both ways until the connection breaks, which is an MqttError."""
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._receive(client))
                directions.create_task(self._send(client))
        except ExceptionGroup as errors:
            if self._is_closing:  # a task group forgets that it was cancelled when one of its tasks fails as well
                raise asyncio.CancelledError from None
            raise errors.exceptions[0] from None

    async def _receive(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            if isinstance(message.payload, bytes):
                self._inbox.put(Message(message.topic.value, message.payload))

    async def _send(self, client: aiomqtt.Client) -> None:
        while (message := await self._outbox.oldest()) is not None:
            await client.publish(message.topic, message.payload, message.qos, message.retain)
            # Only now: a message that the broker has not acknowledged is sent again on the next connection.
            self._outbox.remove(message)

    async def _request_subscriptions(self, client: aiomqtt.Client, subscriptions: dict[str, int]) -> None:
        codes: Sequence[int | ReasonCode] = await client.subscribe(list(subscriptions.items()))
        for topic_filter, code in zip(subscriptions, codes, strict=True):
            if code.is_failure if isinstance(code, ReasonCode) else code >= MQTT_SUBSCRIPTION_FAILURE:
                raise TransportError(f"broker {self._address} refuses the subscription to {topic_filter}")


def _admitting_queue(admit: Callable[[str], bool]) -> type[asyncio.Queue[aiomqtt.Message]]:
    """The queue between paho and us: it drops the newest when it is full, so what is unwanted must not enter it."""

    class AdmittingQueue(asyncio.Queue[aiomqtt.Message]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            if admit(item.topic.value):
                super().put_nowait(item)

    return AdmittingQueue


def _is_of_library(record: logging.LogRecord) -> bool:
    return record.exc_info is not None and isinstance(record.exc_info[1], aiomqtt.MqttError)


def _reason(error: aiomqtt.MqttError, *, has_tls: bool) -> str:
    """Why a connection could not be made, as the end of a sentence that begins with the broker."""
    # aiomqtt keeps only the text of the OSError that it replaces, and cannot tell a silent host from a silent broker.
    match error if isinstance(error, aiomqtt.MqttCodeError) else error.__context__:
        case aiomqtt.MqttCodeError(rc=code):
            hint = ", and whether our certificate is for this" if has_tls else ""
            reason = f"refuses us: {code}; check user name and password{hint}"
        case ssl.SSLCertVerificationError() as cause:
            reason = f"shows a certificate that is not trusted: {cause.verify_message}; name its authority's CA file"
        case ssl.SSLError() as cause:
            reason = f"does not speak TLS as we do: {cause.reason or cause}; check scheme and port"
        case socket.gaierror():
            reason = "has a host name that is not known"
        case ConnectionRefusedError():
            reason = "refuses the connection: nothing listens there; start the broker or correct host and port"
        case TimeoutError() if str(error) != _NO_ANSWER:
            reason = "does not answer; check host, port and firewall"
        case OSError() as cause if not isinstance(cause, TimeoutError):
            reason = f"cannot be reached: {cause.strerror or cause}; check scheme, host and port"
        case _:
            reason = f"accepts the connection but does not answer in MQTT ({error}); check scheme and port"
    return reason


def _without_password(text: str) -> str:
    """What the operator wrote, fit for an error message, even where it is no address."""
    login, separator, place = text.rpartition("@")
    scheme, slashes, user = login.rpartition("//")
    return f"{scheme}{slashes}{user.partition(':')[0]}{separator}{place}"
