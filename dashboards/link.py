"""The console's side of MQTT: news go into the fleet, orders go out and are repeated until they are answered.

Nothing is believed that the director did not sign; what is not counts as rejected. An order names the generation of the
broadcaster that is in the picture and is never sent to another one; it is repeated each REPEAT_INTERVAL, since broker
and broadcaster may lose it, and acted on once. When nothing is heard of it for ANSWER_PATIENCE it is taken back, and
whoever gave it is told that nobody answers. The broker may be away at the start and at any time: the picture says so,
and fills within a second when it is back, since the broadcaster tells everything anew each second.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable
from math import inf
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_none, wait_random_exponential

from dashboards.config import BrokerAccess
from dashboards.desk import Progress
from dashboards.fleet.fold import Fleet
from dashboards.fleet.health import health_of
from dashboards.fleet.views import Health
from protocol.commands import (
    ALL_ANSWERS,
    COMMANDS_TOPIC,
    Answer,
    AnyCommand,
    Order,
    open_answer,
    open_order,
    signed_order,
)
from protocol.errors import MessageError, RefusedError, SignatureError, TransportError
from protocol.link.mqtt import LONGEST_BACKOFF, MqttLink
from protocol.link.tls import pinned_context
from protocol.operators import ALL_NEWS, open_news
from protocol.signing import SigningKey

REPEAT_INTERVAL: Final = 1.0
"""[s] As often as the broadcaster tells of itself: a lost order costs an operator one such moment."""

ANSWER_PATIENCE: Final = 10.0
"""[s] Chosen: ten orders without a word; an operator who waits longer believes that the page hangs."""

REJECTED_TOLD: Final = 60.0
"""[s] for which a message that was rejected is told as a problem: long enough to be seen, and no blame for ever."""

PARTING_PATIENCE: Final = 0.5
"""[s] for the link to end, before it is told again"""

_ANSWERS: Final = ALL_ANSWERS.removesuffix("+")
_logger = logging.getLogger(__name__)


class _Pending:
    """One order, and what has been answered to it."""

    def __init__(self, progress: Progress, now: float) -> None:
        self.heard_at = now
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._progress = progress
        self._parts: dict[int, bytes] = {}
        self._part_count = 0

    def receive(self, answer: Answer, now: float) -> None:
        """Take one answer: the progress, a refusal or a part."""
        self.heard_at = now
        if self.answer.done():
            return
        if answer.error:
            self.answer.set_exception(RefusedError(answer.error))
        elif not answer.is_done:
            try:
                self._progress(answer.progress, answer.progress_text)
            except Exception:
                _logger.exception("who wanted to know the progress of an order failed")
        else:
            if answer.parts != self._part_count:
                self._parts, self._part_count = {}, answer.parts
            self._parts[answer.part] = answer.body
            if all(part in self._parts for part in range(answer.parts)):
                self.answer.set_result(b"".join(self._parts[part] for part in range(answer.parts)))


class ConsoleLink:
    """Keeps ``fleet`` up to date for as long as the context is entered, and carries orders.

    Args:
        fleet: what news go into, with ``clock`` as its time.
        broker: where it is, and as whom to speak to it.
        director_key: Ed25519 key that signs news and answers.
        console: key that signs orders.
        on_news: called in the event loop when the picture has changed.
        clock: monotonic seconds.
        time_of_day: seconds since 1970.
    """

    def __init__(
        self,
        fleet: Fleet,
        broker: BrokerAccess,
        *,
        director_key: bytes,
        console: SigningKey,
        on_news: Callable[[], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        time_of_day: Callable[[], float] = time.time,
    ) -> None:
        self.rejected_count = 0
        """messages in the broadcaster's name that it did not sign, or that are none"""
        self._fleet = fleet
        self._broker = broker
        self._director_key = director_key
        self._console = console
        self._on_news = on_news
        self._clock = clock
        self._time_of_day = time_of_day
        self._rejected_at = -inf
        self._trouble = ""
        self._link: MqttLink | None = None
        self._client_id = f"slatecast-console-{secrets.token_hex(4)}"
        self._keeper: asyncio.Task[None] | None = None
        self._pending: dict[str, _Pending] = {}
        self._changed = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        """Whether the broker is there."""
        return self._link is not None and self._link.is_connected

    def health(self) -> Health:
        """Of broker and broadcaster as they are now."""
        host = self._fleet.host
        text = str(self._broker.address)
        if not self.is_connected:
            text = self._trouble or f"{text} is gone, connecting again"
        return health_of(
            host,
            None if host is None else self._clock() - self._fleet.host_heard_at,
            is_broker_connected=self.is_connected,
            broker_text=text,
            at=self._time_of_day(),
            rejected_count=self.rejected_count if self._clock() - self._rejected_at < REJECTED_TOLD else 0,
        )

    async def order(self, command: AnyCommand, operator: str, progress: Progress | None = None) -> dict[str, Any]:
        """Give an order in the name of ``operator`` and return what is answered.

        Raises:
            MessageError: it is malformed.
            RefusedError: the broadcaster refuses, in its own words.
            TransportError: broker or broadcaster are away; what became of the order is not known.
        """
        generation = self._fleet.generation
        if not self.is_connected or not generation:
            raise TransportError(f"nothing was ordered: {self._why_nobody_hears()}")
        order = Order(command_id=secrets.token_hex(16), generation=generation, operator=operator[:64], command=command)
        payload = signed_order(order, self._console)
        open_order(payload, self._console.public)  # what the broadcaster would drop without a word is told here
        pending = _Pending(progress or _ignore, self._clock())
        self._pending[order.command_id] = pending
        try:
            body = await self._repeated(payload, generation, pending)
        finally:
            del self._pending[order.command_id]
            if self._link is not None and not pending.answer.done():
                self._link.withdraw(COMMANDS_TOPIC)  # other orders that wait there are repeated anyway
        return _decoded(body)

    async def until(self, is_so: Callable[[], bool], patience: float) -> bool:
        """Wait until the picture is such, at most ``patience`` seconds; whether it is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not is_so():
                    self._changed.clear()
                    await self._changed.wait()
        return is_so()

    async def __aenter__(self) -> Self:
        """Begin to connect; the broker may come later."""
        self._keeper = asyncio.create_task(self._keep_connected(), name="console link")
        self._keeper.add_done_callback(_tell_fault)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Part from the broker."""
        assert self._keeper is not None
        while not self._keeper.done():
            # Once may not be enough: what is under way in a library may take the cancellation for a lost connection.
            self._keeper.cancel()
            await asyncio.wait({self._keeper}, timeout=PARTING_PATIENCE)

    async def _repeated(self, payload: bytes, generation: str, pending: _Pending) -> bytes:
        """The answer to an order that is sent until it comes."""

        def is_hopeless(_: RetryCallState) -> bool:
            return self._clock() - pending.heard_at > ANSWER_PATIENCE

        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(TimeoutError),
            wait=wait_none(),
            stop=is_hopeless,
            retry_error_callback=self._give_up,
        ):
            with attempt:
                if self._fleet.generation != generation:
                    raise TransportError(
                        "the broadcaster was started again before it answered: look what became of the order, then "
                        "give it again"
                    )
                if self._link is not None and self._link.is_connected:
                    self._link.publish(COMMANDS_TOPIC, payload)
                await asyncio.wait({pending.answer}, timeout=REPEAT_INTERVAL)
                if not pending.answer.done():
                    raise TimeoutError
                return pending.answer.result()
        raise self._nobody_answers()

    def _give_up(self, _: RetryCallState) -> None:
        raise self._nobody_answers()

    def _nobody_answers(self) -> TransportError:
        return TransportError(
            f"nobody has answered for {ANSWER_PATIENCE:.0f} s ({self._why_nobody_hears()}): look what became of the "
            "order, then give it again"
        )

    def _why_nobody_hears(self) -> str:
        problems = self.health().problems
        return problems[0].rstrip(".") if problems else "the broadcaster is there, but does not answer"

    async def _keep_connected(self) -> None:
        """Connect for the first time, then let the link do it; ends by cancellation only."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(TransportError),
            wait=wait_random_exponential(multiplier=0.2, max=LONGEST_BACKOFF),
        ):
            with attempt:
                try:
                    await self._serve()
                except TransportError as error:
                    self._trouble = str(error)
                    raise

    async def _serve(self) -> None:
        broker = self._broker
        tls = None if broker.authority is None else pinned_context(broker.authority, broker.identity)
        async with MqttLink(broker.address, self._client_id, tls=tls, on_reconnect=self._reconnected) as link:
            try:
                for topic_filter in (*ALL_NEWS, ALL_ANSWERS):
                    await link.subscribe(topic_filter)
                self._link = link
                self._reconnected()
                async for topic, payload in link.messages():
                    self._receive(topic, payload)
            finally:
                self._link = None
        raise TransportError(f"broker {broker.address} is gone")

    def _reconnected(self) -> None:
        self._trouble = ""

    def _receive(self, topic: str, payload: bytes) -> None:
        try:
            if topic.startswith(_ANSWERS):
                answer = open_answer(topic, payload, self._director_key)
                pending = self._pending.get(answer.command_id)
                if pending is not None:
                    pending.receive(answer, self._clock())
                return
            news = open_news(topic, payload, self._director_key)
        except (SignatureError, MessageError) as error:
            self.rejected_count += 1
            self._rejected_at = self._clock()
            _logger.debug("a message on %r was rejected: %s", topic, error)
            return
        if self._fleet.receive(news, self._clock()):
            self._changed.set()
            if self._on_news is not None:
                self._on_news()


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any]) if body else {}
    except msgspec.DecodeError as error:
        raise MessageError(f"the broadcaster's answer is not what was asked for: {error}") from None


def _ignore(share: float, text: str) -> None:
    """Nobody wants to know the progress."""


def _tell_fault(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _logger.error("the console lost its link for good: restart it", exc_info=task.exception())
