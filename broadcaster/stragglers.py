"""Finds the seats that would slow the room, and says in words why. Pure: no time but ``now``.

A seat is compared with the median of the others, window by window: loss that the others do not have, memory that fills
while theirs does not, or nothing received while something was sent. Two bad windows in a row make it a straggler, one
is enough where its link was flooded; two good ones in a row end that, once. A seat that stumbles again stays one, and
so does one that had to leave the group, since nothing more can be learnt of it. A seat that is alone is no straggler,
unless nothing reaches it: it is the room.
"""

from dataclasses import dataclass, field
from statistics import median
from typing import Final

from protocol.messages import ReceiverReport, ReceiverState

WINDOW: Final = 1.4
"""[s] Three reports, the last of which may come early. Two bad windows after one that was bad in part are 4.5 s; with
1.5 s, reports that come 20 ms early or late made it 5.04 s once in 125 times, and a straggler is to be found in 5."""

BAD_WINDOWS: Final = 2
GOOD_WINDOWS: Final = 2

LOSS_EXCESS: Final = 0.05
"""Share lost beyond the median of the others. Repair for that seat alone takes about as much of everybody's airtime."""

FLOODED_LOSS: Final = 0.3
"""Share lost beyond which multicast only floods the seat's link, so that it had better leave the group."""

BACKLOG_FILL: Final = 0.75
"""Share of a seat's buffers in use, in the median of its reports, from which on it cannot keep up."""

DISK_BOUND_RATIO: Final = 0.5
"""Share of the time in which a disk writes, from which on a backlog is the disk's doing and not the processor's."""

MIN_SAMPLE_SYMBOLS: Final = 200
"""[symbols] Fewer say nothing about a ratio of 5 %."""

MIN_SENT_DATAGRAMS: Final = 5
"""[datagrams] of one window, none of which arrived, in two windows in a row: at 30 % loss one time in 170,000."""

NO_DATA: Final = "control ok, no data: multicast does not reach this seat (switch without querier, Wi-Fi?)"


@dataclass(frozen=True, slots=True)
class Straggler:
    """Why a seat is one."""

    reason: str
    must_leave_group: bool = False
    is_lossy: bool = False
    """whether its link loses datagrams, which hurts TCP more than repaired multicast"""


@dataclass(frozen=True, slots=True)
class _Sample:
    """One window of one seat."""

    seconds: float
    sent_datagrams: int
    sent_bytes: int
    received_bytes: int
    loss_ratio: float | None
    """None when too little was sent to tell"""
    is_backlogged: bool
    disk_busy_ratio: float
    written_bytes: int
    link_bits_per_second: int


@dataclass(slots=True)
class _Watched:
    """What is known of one seat."""

    at: float
    sent_datagrams: int
    sent_bytes: int
    report: ReceiverReport
    partial_fill_ratio: float = 0.0
    peak_disk_busy_ratio: float = 0.0
    sample: _Sample | None = None
    bad_windows: int = 0
    good_windows: int = 0
    straggler: Straggler | None = None
    returns: int = 0
    fills: list[float] = field(default_factory=list)

    def begin_window(self, report: ReceiverReport, datagrams_sent: int, bytes_sent: int, now: float) -> None:
        """What comes from now on is compared with this."""
        self.at, self.sent_datagrams, self.sent_bytes, self.report = now, datagrams_sent, bytes_sent, report
        self.peak_disk_busy_ratio, self.fills = 0.0, []


class StragglerWatch:
    """Judges the seats of one session by their reports."""

    def __init__(self) -> None:
        self._watched: dict[str, _Watched] = {}

    def seat_reported(self, report: ReceiverReport, *, datagrams_sent: int, bytes_sent: int, now: float) -> None:
        """Take a report of a seat that still wants something, and what had been sent to the group by then."""
        watched = self._watched.get(report.receiver_id)
        if watched is None:
            self._watched[report.receiver_id] = _Watched(now, datagrams_sent, bytes_sent, report)
            return
        if watched.straggler is not None and watched.straggler.must_leave_group:
            watched.sample = None
            watched.begin_window(report, datagrams_sent, bytes_sent, now)  # what passes it by is no loss of its own
            return
        watched.partial_fill_ratio = report.partial_fill_ratio
        watched.fills.append(report.buffer_fill_ratio)
        watched.peak_disk_busy_ratio = max(watched.peak_disk_busy_ratio, report.disk_busy_ratio)
        if now - watched.at < WINDOW:
            return
        watched.sample = _sample(watched, report, datagrams_sent, bytes_sent, now)
        watched.begin_window(report, datagrams_sent, bytes_sent, now)
        self._judge(report.receiver_id, watched)

    def straggler(self, receiver_id: str) -> Straggler | None:
        """What the seat was last found to be; None when it keeps up."""
        watched = self._watched.get(receiver_id)
        return None if watched is None else watched.straggler

    def readmit(self, receiver_id: str) -> bool:
        """Make a straggler one of the room, because the room consists of such; False when it was tried before."""
        watched = self._watched.get(receiver_id)
        if watched is None or watched.straggler is None or watched.returns:
            return False
        self._return(watched)
        return True

    def memory_in_repair(self) -> float:
        """Share of the memory for blocks that waits for repair, 0 to 1: the second worst, as ``loss_to_mend``."""
        shares = sorted(watched.partial_fill_ratio for watched in self._watched.values() if watched.straggler is None)
        return shares[-2:][0] if shares else 0.0

    def loss_to_mend(self) -> float | None:
        """The loss that repair for the room has to make good: the second worst of the seats that are no stragglers.

        So the very worst cannot take the room's airtime before it is found out. With one seat its own; None when
        nothing is known yet.
        """
        losses = sorted(
            watched.sample.loss_ratio
            for watched in self._watched.values()
            if watched.sample is not None and watched.sample.loss_ratio is not None and watched.straggler is None
        )
        return losses[-2:][0] if losses else None

    def forget(self, receiver_id: str) -> None:
        """A receiver that is gone or done."""
        self._watched.pop(receiver_id, None)

    def _judge(self, receiver_id: str, watched: _Watched) -> None:
        sample = watched.sample
        assert sample is not None
        trouble = self._trouble(receiver_id, sample)
        if trouble is not None:
            watched.bad_windows += 1
            watched.good_windows = 0
            if watched.bad_windows >= BAD_WINDOWS or trouble.must_leave_group:
                watched.straggler = trouble
            return
        watched.bad_windows = 0
        is_proved = sample.received_bytes > 0 and (sample.loss_ratio is not None or sample.sent_datagrams == 0)
        watched.good_windows += is_proved
        if watched.straggler is None or watched.returns:
            return
        if watched.straggler.reason == NO_DATA and sample.received_bytes:
            watched.straggler = None  # it never was slow
        elif watched.good_windows >= GOOD_WINDOWS:
            self._return(watched)

    @staticmethod
    def _return(watched: _Watched) -> None:
        watched.straggler = None
        watched.returns += 1
        watched.bad_windows = watched.good_windows = 0

    def _trouble(self, receiver_id: str, sample: _Sample) -> Straggler | None:
        if sample.sent_datagrams >= MIN_SENT_DATAGRAMS and not sample.received_bytes:
            return Straggler(NO_DATA)
        others = [
            watched.sample
            for other_id, watched in self._watched.items()
            if other_id != receiver_id and watched.sample is not None and watched.straggler is None
        ]
        losses = [other.loss_ratio for other in others if other.loss_ratio is not None]
        if sample.loss_ratio is not None and losses and sample.loss_ratio - median(losses) > LOSS_EXCESS:
            return _lossy(sample, median(losses))
        if sample.is_backlogged and others and sum(other.is_backlogged for other in others) * 2 < len(others):
            return _backlogged(sample)
        return None


def _sample(watched: _Watched, report: ReceiverReport, datagrams_sent: int, bytes_sent: int, now: float) -> _Sample:
    before = watched.report
    expected = report.symbols_expected - before.symbols_expected
    lost = report.symbols_lost - before.symbols_lost
    is_overflowing = report.blocks_without_room > before.blocks_without_room
    return _Sample(
        seconds=now - watched.at,
        sent_datagrams=datagrams_sent - watched.sent_datagrams,
        sent_bytes=bytes_sent - watched.sent_bytes,
        received_bytes=max(0, report.bytes_received - before.bytes_received),
        loss_ratio=min(1.0, max(0, lost) / expected) if expected >= MIN_SAMPLE_SYMBOLS else None,
        is_backlogged=is_overflowing or median(watched.fills) >= BACKLOG_FILL,
        disk_busy_ratio=watched.peak_disk_busy_ratio,
        written_bytes=max(0, report.bytes_written - before.bytes_written),
        link_bits_per_second=report.link_bits_per_second,
    )


def _lossy(sample: _Sample, others: float) -> Straggler:
    assert sample.loss_ratio is not None
    sent, received = (count * 8 / sample.seconds for count in (sample.sent_bytes, sample.received_bytes))
    is_flooded = sample.loss_ratio >= FLOODED_LOSS
    if 0 < sample.link_bits_per_second < sent:
        return Straggler(f"link {sample.link_bits_per_second / 1e6:.0f} Mb/s", is_flooded, is_lossy=True)
    if is_flooded:
        rates = f"it receives {received / 1e6:.0f} of {sent / 1e6:.0f} Mbit/s"
        return Straggler(f"loss {sample.loss_ratio:.0%}: {rates}", must_leave_group=True, is_lossy=True)
    return Straggler(f"loss {sample.loss_ratio:.0%}, the others {others:.1%}", is_lossy=True)


def _backlogged(sample: _Sample) -> Straggler:
    if sample.disk_busy_ratio >= DISK_BOUND_RATIO:
        return Straggler(f"disk {sample.written_bytes / sample.seconds / 1e6:.0f} MB/s")
    return Straggler(f"CPU: it keeps up with {sample.written_bytes / sample.seconds / 1e6:.0f} MB/s only")


def is_judged(report: ReceiverReport) -> bool:
    """Whether the seat still wants something of the group."""
    return report.state in (ReceiverState.READY, ReceiverState.RECEIVING)
