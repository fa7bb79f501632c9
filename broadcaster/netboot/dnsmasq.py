"""dnsmasq as a child: started, heard, told to read its machines again, started again when it dies, ended with us.

What it says is its log, one line each; of that we keep the last line, for the case that it dies, and which machines it
left alone or served. It is a process that others attack first, so it runs without rights as soon as its ports are open.
"""

import asyncio
import contextlib
import logging
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_exponential

from protocol.errors import TransportError

READY_SECONDS: Final = 10.0
"""[s] from its start until it says that it serves; it takes 0.02"""

STOP_SECONDS: Final = 1.0
"""[s] from being asked to end until it is killed; it has nothing to save"""

FIRST_RESTART_SECONDS: Final = 0.5
"""[s] before it is started again, doubled each time"""

MOST_STARTS: Final = 5
"""[starts] of which none lasts SETTLED_SECONDS; then nothing is gained by one more"""

SETTLED_SECONDS: Final = 20.0
"""[s] after which a death is a new one"""

MAX_LINE: Final = 300
"""[characters] of its log that are told; strangers choose parts of it"""

_SERVING: Final = "TFTP root is"
"""The last that dnsmasq says before it serves."""

_LEFT_ALONE: Final = re.compile(r"\) ((?:[0-9a-f]{2}:){5}[0-9a-f]{2}) (?:proxy-)?ignored")
_SERVED: Final = re.compile(r"(?:DHCPACK\(\S+\) \S+|PXE\(\S+\)) ((?:[0-9a-f]{2}:){5}[0-9a-f]{2})")
_FAULT: Final = re.compile(r"dnsmasq[^:]*: (?:failed to|no address range|not giving|bad |cannot )")

_logger = logging.getLogger(__name__)


class _DiedError(Exception):
    """It died before it had settled."""


class Dnsmasq:
    """One run of it with one configuration file.

    Args:
        configuration: file.
        left_alone: is called with the address of a machine that it did not answer.
        served: is called with the address of a machine that got an address.
    """

    def __init__(
        self, configuration: Path, *, left_alone: Callable[[str], object], served: Callable[[str], object]
    ) -> None:
        self._configuration = configuration
        self._left_alone = left_alone
        self._served = served
        self._process: asyncio.subprocess.Process | None = None
        self._last_line = ""

    async def keep(self, on_ready: Callable[[], object]) -> None:
        """Keep it running until cancelled; it is gone when this ends.

        Raises:
            TransportError: it does not run, and its own words.
        """
        has_served = False

        def serving() -> None:
            nonlocal has_served
            if not has_served:
                has_served = True
                on_ready()

        while True:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(_DiedError),
                wait=wait_exponential(multiplier=FIRST_RESTART_SECONDS),
                stop=lambda state: not has_served or stop_after_attempt(MOST_STARTS)(state),
                before_sleep=self._tell,
                retry_error_callback=self._give_up,
            ):
                with attempt:
                    await self._live(serving)
            _logger.warning("dnsmasq died; it is started again")

    def reload(self) -> None:
        """Let it read its machines again."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGHUP)

    async def _live(self, serving: Callable[[], object]) -> None:
        """From the start to the death of one process that had settled."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._process = await asyncio.create_subprocess_exec(
            "dnsmasq",
            "--keep-in-foreground",
            f"--conf-file={self._configuration}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await self._hear(serving)
            status = await self._process.wait()
        finally:
            await self._end()
        if loop.time() - started < SETTLED_SECONDS:
            raise _DiedError(f"died (status {status}): {self._last_line}")

    async def _hear(self, serving: Callable[[], object]) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        is_serving = False
        patience: float | None = READY_SECONDS
        while True:
            try:
                async with asyncio.timeout(patience):
                    line = await self._process.stderr.readline()
            except TimeoutError:
                raise _DiedError(f"does not serve after {READY_SECONDS:.0f} s: {self._last_line}") from None
            except ValueError:  # longer than the reader's bound
                continue
            if not line:
                return
            self._note("".join(letter for letter in line.decode(errors="replace")[:MAX_LINE] if letter.isprintable()))
            if not is_serving and _SERVING in self._last_line:
                is_serving, patience = True, None
                serving()

    def _note(self, line: str) -> None:
        self._last_line = line
        if match := _LEFT_ALONE.search(line):
            self._left_alone(match[1])
        elif match := _SERVED.search(line):
            self._served(match[1])
        _logger.log(logging.WARNING if _FAULT.match(line) else logging.DEBUG, "%s", line)

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _tell(self, state: RetryCallState) -> None:
        assert state.outcome is not None
        _logger.warning("dnsmasq %s; it is started again in %.1f s", state.outcome.exception(), state.upcoming_sleep)

    def _give_up(self, state: RetryCallState) -> None:
        assert state.outcome is not None
        raise TransportError(f"dnsmasq {state.outcome.exception()}")
