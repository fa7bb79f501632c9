"""What one receiver says in one session, and when: reports, what its disk lacks, and repair requests. Sans-I/O.

The words are ``Reporter``'s; which blocks fall short is ``Receptions``' to know.
"""

from typing import Final

from protocol.messages import MissingBlocks, ReceiverReport, ReceiverState, RepairRequest
from receiver.counters import Counters
from receiver.inventory import Inventory
from receiver.last_status import LastStatus
from receiver.poison import PoisonWatch
from receiver.reception import Reception
from receiver.receptions import Receptions
from receiver.reporter import Reporter
from receiver.standing import Standing

REPORT_INTERVAL: Final = 0.5
"""[s] How stale an operator's picture of a seat may be."""


class Speech:
    """Of the receiver whose part in the session the others describe."""

    def __init__(
        self,
        reporter: Reporter,
        *,
        objects: Receptions,
        standing: Standing,
        last_status: LastStatus,
        counters: Counters,
        poison: PoisonWatch,
        now: float,
    ) -> None:
        self._reporter = reporter
        self._objects = objects
        self._standing = standing
        self._last_status = last_status
        self._counters = counters
        self._poison = poison
        self._inventory = Inventory()
        self._report_due_at = now

    @property
    def last_sequence(self) -> int:
        """The number of the newest message."""
        return self._reporter.last_sequence

    def hasten(self, now: float) -> None:
        """Something has happened that a report is to tell at once."""
        self._report_due_at = now

    def tell_again(self, now: float) -> None:
        """The other side may have forgotten everything."""
        self._inventory.tell_again()
        self.hasten(now)

    def foreseen(self, now: float) -> None:
        """What is missing now is what the disk will lack, as far as one can tell before anything is written."""
        self._inventory.foreseen(self._objects.disk.missing, self._objects.disk.block_count)
        self.hasten(now)

    def scanned(self, now: float) -> None:
        """What is missing now is what the disk lacks."""
        self._inventory.known(self._objects.disk.block_count)
        self.hasten(now)

    def next(self, now: float, *, is_caught_up: bool) -> ReceiverReport | RepairRequest | MissingBlocks | None:
        """A message that is due, or None; unless ``is_caught_up``, nothing is asked for."""
        if now >= self._next_report_at():  # first: what a seat lacks is not heard before the seat is known
            self._report_due_at = now + REPORT_INTERVAL
            self._standing.untold_since = None
            return self.report()
        if (inventory := self._next_inventory(now)) is not None:
            return inventory
        for each in self._objects:
            if now < each.timer.due_at:
                continue
            is_resting = self._last_status.is_paused or self._last_status.is_on_catch_up
            if is_resting or not self._standing.takes(each.toi) or not is_caught_up:
                each.timer.skip(now)
            elif (request := self._repair_request(each, now)) is not None:
                return request
        return None

    def next_timeout(self) -> float:
        """When ``next`` may have something to say."""
        return min(self._next_report_at(), *(each.timer.due_at for each in self._objects))

    def report(self) -> ReceiverReport:
        """The whole truth about this seat, under a new sequence number."""
        standing, objects = self._standing, self._objects
        is_opening = standing.state is ReceiverState.READY
        return self._reporter.report(
            standing.state,
            standing.reason,
            self._counters,
            objects.disk,
            objects.pool,
            poison=self._poison,
            # While the disk is being opened nothing could be kept, and nothing is to be sent.
            has_manifest=objects.has_manifest and not is_opening,
            has_scanned=objects.has_scanned or (self._inventory.is_foreseen and not is_opening),
        )

    def _next_report_at(self) -> float:
        untold_since = self._standing.untold_since
        return self._report_due_at if untold_since is None else min(self._report_due_at, untold_since)

    def _repair_request(self, reception: Reception, now: float) -> RepairRequest | None:
        # Until the scan is over, a block of which nothing came may well be on the disk.
        deficits, absent, missing_symbols = reception.requests(
            now, whole_blocks=self._objects.knows_what_it_lacks(reception.toi)
        )
        if not deficits and not absent:
            return None
        return self._reporter.repair_request(reception.toi, deficits, absent, missing_symbols)

    def _next_inventory(self, now: float) -> MissingBlocks | None:
        is_awaited = self._last_status.is_planning and not self._standing.state.is_final
        part = self._inventory.next_part(now, is_awaited=is_awaited)
        if part is None:
            return None
        return self._reporter.missing_blocks(self._inventory.narrowed(self._objects.disk.unasked()), *part)
