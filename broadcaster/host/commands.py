"""Takes the orders of operators: proved, acted on once, and answered, however often they come.

    order --console's key--> of our generation --> not seen before --> its handler --> answer, in parts when it is long

What was ordered is remembered until MAX_ORDERS have come; then a new generation begins, to which no earlier order
belongs, so that none is ever acted on twice. An order that is repeated while it is worked on is told how far the work
is; later it gets the answer again, as long as that is kept. Work that takes long is done in threads of its own, so that
no session waits for it.
"""

import asyncio
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import msgspec

from protocol.commands import MAX_PARTS, PART_LENGTH, Answer, Command, Order, open_order
from protocol.errors import MessageError, RefusedError, SignatureError, SlatecastError
from protocol.fields import MAX_LONG_TEXT, MAX_SHORT_TEXT

MAX_ORDERS: Final = 1 << 16
"""[orders] of one generation: some 6 MiB; a console that gives one a second needs 18 hours."""

MAX_ANSWERS: Final = 1024
"""[answers] that are kept to be given again; an order is repeated for seconds."""

MAX_ANSWER_BYTES: Final = 48 << 20
"""[bytes] of them: the longest, and some more."""

MAX_AT_WORK: Final = 32
"""[orders] that are worked on at once; stops a console that has gone wild."""

LIBRARY_THREADS: Final = 2
"""One can read an image through while another one is imported; more would only wait for the disk."""

PROGRESS_INTERVAL: Final = 0.25
"""[s] between two words on the progress of one order: as often as a page can be read."""

REPEAT_PATIENCE: Final = 2.0
"""[s] in which an answer is not given again: its parts may still be on their way."""

PARTS_AT_ONCE: Final = 16
"""[parts] handed to the link before it is waited for: a quarter of what it queues."""


Result = TypeVar("Result")
_logger = logging.getLogger(__name__)


class Work:
    """One order that is worked on, as its handler sees it."""

    def __init__(self, order: Order, tell: Callable[[float, str], None], threads: ThreadPoolExecutor) -> None:
        self.operator: Final = order.operator
        self._loop = asyncio.get_running_loop()
        self._tell = tell
        self._threads = threads
        self._told_at = 0.0
        self._is_stopped = threading.Event()

    def progress(self, what: str, done: int, total: int) -> None:
        """Tell how far it is; from any thread.

        Raises:
            RefusedError: the broadcaster is ending, so the work had better end as well.
        """
        if self._is_stopped.is_set():
            raise RefusedError("the broadcaster is ending: repeat it when it runs again")
        now = time.monotonic()
        if now - self._told_at >= PROGRESS_INTERVAL:
            self._told_at = now
            share = min(1.0, done / total) if total else 0.0
            self._loop.call_soon_threadsafe(self._tell, share, what[:MAX_SHORT_TEXT])

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """The result of work that takes long."""
        return await self._loop.run_in_executor(self._threads, work)

    def stop(self) -> None:
        """Let the work end at its next word on its progress."""
        self._is_stopped.set()


Handler = Callable[[Any, Work], Awaitable[object]]
"""What a kind of command does: gives what its docstring says that it answers, as JSON values or as the JSON itself."""


class Commands:
    """The orders that one broadcaster takes; entered while it runs.

    Args:
        console_key: Ed25519 key that has to sign each order.
        handlers: for every kind of command.
        say: publishes an answer.
        flushed: waits until what was said has left.
        on_done: told after each order that was carried out or refused.
    """

    def __init__(
        self,
        console_key: bytes,
        handlers: Mapping[type[Command], Handler],
        *,
        say: Callable[[Answer], None],
        flushed: Callable[[], Awaitable[None]],
        on_done: Callable[[], None] = lambda: None,
    ) -> None:
        self.generation = secrets.token_hex(16)
        """that orders have to name"""
        self.rejected_count = 0
        """payloads that were no order of the console"""
        self._console_key = console_key
        self._handlers = handlers
        self._say = say
        self._flushed = flushed
        self._on_done = on_done
        self._known: set[str] = set()
        self._at_work: dict[str, tuple[Work, Answer]] = {}
        self._answers: OrderedDict[str, tuple[Answer, ...]] = OrderedDict()
        self._answer_bytes = 0
        self._said_at: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(LIBRARY_THREADS, thread_name_prefix="library")

    def receive(self, payload: bytes) -> None:
        """Take a payload of any origin."""
        try:
            order = open_order(payload, self._console_key)
        except (SignatureError, MessageError) as error:
            self.rejected_count += 1
            _logger.debug("order dropped: %s", error)
            return
        refusal = self._refusal(order)
        if refusal:
            self._say(_failed(order.command_id, refusal))
        elif order.command_id in self._known:
            self._repeat(order.command_id)
        else:
            self._known.add(order.command_id)
            self._start(order)

    async def close(self) -> None:
        """End what is under way."""
        for work, _ in self._at_work.values():
            work.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _refusal(self, order: Order) -> str:
        """Why this order is not even looked at; empty when it is."""
        if len(self._known) >= MAX_ORDERS:
            self.generation = secrets.token_hex(16)
            self._known.clear()
        if order.generation != self.generation:
            return (
                "the broadcaster was started again since you looked: look again, and repeat it if it still makes sense"
            )
        if order.command_id not in self._known and len(self._at_work) >= MAX_AT_WORK:
            return f"{MAX_AT_WORK} orders are being carried out already: wait until some are done"
        return ""

    def _start(self, order: Order) -> None:
        work = Work(order, lambda share, text: self._progressed(order.command_id, share, text), self._threads)
        self._at_work[order.command_id] = work, Answer(command_id=order.command_id, is_done=False, progress=0.0)
        self._spawn(self._carry_out(order, work))

    async def _carry_out(self, order: Order, work: Work) -> None:
        name = order.command.__struct_config__.tag
        try:
            result = await self._handlers.get(type(order.command), _unknown)(order.command, work)
            answers = tuple(_parts(order.command_id, result))
            _logger.info("%s: %s", order.operator, name)
        except SlatecastError as error:
            answers = (_failed(order.command_id, str(error)),)
            _logger.info("%s: %s refused: %s", order.operator, name, error)
        except asyncio.CancelledError:
            answers = (_failed(order.command_id, "the broadcaster is ending: repeat it when it runs again"),)
        except Exception:
            _logger.exception("%s of %s failed", name, order.operator)
            answers = (_failed(order.command_id, "that went wrong inside the broadcaster: its log says how"),)
        del self._at_work[order.command_id]
        self._keep(order.command_id, answers)
        self._on_done()
        await self._give(order.command_id, answers)

    def _progressed(self, command_id: str, share: float, text: str) -> None:
        if command_id in self._at_work:
            answer = Answer(command_id=command_id, is_done=False, progress=share, progress_text=text)
            self._at_work[command_id] = self._at_work[command_id][0], answer
            self._say(answer)

    def _repeat(self, command_id: str) -> None:
        if command_id in self._at_work:
            self._say(self._at_work[command_id][1])
        elif command_id not in self._answers:
            self._say(
                _failed(command_id, "that was carried out before, and its answer is not kept any more: look again")
            )
        elif time.monotonic() - self._said_at.get(command_id, 0.0) >= REPEAT_PATIENCE:
            self._spawn(self._give(command_id, self._answers[command_id]))

    async def _give(self, command_id: str, answers: tuple[Answer, ...]) -> None:
        self._said_at[command_id] = float("inf")
        for number, answer in enumerate(answers, 1):
            self._say(answer)
            if number % PARTS_AT_ONCE == 0:
                await self._flushed()
        self._said_at[command_id] = time.monotonic() if len(answers) > 1 else 0.0

    def _keep(self, command_id: str, answers: tuple[Answer, ...]) -> None:
        self._answers[command_id] = answers
        self._answer_bytes += sum(len(answer.body) for answer in answers)
        while len(self._answers) > MAX_ANSWERS or self._answer_bytes > MAX_ANSWER_BYTES:
            forgotten, old = self._answers.popitem(last=False)
            self._answer_bytes -= sum(len(answer.body) for answer in old)
            self._said_at.pop(forgotten, None)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _unknown(command: Command, _work: Work) -> object:
    """An order that nobody here knows how to carry out."""
    raise RefusedError(f"this broadcaster does not take orders of the kind {command.__struct_config__.tag!r}")


def _parts(command_id: str, result: object) -> Iterator[Answer]:
    """The answer that it went well; each of its parts says that the command is done.

    Raises:
        RefusedError: it is longer than an answer can be.
    """
    body = result if isinstance(result, bytes) else msgspec.json.encode(result)
    count = max(1, -(-len(body) // PART_LENGTH))
    if count > MAX_PARTS:
        raise RefusedError(f"the answer has {len(body)} bytes, more than {MAX_PARTS * PART_LENGTH}: ask for less")
    for part in range(count):
        piece = body[part * PART_LENGTH : (part + 1) * PART_LENGTH]
        yield Answer(command_id=command_id, is_done=True, progress=1.0, part=part, parts=count, body=piece)


def _failed(command_id: str, error: str) -> Answer:
    return Answer(command_id=command_id, is_done=True, progress=0.0, error=error[:MAX_LONG_TEXT] or "refused")
