"""Delivers events to targets: never in the way, retried, each event handed over once per target.

Each target has a queue and a task of its own, so that one that hangs holds nobody. An attempt ends after
ATTEMPT_TIMEOUT; one that failed for now is repeated with growing pauses until GIVE_UP_AFTER. An attempt of which nobody
knows how it ended is repeated too: the event carries the same id then, and a mail the same Message-ID, by which whoever
gets it twice can tell. What could not be delivered is told by ``problems``.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential,
    wait_random,
)

from dashboards.notices.events import Event, clean
from protocol.errors import SlatecastError, TransportError

ATTEMPT_TIMEOUT: Final = 20.0
"""[s] A mail server that greets slowly on purpose (RFC 5321 section 4.5.3.2 allows minutes) is rare within a lab."""

FIRST_PAUSE: Final = 2.0
"""[s] Chosen: a service that restarts is there again after a few of these."""

LONGEST_PAUSE: Final = 300.0
"""[s] Chosen: a target that is down for an hour is asked some fifteen times."""

GIVE_UP_AFTER: Final = 3600.0
"""[s] An event that is older is no news; the session is in the history."""

MAX_WAITING: Final = 500
"""[events] for one target: some fifty sessions in which everything fails"""

MAX_KNOWN: Final = 10_000
"""[events] that are remembered as taken"""


class Target(Protocol):
    """Somewhere to deliver to."""

    @property
    def name(self) -> str:
        """For operators, without secrets."""

    async def deliver(self, event: Event) -> None:
        """Hand over one event.

        Raises:
            TransportError: not now; trying again may help.
            RefusedError: not at all.
        """


class Outbox:
    """What is to be delivered. ``start`` and ``stop`` belong to the event loop; so does ``put``.

    Args:
        targets: to each of which every event goes.
        attempt_timeout: seconds of one attempt.
        first_pause: seconds before the second attempt; doubled for each further one.
        give_up_after: seconds from ``put`` to the last attempt.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        attempt_timeout: float = ATTEMPT_TIMEOUT,
        first_pause: float = FIRST_PAUSE,
        give_up_after: float = GIVE_UP_AFTER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lanes = [_Lane(target, attempt_timeout, first_pause, give_up_after, clock) for target in targets]
        self._known: dict[str, None] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be delivered, one sentence for each target; empty when all is well."""
        return tuple(f"{lane.problem}." for lane in self._lanes if lane.problem)

    @property
    def waiting(self) -> int:
        """Deliveries that are to be done."""
        return sum(lane.waiting for lane in self._lanes)

    def start(self) -> None:
        """Begin to deliver."""
        self._tasks = [asyncio.create_task(lane.run(), name=f"notices to {lane.name}") for lane in self._lanes]

    async def stop(self, patience: float = 0.0) -> None:
        """End; what is not delivered within ``patience`` seconds is not."""
        if patience and self._tasks:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await asyncio.gather(*(lane.drained() for lane in self._lanes))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def put(self, event: Event) -> None:
        """Take an event, unless it was taken before; returns at once."""
        if event.id in self._known:
            return
        self._known[event.id] = None
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        for lane in self._lanes:
            lane.put(event)


class _Lane:
    """The way to one target."""

    def __init__(
        self,
        target: Target,
        attempt_timeout: float,
        first_pause: float,
        give_up_after: float,
        clock: Callable[[], float],
    ) -> None:
        self.name = clean(target.name)
        self.problem = ""
        self._target = target
        self._attempt_timeout = attempt_timeout
        self._first_pause = first_pause
        self._give_up_after = give_up_after
        self._clock = clock
        self._queue: deque[tuple[Event, float]] = deque(maxlen=MAX_WAITING)
        self._is_busy = False
        self._there_is_work = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    @property
    def waiting(self) -> int:
        return len(self._queue) + self._is_busy

    def put(self, event: Event) -> None:
        if len(self._queue) == MAX_WAITING:
            self.problem = f"Notices to {self.name}: too many wait, and the oldest was not sent"
        self._queue.append((event, self._clock()))
        self._there_is_work.set()
        self._is_idle.clear()

    async def drained(self) -> None:
        await self._is_idle.wait()

    async def run(self) -> None:
        while True:
            await self._there_is_work.wait()
            while self._queue:
                event, since = self._queue.popleft()
                self._is_busy = True
                await self._deliver(event, since)
                self._is_busy = False
            self._there_is_work.clear()
            self._is_idle.set()

    async def _deliver(self, event: Event, since: float) -> None:
        # At least one attempt, however long it waited behind others.
        left = max(0.0, self._give_up_after - (self._clock() - since))
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(TransportError),
            wait=wait_exponential(multiplier=self._first_pause, max=LONGEST_PAUSE) + wait_random(0, self._first_pause),
            stop=stop_after_delay(left),
            before_sleep=self._told,
            reraise=True,
        )
        try:
            await attempts(self._attempt, event)
        except SlatecastError as error:
            self.problem = f"Notices to {self.name}: '{event.subject}' was not sent: {clean(str(error))}"
        except Exception as error:  # a target's bug must not stop the ones behind it
            self.problem = f"Notices to {self.name}: '{event.subject}' was not sent: {type(error).__name__}"
        else:
            self.problem = ""

    async def _attempt(self, event: Event) -> None:
        try:
            async with asyncio.timeout(self._attempt_timeout):
                await self._target.deliver(event)
        except TimeoutError:
            raise TransportError(f"no answer within {self._attempt_timeout:g} s: see whether it runs") from None

    def _told(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        self.problem = f"Notices to {self.name} are tried again: {clean(str(error))}"
