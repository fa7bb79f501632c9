"""Hands every session that has ended to the history and to whoever gives notice, with its report when there is one.

It looks at the picture each LOOK_INTERVAL seconds. The report is signed a moment after the end, so it is asked for a
few times; a session is recorded at once without it. Whoever is told may fail as it likes: that is logged, and neither
the picture nor an order is held up by it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from dashboards.fleet.views import SeatView, SessionView
from dashboards.session_watch import SeatFailed, SessionEnded, SessionWatch
from protocol.errors import SlatecastError

LOOK_INTERVAL: Final = 1.0
"""[s] As often as the broadcaster tells of a session: nothing that it says between two ends is missed."""

REPORT_ATTEMPTS: Final = 8
"""With the waits between them five minutes, in which a broadcaster that was restarted is back."""

LONGEST_WAIT: Final = 60.0
"""[s] between two attempts to fetch a report"""

FetchReport = Callable[[str], Awaitable[dict[str, Any]]]
OnEnded = Callable[[SessionView, dict[str, Any] | None], object]
"""told of each session that has ended: at once without its report, and again with it"""
OnFailed = Callable[[SessionView, SeatView], object]
_logger = logging.getLogger(__name__)


class RecordKeeper:
    """Runs for as long as the context is entered.

    Args:
        sessions: those of the picture that have been more than plans.
        fetch_report: of a session by its tsi, from the broadcaster; may raise any error of ours.
        on_ended: told of every session that has ended.
        on_failed: told of every seat that has failed.
    """

    def __init__(
        self,
        sessions: Callable[[], Iterable[SessionView]],
        fetch_report: FetchReport,
        *,
        on_ended: Iterable[OnEnded] = (),
        on_failed: Iterable[OnFailed] = (),
    ) -> None:
        self._sessions = sessions
        self._fetch_report = fetch_report
        self._on_ended = tuple(on_ended)
        self._on_failed = tuple(on_failed)
        self._watch = SessionWatch()
        self._looking: asyncio.Task[None] | None = None
        self._fetching: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Begin to look."""
        self._looking = asyncio.create_task(self._look_on(), name="record keeper")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look a last time, and wait for no report any more."""
        assert self._looking is not None
        tasks = [self._looking, *self._fetching]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.look(is_last=True)

    def look(self, *, is_last: bool = False) -> None:
        """Tell what is new; reports are fetched beside, unless it ``is_last``."""
        try:
            events = self._watch.look(self._sessions(), is_last=is_last)
        except Exception:
            _logger.exception("the picture of the sessions cannot be looked at; trying again")
            return
        for event in events:
            match event:
                case SeatFailed(session, seat):
                    _tell(self._on_failed, session, seat)
                case SessionEnded(session):
                    _tell(self._on_ended, session, None)
                    if not is_last:
                        task = asyncio.create_task(self._fetch(session), name=f"report of {session.tsi}")
                        self._fetching.add(task)
                        task.add_done_callback(self._fetching.discard)

    async def _look_on(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(LOOK_INTERVAL)

    async def _fetch(self, session: SessionView) -> None:
        report = None
        with contextlib.suppress(SlatecastError):
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(SlatecastError),
                wait=wait_exponential(multiplier=1.0, max=LONGEST_WAIT),
                stop=stop_after_attempt(REPORT_ATTEMPTS),
                reraise=True,
            ):
                with attempt:
                    report = await self._fetch_report(session.tsi)
        if report is None:
            _logger.warning("the report of session %s cannot be had; the history goes without it", session.tsi)
        else:
            _tell(self._on_ended, session, report)


def _tell(listeners: Iterable[Callable[..., object]], *what: object) -> None:
    for listener in listeners:
        try:
            listener(*what)
        except Exception:
            _logger.exception("somebody who wanted to be told of a session failed")
