"""What the catch-up lane brings to one session: fetched as the session wants it, and opened as if the group had.

Datagrams are opened into their blocks; digests of symbols are compared with a block that came whole and wrong.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable

from protocol.errors import MessageError
from protocol.messages import Announcement
from protocol.seal import Seal
from protocol.symbol_digests import false_symbols
from protocol.wire import HEADER_LENGTH, TAG_LENGTH
from receiver.catch_up import CatchUpLoop
from receiver.catch_up_source import CatchUpSource
from receiver.events import Want
from receiver.session import ReceiverSession

_logger = logging.getLogger(__name__)


class LaneIntake:
    """The lane of one session, while ``run`` runs; nothing is connected before ``need`` is called."""

    def __init__(
        self,
        announcement: Announcement,
        session: ReceiverSession,
        seal: Seal,
        *,
        tls: Callable[[], ssl.SSLContext | None],
        on_arrival: Callable[[], object],
    ) -> None:
        """``on_arrival`` is told when symbols have been opened or judged; ``tls`` gives whom to believe, once."""
        self._announcement = announcement
        self._session = session
        self._seal = seal
        self._tls = tls
        self._on_arrival = on_arrival
        self._symbol_length = announcement.oti.encoding_symbol_length
        self._is_needed = asyncio.Event()

    def need(self) -> None:
        """The session may want something from the lane."""
        self._is_needed.set()

    async def run(self) -> None:
        """Fetch whatever the session wants from there, until cancelled."""
        if not self._announcement.catch_up_url:
            return
        await self._is_needed.wait()
        url, tsi = self._announcement.catch_up_url, self._announcement.tsi
        try:
            source = CatchUpSource(url, tsi, self._symbol_length, self._tls())
        except MessageError as error:
            _logger.warning("%s: this seat cannot catch up", error)
            return
        async with source:
            await CatchUpLoop(self._next_want, self.fetched, self._session.is_wanted).run(source)

    def _next_want(self) -> Want | None:
        return self._session.next_want(time.monotonic())

    def fetched(self, want: Want, answer: bytes | None) -> None:
        """Take the answer to a want; None where the broadcaster does not have the block undamaged."""
        if answer is None:
            self._session.want_unavailable(want)
        elif want.wants_digests:
            self._judge(want, answer)
        else:
            length = HEADER_LENGTH + self._symbol_length + TAG_LENGTH
            counts = self._seal.open_batch(memoryview(answer), length, self._session.find_fetched_block)
            self._session.counters.datagrams_rejected += counts.rejected
            self._session.want_fetched(want, len(answer), time.monotonic())
        self._on_arrival()

    def _judge(self, want: Want, digests: bytes) -> None:
        """Find the false symbols of a block that came whole and wrong: 0.5 ms, and rare."""
        block = self._session.suspect(want)
        if block is None:
            return
        try:
            found = false_symbols(block, self._symbol_length, digests)
        except MessageError as error:  # the block was another one when they were asked for: it starts over
            _logger.info("%s", error)
            found = []
        self._session.suspect_judged(want, found, len(digests))
