"""In which state a receiver's part in a session is, why, and which state may follow. Sans-I/O.

PLANNED   --a ticket comes that allows to write-->  ARMING
ARMING    --the countdown is over-->  READY
READY     --manifest loaded and disk marked incomplete-->  RECEIVING
RECEIVING --nothing is missing-->  VERIFYING
VERIFYING --read-back found damage-->  RECEIVING
VERIFYING --committed-->  VERIFIED
RECEIVING, VERIFYING --the image contradicts itself, or the disk does not keep what it is given-->  DAMAGED
PLANNED, ARMING, READY  --target refused, or stopped-->  REFUSED
any       --disk or manifest fails, or stopped by the operator-->  FAILED
"""

from protocol.errors import SessionStateError
from protocol.messages import ReceiverState
from protocol.ticket import Ticket
from protocol.wire import TOI_MANIFEST
from receiver.arming import PLANNED, STOPPED, STOPPED_BY_OPERATOR, Arming


class Standing:
    """Of one receiver in one session."""

    def __init__(self, arming: Arming, now: float) -> None:
        self.arming = arming
        self.state = self._state_before_writing(now)
        self.reason = PLANNED if arming.is_held else ""
        self.untold_since: float | None = None
        """[s] when it changed to what nobody has been told yet; whoever tells it sets this to None"""
        self.is_committing = False
        """the disk is being made bootable: the operator cannot stop it any more"""

    @property
    def may_foresee(self) -> bool:
        """Whether it is still of use to look at a disk that may not be written yet."""
        return self.state in (ReceiverState.PLANNED, ReceiverState.ARMING)

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has stopped it, so that it is not begun again."""
        return self.state.is_final and self.reason in (STOPPED, STOPPED_BY_OPERATOR)

    def takes(self, toi: int) -> bool:
        """Whether blocks of this object are of use now: those of the disk only where they can be written."""
        if self.state.is_final:
            return False
        return toi == TOI_MANIFEST or self.state in (ReceiverState.RECEIVING, ReceiverState.VERIFYING)

    def release(self, ticket: Ticket, now: float) -> bool:
        """A ticket allows to write: begin to count down; False where it did not wait for that.

        Raises:
            SessionStateError: the ticket does not allow it.
        """
        if self.state is not ReceiverState.PLANNED:
            return False
        self.arming.release(ticket, now)
        self.reason = ""
        self.enter(ReceiverState.ARMING, now)
        return True

    def count_down(self, now: float) -> bool:
        """Say how long it still waits; whether the countdown is over with this call."""
        if self.state is not ReceiverState.ARMING:
            return False
        self.reason = self.arming.words(now)
        if not self.arming.is_over(now):
            return False
        self.reason = ""
        self.enter(ReceiverState.READY, now)
        return True

    def may_commit(self) -> bool:
        """Whether the disk, read back, is to be made bootable; from here on the operator cannot stop it any more."""
        self.is_committing = self.state is ReceiverState.VERIFYING
        return self.is_committing

    def refuse(self, reason: str, now: float) -> None:
        """End before anything was written."""
        if not self.state.is_final:
            self.expect(ReceiverState.PLANNED, ReceiverState.ARMING, ReceiverState.READY)
        self.end(ReceiverState.REFUSED, reason, now)

    def stop_at_seat(self, now: float) -> bool:
        """Stop before the first write; False if that is too late."""
        if self.state.is_final or not self.arming.abort():
            return False
        self.refuse(STOPPED, now)
        return True

    def dismiss(self, now: float) -> None:
        """Stop by the operator's word; a disk that is complete but for its last sectors is made whole instead."""
        if self.state.is_final or self.is_committing:
            return
        if self.arming.abort():
            self.refuse(STOPPED_BY_OPERATOR, now)
        else:
            self.end(ReceiverState.FAILED, STOPPED_BY_OPERATOR, now)

    def end(self, state: ReceiverState, reason: str, now: float) -> None:
        """Go to a final state, unless it is in one."""
        if not self.state.is_final:
            self.reason = reason
            self.enter(state, now)

    def enter(self, state: ReceiverState, now: float) -> None:
        """Go to ``state``, which everybody is to hear at once."""
        self.state = state
        self.untold_since = now

    def expect(self, *states: ReceiverState) -> None:
        """Hold the caller to the order of things.

        Raises:
            SessionStateError: it is in none of ``states``.
        """
        if self.state not in states:
            raise SessionStateError(f"the session is {self.state}, not {' or '.join(states)}")

    def _state_before_writing(self, now: float) -> ReceiverState:
        if self.arming.is_held:
            return ReceiverState.PLANNED
        return ReceiverState.READY if self.arming.is_over(now) else ReceiverState.ARMING
