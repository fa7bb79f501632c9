"""A receiver's session as the seat's screen needs it."""

from protocol.messages import ReceiverState
from receiver.session import ReceiverSession
from slatecast.cli.receiver_display import progress_of
from slatecast.seat.events import SessionView


def view_of(session: ReceiverSession, now: float) -> SessionView:
    """What there is to know of ``session`` at monotonic second ``now``."""
    stage, done, total = progress_of(session)
    counts = session.state in (ReceiverState.RECEIVING, ReceiverState.VERIFYING)
    image = session.announcement.image
    return SessionView(
        tsi=session.announcement.tsi,
        image=image.name,
        version=image.version,
        target=session.target,
        state=session.state,
        stage=stage,
        done=min(1.0, done / total) if counts and total else None,
        seconds_left=session.arming.seconds_left(now) if session.state is ReceiverState.ARMING else 0,
        may_be_stopped=not session.state.is_final and session.arming.may_be_stopped,
        reason=session.reason if session.state.is_final else "",
        alarm=session.poison.alarm,
    )
