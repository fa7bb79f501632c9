"""When a receiver may begin to overwrite its disk: when a ticket allows it and a visible countdown is over, unless
somebody stops it. Sans-I/O.

    HELD                    --a ticket that may write-->      COUNTING
    COUNTING                --the countdown is over-->        ARMED
    HELD, COUNTING, ARMED   --abort-->                        STOPPED, for good: nothing was written, nor will be
    ARMED                   --begin_writing-->                WRITING: too late to stop it by a key

``begin_writing`` is the one gate in front of the first write: the deployment passes it before it opens the disk for
writing, and nothing else opens one. Held it does not open, whoever asks. What must be true before is elsewhere: the
ticket (without one there is neither a session nor its secret), the disk (``target``) and the manifest's digest
(``deployment``). The key is pressed on one thread while another opens the disk, so that one of them must win: a lock
decides.
"""

from math import ceil
from threading import Lock
from typing import Final

from protocol.errors import RefusedError, SessionStateError
from protocol.ticket import Ticket

STOPPED: Final = "stopped at the seat"
"""Why a receiver was refused that somebody stopped."""

STOPPED_BY_OPERATOR: Final = "stopped by the operator"
"""Why a receiver stopped that the operator has dismissed."""

PLANNED: Final = "planned: waits for the operator's start"
"""Why a receiver waits whose session is only planned."""


class Arming:
    """One receiver's permission to write, for one session; ``abort`` and ``begin_writing`` may race in two threads.

    ``is_held`` unless the ticket of the session allows to write; then ``release`` needs one that does.
    """

    def __init__(self, countdown_seconds: float, now: float, *, is_held: bool) -> None:
        self._is_held = is_held
        self._countdown_seconds = countdown_seconds
        self._ends_at = now + countdown_seconds
        self._is_stopped = False
        self._has_begun = False
        self._lock = Lock()

    @property
    def is_held(self) -> bool:
        """Whether no ticket has allowed to write yet."""
        return self._is_held

    def release(self, ticket: Ticket, now: float) -> None:
        """This ticket, found good, allows to write: count down from now on, unless that has begun already.

        Raises:
            SessionStateError: it does not allow it.
        """
        if not ticket.may_write:
            raise SessionStateError("a ticket that does not allow to write was to release the disk")
        with self._lock:
            if self._is_held:
                self._ends_at = now + self._countdown_seconds
                self._is_held = False

    def restart(self, now: float) -> None:
        """Count down from the beginning: until now nobody could see it."""
        self._ends_at = now + self._countdown_seconds

    @property
    def ends_at(self) -> float:
        """Seconds on the caller's clock, when the countdown is over."""
        return self._ends_at

    @property
    def may_be_stopped(self) -> bool:
        """Whether ``abort`` would still keep the disk as it is."""
        return not self._is_stopped and not self._has_begun

    @property
    def has_begun(self) -> bool:
        """Whether the disk was, or is about to be, written."""
        return self._has_begun

    def is_over(self, now: float) -> bool:
        """Whether the countdown has begun and is over."""
        return not self._is_held and now >= self._ends_at

    def seconds_left(self, now: float) -> int:
        """Whole seconds to show: never 0 while there is time."""
        return max(0, ceil(self._ends_at - now))

    def words(self, now: float) -> str:
        """Why the receiver waits, for the operator's screen."""
        if self._is_held:
            return PLANNED
        return f"counting down: {self.seconds_left(now)} s to stop it at the seat"

    def abort(self) -> bool:
        """Stop before the first write; False if it is too late, or was done already."""
        with self._lock:
            is_in_time = self.may_be_stopped
            self._is_stopped |= is_in_time
        return is_in_time

    def begin_writing(self, now: float, *, proved_blocks: int) -> None:
        """Pass the gate, just before the disk is opened for writing. From here on ``abort`` is too late.

        Args:
            now: monotonic seconds.
            proved_blocks: whole blocks of the session that came through seal and FEC and had the digest that the
                signed manifest, or for the manifest the announcement, gives them. One shows that key, code and path
                work, before the first byte is lost.

        Raises:
            RefusedError: it was stopped at the seat.
            SessionStateError: the session is only planned, the countdown is not over, or no block is proved.
        """
        with self._lock:
            if self._is_stopped:
                raise RefusedError(STOPPED)
            if self._is_held:
                raise SessionStateError("the disk was to be opened while the session is only planned")
            if not self.is_over(now):
                raise SessionStateError(f"the disk was to be opened {self._ends_at - now:.3f} s before it may be")
            if proved_blocks < 1:
                raise SessionStateError("the disk was to be opened before one block was proved")
            self._has_begun = True
