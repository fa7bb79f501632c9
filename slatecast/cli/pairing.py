"""How a seat is let in: by a token, by a broadcaster that it knows, or by a person who compares the words."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from typing import Final

from rich.console import Console
from rich.panel import Panel
from rich.text import Text
from tenacity import AsyncRetrying, AttemptManager, retry_if_exception_type, stop_after_delay, wait_fixed

from protocol.errors import ConfigError, TransportError
from protocol.link.front_door_address import FrontDoorAddress
from protocol.trust import Trust
from receiver import known_broadcasters
from receiver.enrolment import Enrolment, enrol
from receiver.identity import ReceiverIdentity

RETRY_SECONDS: Final = 0.5
"""[s] A broadcaster that is not there yet is asked this often; a lab boots its receivers before its broadcaster."""

_YES: Final = frozenset({"y", "yes"})

_logger = logging.getLogger(__name__)


async def patiently(wait: float) -> AsyncIterator[AttemptManager]:
    """Attempts until one ends without TransportError, for ``wait`` seconds; then the last one's error."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(TransportError),
        wait=wait_fixed(RETRY_SECONDS),
        stop=stop_after_delay(wait),
        reraise=True,
    ):
        yield attempt


class Pairing:
    """What this seat has to prove its broadcaster with, and the screen that asks for the rest."""

    def __init__(self, token: str | None, trust: Trust | None, console: Console) -> None:
        self._token = token
        self._trust = trust
        self._console = console
        self._is_waiting = False
        self.words = ""
        """that the operator compared; empty where nothing had to be compared"""

    async def enrol(self, identity: ReceiverIdentity, where: FrontDoorAddress, seat: str, wait: float) -> Enrolment:
        """Be let in, once the broadcaster is there.

        Raises:
            TransportError: it is not there in time.
            RefusedError: by the operator, or the broadcaster is not proved.
            ConfigError: the token is none, or the file of known broadcasters cannot be used.
        """
        file = known_broadcasters.default_file()
        # Somebody who gives a token or a trust file has said whom to believe.
        remembered = () if self._token or self._trust else known_broadcasters.load(file)
        is_somebody_there = sys.stdin is not None and sys.stdin.isatty() and self._console.is_terminal
        async for attempt in patiently(wait):
            with attempt:
                self._say_if_waiting(attempt, where)
                enrolment = await enrol(
                    where.host,
                    where.port,
                    identity,
                    seat=seat,
                    token=self._token,
                    trust=self._trust,
                    on_words=lambda words: self._show(seat, words),
                    confirm=self._ask if is_somebody_there else None,
                    remembered=remembered,
                )
        if enrolment.is_confirmed:
            try:
                known_broadcasters.remember(file, enrolment.trust)
            except ConfigError as error:  # the disk of a live system may be read-only; then words are compared again
                _logger.warning("%s", error)
        return enrolment

    def _say_if_waiting(self, attempt: AttemptManager, where: FrontDoorAddress) -> None:
        if attempt.retry_state.attempt_number > 1 and not self._is_waiting:
            self._is_waiting = True
            self._say(f"waiting for the broadcaster at {where}")

    def _show(self, seat: str, words: str) -> None:
        self.words = words
        if self._console.is_terminal:
            text = Text.assemble(
                (f"{seat}\n\n", "bold"),
                ("The operator's screen must show:\n\n", ""),
                (words.replace(" ", "   "), "bold green"),
            )
            self._console.print(Panel(text, expand=False, padding=(1, 4)))
        else:
            self._say(f"seat {seat} asks to be let in; the operator's screen must show: {words}")

    def _say(self, text: str) -> None:
        """One line, however long: what reads a log looks for whole lines."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    async def _ask(self, words: str) -> bool:
        """Whether the person here says that the operator's screen shows the same words."""
        self._console.print("Does it show the same four words? y and Enter, anything else refuses:", markup=False)
        loop = asyncio.get_running_loop()
        line: asyncio.Future[str] = loop.create_future()

        def read() -> None:
            if not line.done():
                line.set_result(sys.stdin.readline())

        # Not in a thread: a thread that reads a terminal cannot be ended when there is nothing more to confirm.
        loop.add_reader(sys.stdin.fileno(), read)
        try:
            return (await line).strip().casefold() in _YES
        finally:
            loop.remove_reader(sys.stdin.fileno())
