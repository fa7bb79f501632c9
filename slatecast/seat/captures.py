"""Which capture a seat is to make, runs, or has made: at most one at a time, each order at most once. Pure."""

from dataclasses import dataclass, replace
from typing import Final

from protocol.seat_api import CaptureOrder
from slatecast.seat.events import CaptureEnded, CaptureProgressed, RefuseCapture, StartCapture

CAPTURE_RETRY: Final = 5.0
"""[s] Before a capture that was interrupted is begun again: a broadcaster that restarts is back by then, or soon."""

DISK_PATIENCE: Final = 15.0
"""[s] without a disk that could be captured, before an order is refused: disks may take that long to be found."""


@dataclass(frozen=True, slots=True)
class RunningCapture:
    """One that reads the disk now."""

    order: CaptureOrder
    done: float = 0.0
    """0 to 1"""
    text: str = ""
    is_stopping: bool = False
    """it was told to end, and may still read"""


class CaptureDesk:
    """The orders of one seat."""

    def __init__(self) -> None:
        self.order: CaptureOrder | None = None
        """what the broadcaster wants now"""
        self.running: RunningCapture | None = None
        self.last: CaptureEnded | None = None
        """how the one before ended"""
        self._over: set[str] = set()
        """captures that are not begun again"""
        self._not_before = 0.0
        self._diskless_since: float | None = None

    def handle(self, event: CaptureProgressed | CaptureEnded, now: float) -> None:
        """Take what a capture says."""
        if isinstance(event, CaptureProgressed):
            if self.running is not None:
                text = f"It waits: {event.waits_for}" if event.waits_for else event.text
                self.running = replace(self.running, done=event.done, text=text)
            return
        if not event.may_try_again:
            self._over.add(event.capture_id)
        self.running, self.last = None, event
        self._not_before = now + CAPTURE_RETRY

    def next_start(self, now: float) -> StartCapture | None:
        """What to begin now; only to be asked while no session may write."""
        order = self._wanted(now)
        if order is None:
            return None
        self._diskless_since = None
        self.running = RunningCapture(order)
        return StartCapture(order)

    def without_disk(self, fault: str, now: float) -> RefuseCapture | None:
        """Instead of ``next_start`` while nobody knows which disk is meant: refuse what was ordered, after a while."""
        order = self._wanted(now)
        if order is None:
            self._diskless_since = None
            return None
        self._diskless_since = now if self._diskless_since is None else self._diskless_since
        if now - self._diskless_since < DISK_PATIENCE:
            return None
        self._diskless_since = None
        self.running = RunningCapture(order, is_stopping=True)
        return RefuseCapture(order.capture_id, fault)

    def _wanted(self, now: float) -> CaptureOrder | None:
        order = self.order
        if order is None or self.running is not None or order.capture_id in self._over or now < self._not_before:
            return None
        return order

    def must_yield(self) -> bool:
        """Somebody else is to have the disk: whether a capture is to be told to stop, which is said once."""
        if self.running is None or self.running.is_stopping:
            return False
        self.running = replace(self.running, is_stopping=True)
        return True

    def stopped_here(self) -> None:
        """Somebody at the seat wants it no more."""
        if self.running is not None:
            self._over.add(self.running.order.capture_id)
            self.running = replace(self.running, is_stopping=True)
