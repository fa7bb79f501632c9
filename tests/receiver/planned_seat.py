"""A seat of a session that is only planned."""

from protocol.messages import ReceiverReport, SessionPhase
from receiver.events import PreviewPossible
from tests.receiver.seat import MANIFEST_K, Seat, manifest_of
from tests.sample_messages import status

BLOCKS = 6


def planned_seat(*, countdown: float = 0.0, has_looked: bool = True, catch_up_url: str = "") -> Seat:
    """A seat that holds the manifest, and found blocks 1 and 4 on its disk."""
    seat = Seat(countdown=countdown, is_held=True, catch_up_url=catch_up_url)
    seat.session.receive_message(status(1, phase=SessionPhase.MANIFEST), 0.0)
    assert seat.arrive(0, range(MANIFEST_K), toi=0, k=MANIFEST_K)
    seat.store()
    assert seat.events() == [PreviewPossible()]
    seat.session.manifest_seen(manifest_of(BLOCKS))
    if has_looked:
        seat.session.blocks_foreseen([1, 4])
        seat.session.preview_ended(0.0)
    return seat


def last_report(seat: Seat, now: float) -> ReceiverReport:
    return [each for each in seat.messages(now) if isinstance(each, ReceiverReport)][-1]
