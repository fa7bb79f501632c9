"""Gives notice of what the console sees: makes events of it, and an outbox for the targets that are configured.

A room that fails as a whole is told by a few events and by the one at its end, not by one for each seat.
"""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from dashboards.config import NoticesConfig
from dashboards.fleet.views import SeatState, SeatView, SessionView
from dashboards.notices.events import MAX_SEATS_NAMED, SeatFailed, SessionEnded, Unfinished
from dashboards.notices.mail import Mail
from dashboards.notices.outbox import Outbox, Target
from dashboards.notices.webhook import Webhook

MAX_FAILURES: Final = 10
"""[seats] of one session that are told one by one; the others are in the event at its end"""

MAX_SESSIONS: Final = 1000
"""of which the failures are counted; far more than are open at a time"""

LAST_PATIENCE: Final = 1.0
"""[s] at the console's end for what was just put; it may take 2.5 to end, of which its pages have one."""


class Notifier:
    """Delivers for as long as the context is entered.

    Args:
        targets: where to; ``targets_of`` makes them of the configuration.
        clock: seconds since 1970.
    """

    def __init__(self, targets: Sequence[Target], *, clock: Callable[[], float] = time.time) -> None:
        self._outbox = Outbox(targets)
        self._clock = clock
        self._failures: dict[str, set[str]] = {}

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be delivered, one sentence for each target; empty when all is well."""
        return self._outbox.problems

    async def __aenter__(self) -> Self:
        """Begin to deliver."""
        self._outbox.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Deliver what can be delivered in LAST_PATIENCE, and end."""
        await self._outbox.stop(LAST_PATIENCE)

    def session_ended(self, session: SessionView, report: dict[str, Any] | None = None) -> None:
        """Tell that a session has ended, once however often it is called; the report adds nothing."""
        unfinished = [_unfinished(seat) for seat in session.seats if seat.state is not SeatState.VERIFIED]
        self._outbox.put(
            SessionEnded(
                tsi=session.tsi,
                room=session.room,
                image=session.image,
                version=session.version,
                at=self._clock(),
                elapsed_seconds=session.elapsed_seconds,
                end_reason=session.end_reason,
                seat_count=len(session.seats),
                verified_count=len(session.seats) - len(unfinished),
                unfinished=tuple(unfinished[:MAX_SEATS_NAMED]),
            )
        )

    def seat_failed(self, session: SessionView, seat: SeatView) -> None:
        """Tell that a seat has failed, once, and no more than MAX_FAILURES of a session."""
        machine = seat.machine or seat.receiver_id
        told = self._failures.setdefault(session.tsi, set())
        while len(self._failures) > MAX_SESSIONS:
            del self._failures[next(iter(self._failures))]
        if machine not in told and len(told) < MAX_FAILURES:
            told.add(machine)
            self._outbox.put(
                SeatFailed(session.tsi, session.room, session.image, machine, self._clock(), _unfinished(seat))
            )


def targets_of(config: NoticesConfig) -> tuple[Target, ...]:
    """Where notices go.

    Raises:
        ConfigError: a URL or an address cannot be used.
    """
    mails = () if config.mail is None else (Mail(config.mail, config.authority),)
    return (*(Webhook(url, config.webhook_secret, config.authority) for url in config.webhooks), *mails)


def _unfinished(seat: SeatView) -> Unfinished:
    return Unfinished(seat.name, seat.state.value, seat.reason)
