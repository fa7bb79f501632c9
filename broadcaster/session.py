"""The sender's session: decides which symbols leave next and when the session ends. Sans-I/O.

Driven by three: the network (``receive_message``), the transmitter (``next_transmission``, ``transmitted``) and time
(``next_message``, ``next_timeout``). It touches no payload, socket or clock.

    WAITING  --all expected seats ready, or the wait is over and one is-->  MANIFEST
    MANIFEST --object 0 has left and every awaited seat holds it, or MANIFEST_PATIENCE is over-->  DISK
    MANIFEST, DISK  --no seat is awaited-->  ENDED
    WAITING  --the wait is over and no seat is ready-->  ENDED
    any      --``abort``-->  ENDED

There is no barrier in the data path: within DISK a seat may join, leave and return at any moment, and what it misses is
mended by repair requests alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from broadcaster.rate import RateControl
from broadcaster.repair import RepairQueue
from broadcaster.roster import Roster
from protocol.errors import SessionStateError
from protocol.messages import (
    Announcement,
    Message,
    Presence,
    ReceiverReport,
    RepairRequest,
    SessionPhase,
    SessionStatus,
)
from protocol.wire import HEADER_LENGTH, TAG_LENGTH, TOI_DISK, TOI_MANIFEST

STATUS_INTERVAL: Final = 0.5
"""[s] How stale an operator's picture and a receiver's idea of the position may be."""

ANNOUNCEMENT_INTERVAL: Final = 5.0
"""[s] The announcement is retained, and repeated in case the broker was restarted empty: half of its lease."""

MANIFEST_PATIENCE: Final = 10.0
"""[s] After that the seats without a manifest catch up during DISK: none may hold up the room."""

REPAIR_AIRTIME_RATIO: Final = 0.3
"""Share of datagrams for repair while the first pass runs: one bad seat must not starve the others' first pass."""


@dataclass(frozen=True, slots=True)
class TransferObject:
    """The shape of one object: how many source blocks, and how long each is."""

    block_count: int
    source_block_length: Callable[[int], int]
    """maps an sbn to K, symbols"""


@dataclass(frozen=True, slots=True)
class Transmission:
    """Symbols of one block that leave one after the other."""

    toi: int
    sbn: int
    source_block_length: int
    """symbols"""
    esis: range
    is_first_pass: bool


@dataclass(frozen=True, slots=True)
class StartPolicy:
    """When to begin: with ``expected_seats`` ready at once, after ``wait_seconds`` with whoever is there."""

    expected_seats: int
    wait_seconds: float


class SenderSession:
    """One cast of one image to one group."""

    def __init__(
        self,
        announcement: Announcement,
        *,
        manifest_object: TransferObject,
        disk_object: TransferObject,
        policy: StartPolicy,
        rate: RateControl,
        now: float,
    ) -> None:
        self.announcement = announcement
        self.roster = Roster()
        self.rate = rate
        self.phase = SessionPhase.WAITING
        self.end_reason = ""
        self.datagrams_sent = 0
        self.repair_datagrams = 0
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self._policy = policy
        self._opened_at = now
        self._datagram_length = HEADER_LENGTH + announcement.oti.encoding_symbol_length + TAG_LENGTH
        self._manifest_left_at: float | None = None
        self._objects = (manifest_object, disk_object)
        self._repairs = tuple(
            RepairQueue(each.source_block_length, announcement.oti.max_repair_symbols) for each in self._objects
        )
        self._next_sbn = [0, 0]
        self._positions = [0, 0]
        self._repair_credit = 0.0
        self._sequence = 0
        self._status_due_at = now
        self._announcement_due_at = now

    # --- the network ---------------------------------------------------------------------------------------------

    def receive_message(self, message: Message, now: float) -> None:
        """Take a message of any receiver; those of other sessions are ignored."""
        if isinstance(message, Presence):
            if message.is_online:
                self.roster.hear(message.receiver_id, now)
        elif isinstance(message, ReceiverReport):
            self._receive_report(message, now)
        elif isinstance(message, RepairRequest) and message.tsi == self.announcement.tsi:
            self._receive_repair_request(message, now)
        self._advance(now)

    def _receive_report(self, report: ReceiverReport, now: float) -> None:
        if report.tsi != self.announcement.tsi or not self.roster.hear_report(report, now):
            return
        if report.state.is_final:
            self.rate.forget(report.receiver_id)
            self._status_due_at = now
        else:
            self.rate.seat_reported(report, now)
            self.rate.update(self.datagrams_sent * self._datagram_length, now)

    def _receive_repair_request(self, request: RepairRequest, now: float) -> None:
        if not self.roster.hear(request.receiver_id, now):
            return
        position = self._positions[request.toi]
        self._repairs[request.toi].request(request.deficits, request.absent, position, now)

    # --- the transmitter -----------------------------------------------------------------------------------------

    def next_transmission(self, now: float) -> Transmission | None:
        """The symbols to send next, or None while there is nothing to send."""
        self._advance(now)
        if self.phase in (SessionPhase.WAITING, SessionPhase.ENDED):
            return None
        toi = TOI_MANIFEST if self.phase is SessionPhase.MANIFEST else TOI_DISK
        in_first_pass = self._next_sbn[toi] < self._objects[toi].block_count
        if not in_first_pass or self._repair_credit > 0:
            repair = self._next_repair(now)
            if repair is not None:
                if in_first_pass:
                    self._repair_credit -= len(repair.esis)
                return repair
        return self._next_of_first_pass(toi) if in_first_pass else None

    def _next_repair(self, now: float) -> Transmission | None:
        for toi, queue in enumerate(self._repairs):
            symbols = queue.next_symbols(now)
            if symbols is not None:
                sbn, esis = symbols
                return Transmission(toi, sbn, self._objects[toi].source_block_length(sbn), esis, is_first_pass=False)
        return None

    def _next_of_first_pass(self, toi: int) -> Transmission:
        sbn = self._next_sbn[toi]
        self._next_sbn[toi] += 1
        length = self._objects[toi].source_block_length(sbn)
        per_source_datagram = REPAIR_AIRTIME_RATIO / (1 - REPAIR_AIRTIME_RATIO)
        # Unused credit is capped at one whole block, so that a quiet hour does not buy a repair storm.
        self._repair_credit = min(self._repair_credit + length * per_source_datagram, float(length))
        return Transmission(toi, sbn, length, range(length), is_first_pass=True)

    def transmitted(self, transmission: Transmission, now: float) -> None:
        """The last datagram of ``transmission`` has left. Transmissions leave in the order they were handed out."""
        self.datagrams_sent += len(transmission.esis)
        if not transmission.is_first_pass:
            self.repair_datagrams += len(transmission.esis)
            self._repairs[transmission.toi].left(transmission.sbn, len(transmission.esis), now)
            return
        if transmission.sbn != self._positions[transmission.toi]:
            raise SessionStateError(f"block {transmission.sbn} left out of order")
        self._positions[transmission.toi] += 1
        if transmission.toi == TOI_MANIFEST and self._has_left(TOI_MANIFEST):
            self._manifest_left_at = now
            self._status_due_at = now
        elif transmission.toi == TOI_DISK and self._has_left(TOI_DISK):
            self._status_due_at = now

    def _has_left(self, toi: int) -> bool:
        return self._positions[toi] == self._objects[toi].block_count

    # --- time ----------------------------------------------------------------------------------------------------

    def next_message(self, now: float) -> Announcement | SessionStatus | None:
        """A message that is due, or None; call until None."""
        self._advance(now)
        if self.phase is not SessionPhase.ENDED and now >= self._announcement_due_at:
            self._announcement_due_at = now + ANNOUNCEMENT_INTERVAL
            return self.announcement
        if now >= self._status_due_at:
            self._status_due_at = now + STATUS_INTERVAL
            return self._status()
        return None

    def next_timeout(self) -> float:
        """When ``next_message`` has something to say at the latest."""
        if self.phase is SessionPhase.ENDED:
            return self._status_due_at
        return min(self._status_due_at, self._announcement_due_at)

    def abort(self, reason: str, now: float) -> None:
        """End at once, whatever the seats still miss."""
        if self.phase is not SessionPhase.ENDED:
            self._end(reason, now)

    def position(self, toi: int) -> int:
        """Blocks of object ``toi`` whose source symbols have all left in the first pass."""
        return self._positions[toi]

    def block_count(self, toi: int) -> int:
        """Blocks of object ``toi``."""
        return self._objects[toi].block_count

    def _status(self) -> SessionStatus:
        self._sequence += 1
        toi = TOI_DISK if self.phase in (SessionPhase.DISK, SessionPhase.ENDED) else TOI_MANIFEST
        return SessionStatus(
            tsi=self.announcement.tsi,
            sequence=self._sequence,
            phase=self.phase,
            position=self._positions[toi],
            rate_bits_per_second=self.rate.rate_bits_per_second,
            rate_reason=self.rate.reason,
            datagrams_sent=self.datagrams_sent,
            repair_datagrams=self.repair_datagrams,
            settled=self.roster.settled_ids(),
            catch_up=(),
            must_leave_group=(),
        )

    def _advance(self, now: float) -> None:
        if self.phase is SessionPhase.WAITING:
            self._advance_from_waiting(now)
        elif self.phase is SessionPhase.MANIFEST:
            self._advance_from_manifest(now)
        elif self.phase is SessionPhase.DISK and not self.roster.awaited(now):
            self._end("every seat is settled, lost or stalled", now)

    def _advance_from_waiting(self, now: float) -> None:
        ready = self.roster.count_ready(now)
        if ready >= self._policy.expected_seats:
            self._enter(SessionPhase.MANIFEST, now)
        elif now - self._opened_at >= self._policy.wait_seconds or self._nobody_is_left_to_come(ready):
            if ready:
                self._enter(SessionPhase.MANIFEST, now)
            else:
                self._end("no receiver is ready", now)

    def _nobody_is_left_to_come(self, ready: int) -> bool:
        """All expected seats have spoken, and those that are not ready never will be."""
        settled = sum(seat.is_settled for seat in self.roster.seats())
        return settled > 0 and ready + settled >= self._policy.expected_seats

    def _advance_from_manifest(self, now: float) -> None:
        awaited = self.roster.awaited(now)
        if not awaited:
            self._end("every seat is settled, lost or stalled", now)
        elif self._manifest_left_at is not None:
            all_hold_it = all(seat.report.has_manifest for seat in awaited)
            if all_hold_it or now - self._manifest_left_at >= MANIFEST_PATIENCE:
                self._enter(SessionPhase.DISK, now)

    def _enter(self, phase: SessionPhase, now: float) -> None:
        if self.started_at is None:
            self.started_at = now
            self.roster.expect_progress(now)
        self.phase = phase
        self._status_due_at = now

    def _end(self, reason: str, now: float) -> None:
        self._enter(SessionPhase.ENDED, now)
        self.end_reason = reason
        self.ended_at = now
