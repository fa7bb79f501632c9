"""What the broadcaster has said last of a session, and what that means for one receiver. Pure."""

from protocol.messages import SessionPhase, SessionStatus
from protocol.wire import INTERLEAVED_BLOCKS


class LastStatus:
    """The newest SessionStatus that receiver ``receiver_id`` has heard; before the first it is in no lane."""

    def __init__(self, receiver_id: str) -> None:
        self._receiver_id = receiver_id
        self.message: SessionStatus | None = None
        self.is_on_catch_up = False
        """The sender wants it to fetch what it misses from the catch-up lane."""
        self.must_leave_group = False
        """Multicast would only flood its link."""
        self.is_paused = False
        """The operator lets the session rest: nothing comes, and nothing is asked for."""
        self.is_dismissed = False
        """The operator has stopped this receiver."""
        self.is_settled = False
        """The final report of this receiver has arrived."""
        self.was_restarted = False
        """The broadcaster was started again between the last two: it knows nothing of what was said to it before."""

    def take(self, message: SessionStatus) -> bool:
        """Take one of this session; False when it is not newer than what is known."""
        before = self.message
        if before is not None and message.sequence <= before.sequence:
            return False
        self.was_restarted = before is not None and message.sequence >> 32 > before.sequence >> 32
        self.message = message
        self.is_on_catch_up = self._receiver_id in message.catch_up
        self.must_leave_group = self._receiver_id in message.must_leave_group
        self.is_paused = message.is_paused
        self.is_dismissed = self._receiver_id in message.dismissed
        self.is_settled = self._receiver_id in message.settled
        return True

    @property
    def is_planning(self) -> bool:
        """Whether the broadcaster may still plan its first pass by what the seats lack."""
        return self.message is None or self.message.phase in (SessionPhase.WAITING, SessionPhase.MANIFEST)

    @property
    def is_ended(self) -> bool:
        """Whether the session is over."""
        return self.message is not None and self.message.phase is SessionPhase.ENDED

    @property
    def heard_whole_from(self) -> int:
        """The first block of the disk that one who listens from now on can hear all of.

        What was under way side by side when the status was said is heard in part.
        """
        message = self.message
        return message.position + INTERLEAVED_BLOCKS if message and message.phase is SessionPhase.DISK else 0
