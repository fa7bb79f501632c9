"""One part of the service in a process of its own: started, watched, started again, and ended in an orderly way.

    starting --Ready--> running --SIGTERM--> ended
       |                  |
       |                  '-- it dies ------> pause, starting again
       '-- it dies --------> pause, starting again; before it has ever run only MOST_FIRST_STARTS times
       '-- it says Failed --> the reason does not mend itself: the error leaves ``keep``

What has run once and then says Failed meets something that may pass (a port that its predecessor still holds), unless
it is the configuration. What it needs it is handed over through its standard input, where nobody else reads it; when
that ends, so does the part. A terminal's Ctrl-C does not reach it.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from protocol.errors import ConfigError, SlatecastError
from slatecast.serving.status import Failed, Ready, decode_status

FIRST_RESTART_WAIT: Final = 0.5
"""[s] before a part that died is started again, doubled each time that it dies before it has settled."""

LONGEST_RESTART_WAIT: Final = 30.0
"""[s] chosen: what kills a part again and again is for the operator to find, not to fill the log with."""

SETTLED_AFTER: Final = 20.0
"""[s] chosen: a part that has lived for this long died of something new when it dies."""

MOST_FIRST_STARTS: Final = 5
"""[starts] of a part that has never been ready; then nothing is gained by one more"""


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """How to start a part, and how long it may take to end."""

    name: str
    """as operators call it"""
    argv: tuple[str, ...]
    handover: bytes = field(repr=False)
    """one line, without the end of it; may hold secrets"""
    stop_timeout: float
    """[s] between being asked to end and being killed"""


@dataclass(frozen=True, slots=True)
class Pauses:
    """[s] The times above."""

    first: float = FIRST_RESTART_WAIT
    longest: float = LONGEST_RESTART_WAIT
    settled: float = SETTLED_AFTER


class _DiedError(Exception):
    """It died before it had settled."""


class Child:
    """Keeps one part running while ``keep`` runs; ``stop`` ends the process."""

    def __init__(
        self,
        plan: ChildPlan,
        *,
        on_ready: Callable[[str], object],
        say: Callable[[str], object],
        pauses: Pauses | None = None,
    ) -> None:
        """``on_ready`` is told where it is to be found, at its first start only; ``say`` takes a line for operators."""
        self._plan = plan
        self._on_ready = on_ready
        self._say = say
        self._pauses = pauses or Pauses()
        self._process: asyncio.subprocess.Process | None = None
        self._has_been_ready = False
        self._failure: SlatecastError | None = None

    @property
    def pid(self) -> int | None:
        """Of its process, while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def keep(self) -> NoReturn:
        """Run it for ever; ends by cancellation, which leaves the process for ``stop``.

        Raises:
            SlatecastError: it cannot run, for a reason that does not mend itself.
        """
        while True:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(_DiedError),
                wait=wait_exponential(multiplier=self._pauses.first, max=self._pauses.longest),
                stop=self._is_hopeless,
                before_sleep=self._tell_pause,
                retry_error_callback=self._give_up,
            ):
                with attempt:
                    self._say(f"the {self._plan.name} {await self._live()}; starting it again")

    async def stop(self) -> None:
        """Ask the process to end, and kill it when it takes too long; nothing when it does not run."""
        if self.pid is None:
            return
        assert self._process is not None
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._plan.stop_timeout):
                await self._process.wait()
        except TimeoutError:
            self._say(f"the {self._plan.name} did not end within {self._plan.stop_timeout:.0f} s and was killed")
        self.kill()
        await self._process.wait()

    def kill(self) -> None:
        """End the process, and whatever it has started, at once."""
        self._signal(signal.SIGKILL)

    async def _live(self) -> str:
        """From the start to the death of one process that had settled; how it died, in words.

        Raises:
            _DiedError: it had not settled.
            SlatecastError: as ``keep``.
        """
        self._process = await asyncio.create_subprocess_exec(
            *self._plan.argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, process_group=0
        )
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):  # it has died: told by its status
            self._process.stdin.write(self._plan.handover + b"\n")
            await self._process.stdin.drain()
        has_settled, self._failure = False, None
        try:
            async with asyncio.timeout(self._pauses.settled):
                await self._listen()
        except TimeoutError:
            has_settled = True
            await self._listen()
        status = await self._process.wait()
        self.kill()  # what it had started itself
        if self._failure is not None:
            if isinstance(self._failure, ConfigError) or not self._has_been_ready:
                raise self._failure
            raise _DiedError(f"cannot go on: {self._failure}")
        words = f"died (signal {-status})" if status < 0 else f"died (status {status})"
        if not has_settled:
            raise _DiedError(words)
        return words

    async def _listen(self) -> None:
        """Hear what it says until it says no more."""
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            match decode_status(line):
                case Ready(where) if not self._has_been_ready:
                    self._has_been_ready = True
                    self._on_ready(where)
                case Failed() as failed:
                    self._failure = failed.error()
                case _:
                    pass

    def _is_hopeless(self, state: RetryCallState) -> bool:
        return not self._has_been_ready and state.attempt_number >= MOST_FIRST_STARTS

    def _give_up(self, state: RetryCallState) -> NoReturn:
        assert state.outcome is not None
        raise SlatecastError(
            f"the {self._plan.name} {state.outcome.exception()} at each of {state.attempt_number} starts: "
            "the lines above say why"
        )

    def _tell_pause(self, state: RetryCallState) -> None:
        assert state.outcome is not None
        self._say(
            f"the {self._plan.name} {state.outcome.exception()}; starting it again in {state.upcoming_sleep:.1f} s"
        )

    def _signal(self, number: signal.Signals) -> None:
        # The whole group, and not by process.send_signal, which takes the status of a dead child away from asyncio.
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
