"""The sender's session: decides which symbols leave next and when the session ends. Sans-I/O.

Driven by three: the network (``receive_message``, ``control_lost``), the transmitter (``next_transmission``,
``transmitted``, ``cannot_send``) and time (``next_message``, ``next_timeout``). It touches no payload, socket or clock.

    WAITING  --all expected seats ready, or the wait is over and one is-->  MANIFEST
    MANIFEST --object 0 has left and what the seats miss is known, or patience is over-->  DISK
    MANIFEST, DISK  --no seat is awaited-->  ENDED
    WAITING  --the wait is over and no seat is ready-->  ENDED
    any      --``abort``-->  ENDED

A session that is held is only planned: it goes to MANIFEST with the first seat, so that all can look at their disks,
and stays there until ``release``; then it begins as every other, when enough seats are ready.

There is no barrier in the data path: within DISK a seat may join, leave and return at any moment. The first pass sends
the union of what the seats miss (``plan``); what they miss after it is mended by requests (``repair``); seats that
would slow the others fetch what they miss by themselves (``lanes``).
"""

from collections.abc import Callable, Iterable
from typing import Final

from broadcaster.bulletin import Bulletin
from broadcaster.damage import why_incomplete
from broadcaster.lanes import Lanes
from broadcaster.outgoing import Outgoing
from broadcaster.plan import SendPlan
from broadcaster.rate import RateControl
from broadcaster.readiness import Readiness, StartPolicy, told
from broadcaster.roster import Roster, Seat
from broadcaster.steering import Steering
from broadcaster.stragglers import is_judged
from broadcaster.transmission import TransferObject, Transmission
from protocol.bitmap import ranges_of
from protocol.errors import MessageError
from protocol.messages import (
    Announcement,
    Message,
    MissingBlocks,
    Presence,
    ReceiverReport,
    RepairRequest,
    SessionPhase,
    SessionStatus,
)
from protocol.wire import HEADER_LENGTH, TAG_LENGTH, TOI_DISK, TOI_MANIFEST

RETURN_PATIENCE: Final = 10.0
"""[s] After the last datagram, before the session ends without a silent seat: one that was flooded can now speak."""


class SenderSession:
    """One cast of one image to one group.

    ``generation`` counts the starts of this session: more than 1 when a broadcaster that died resumes it. Then
    ``roster.restore`` gives it the seats of before, and those among them that hold the manifest get no second one.
    """

    def __init__(
        self,
        announcement: Announcement,
        *,
        manifest_object: TransferObject,
        disk_object: TransferObject,
        policy: StartPolicy,
        rate: RateControl,
        now: float,
        generation: int = 1,
        is_recorded: bool = False,
        is_held: bool = False,
        on_nonsense: Callable[[str, str], object] = lambda receiver_id, what: None,
    ) -> None:
        """``on_nonsense`` is told of a receiver that says what cannot be, and what that was.

        With ``is_recorded`` a final report is acknowledged only when ``recorded`` says that a restart would find it.
        With ``is_held`` the session is only planned, and nothing may be written before ``release``.
        """
        self.announcement = announcement
        self.roster = Roster(is_held=is_held)
        self.rate = rate
        self.phase = SessionPhase.WAITING
        self.end_reason = ""
        self.datagrams_sent = 0
        self.repair_datagrams = 0
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.damaged: dict[int, str] = {}
        """blocks of the disk that cannot be sent, and why"""
        self._steering = Steering(policy, now, is_held=is_held)
        self._on_nonsense = on_nonsense
        self._datagram_length = HEADER_LENGTH + announcement.oti.encoding_symbol_length + TAG_LENGTH
        self._objects = (manifest_object, disk_object)
        self._outgoing = Outgoing(self._objects, announcement.oti.max_repair_symbols)
        self._plans, self._repairs = self._outgoing.plans, self._outgoing.repairs
        self._readiness = Readiness(announcement.image.stored_bytes)
        self._lanes = Lanes(has_catch_up=bool(announcement.catch_up_url))
        self._last_departure = now
        self._control_lost_at: float | None = None
        self._bulletin = Bulletin(announcement, now, generation=generation, is_recorded=is_recorded)
        self._resumes = generation > 1

    # --- the network ---------------------------------------------------------------------------------------------

    def receive_message(self, message: Message, now: float) -> None:
        """Take a message of any receiver; those of other sessions are ignored."""
        if isinstance(message, Presence):
            self.roster.hear_presence(message, now)
        elif isinstance(message, ReceiverReport | RepairRequest | MissingBlocks):
            if message.tsi != self.announcement.tsi:
                return
            if isinstance(message, ReceiverReport):
                self._receive_report(message, now)
            elif isinstance(message, RepairRequest):
                self._receive_repair_request(message, now)
            else:
                self._receive_missing_blocks(message, now)
        self._advance(now)

    def control_lost(self, now: float) -> None:
        """The broker is out of reach: until it is back nobody can be heard, so nobody is judged."""
        if self._control_lost_at is None:
            self._control_lost_at = now

    def control_restored(self, now: float) -> None:
        """The broker is back; everybody gets the time of a lease to be heard again."""
        if self._control_lost_at is not None:
            self._readiness.excuse(now - self._control_lost_at)
        self._control_lost_at = None
        self._bulletin.hasten_all(now)
        self.roster.excuse_silence(now)

    def _receive_report(self, report: ReceiverReport, now: float) -> None:
        is_over = self._plans[TOI_DISK].is_over and self.phase in (SessionPhase.DISK, SessionPhase.ENDED)
        is_progress_due = is_over and not self.is_paused
        seat = self.roster.hear_report(report, now, is_progress_due=is_progress_due)
        if seat is None:
            return
        if not is_judged(report):
            self.rate.forget(report.receiver_id)
            self._lanes.leave(seat)
            if report.state.is_final:
                self._bulletin.hasten(now)
            return
        if self.is_paused or self.is_held or seat.is_dismissed:
            return
        if self.phase in (SessionPhase.MANIFEST, SessionPhase.DISK):
            self._judge(seat, now)
        if seat.is_on_catch_up:
            self.rate.forget(report.receiver_id)
        else:
            self.rate.seat_reported(report, now)
            self.rate.update(self._bytes_sent, now)

    def _judge(self, seat: Seat, now: float) -> None:
        has_moved = self._lanes.judge(seat, datagrams_sent=self.datagrams_sent, bytes_sent=self._bytes_sent, now=now)
        if has_moved:
            self._bulletin.hasten(now)
            self._outgoing.forget_deficits()
        self._outgoing.credit.follow(self._lanes.loss_to_mend(), self._lanes.memory_in_repair())

    def _receive_repair_request(self, request: RepairRequest, now: float) -> None:
        seat = self.roster.hear(request.receiver_id, now)
        if seat is None or seat.is_on_catch_up or (request.toi == TOI_DISK and self.phase is not SessionPhase.DISK):
            return
        if self._objects[request.toi].contradicts(request):
            self._on_nonsense(request.receiver_id, "a repair request for blocks or symbols that do not exist")
            return
        self._outgoing.ask(request, now)

    def _receive_missing_blocks(self, message: MissingBlocks, now: float) -> None:
        seat = self.roster.hear(message.receiver_id, now)
        if seat is None:
            return
        try:
            missing = seat.inventory.take(message, self._objects[TOI_DISK].block_count)
        except MessageError as error:
            self._on_nonsense(message.receiver_id, str(error))
            return
        if self.phase is SessionPhase.DISK and missing and not seat.is_on_catch_up:
            absent = ((start, stop - 1) for start, stop in ranges_of(missing).ranges())
            self._repairs[TOI_DISK].request((), absent, self._plans[TOI_DISK], now)
            if not self._plans[TOI_DISK].is_handed_out:
                self._plans[TOI_DISK].reorder(told(self.roster.served(now), self._objects[TOI_DISK].block_count))

    # --- the transmitter -----------------------------------------------------------------------------------------

    def next_transmission(self, now: float) -> Transmission | None:
        """The symbols to send next, or None while there is nothing to send."""
        self._advance(now)
        if self.is_paused or self.phase in (SessionPhase.WAITING, SessionPhase.ENDED):
            return None
        toi = TOI_MANIFEST if self.phase is SessionPhase.MANIFEST else TOI_DISK
        return self._outgoing.next(toi)

    def transmitted(self, transmission: Transmission, now: float) -> None:
        """The last datagram of ``transmission`` has left; blocks that are sent side by side end in any order."""
        self.datagrams_sent += len(transmission.esis)
        self._last_departure = now
        if not transmission.is_first_pass:
            self.repair_datagrams += len(transmission.esis)
        if self._outgoing.left(transmission, now):
            self._bulletin.hasten(now)
            if transmission.toi == TOI_MANIFEST:
                self._readiness.manifest_left(now)
            else:
                self.roster.expect_progress(now)

    def cannot_send(self, toi: int, sbn: int, reason: str, now: float) -> None:
        """The block is not what the manifest says, or cannot be read: it never leaves, and the rest goes on."""
        self._outgoing.drop(toi, sbn)
        if toi == TOI_MANIFEST:
            self.abort(reason, now)
        else:
            self.damaged[sbn] = reason

    @property
    def _bytes_sent(self) -> int:
        return self.datagrams_sent * self._datagram_length

    # --- the operator --------------------------------------------------------------------------------------------

    @property
    def is_held(self) -> bool:
        """Whether it is only planned: no seat may write."""
        return self._steering.is_held

    @property
    def is_paused(self) -> bool:
        """Whether nothing is sent until ``resume``."""
        return self._steering.is_paused

    def release(self, now: float, expected_seats: int | None = None) -> None:
        """Start what was only planned, with so many seats beside those that are settled; None for the policy's."""
        if not self.is_held or self.phase is SessionPhase.ENDED:
            return
        self._steering.release(expected_seats, len(self.roster.settled_ids()), now)
        self.roster.release(now)
        self._readiness.begin_anew(now)
        if self.phase is not SessionPhase.WAITING:
            self.started_at = now
        self._bulletin.hasten(now)

    def pause(self, now: float) -> None:
        """Send nothing until ``resume``; no seat is judged meanwhile, and none is given up for getting nowhere."""
        if self.phase is not SessionPhase.ENDED:
            self._steering.pause(now)
            self._bulletin.hasten(now)

    def resume(self, now: float) -> None:
        """Go on."""
        if not self.is_paused:
            return
        self._readiness.excuse(self._steering.resume(now))
        self._lanes.forget_pace()
        self.roster.expect_progress(now)
        for seat in self.roster.seats():
            self.rate.forget(seat.report.receiver_id)
        self._bulletin.hasten(now)

    def dismiss(self, receiver_id: str, now: float) -> bool:
        """Stop one seat, and go on without it; False where it is unknown or settled."""
        seat = self.roster.get(receiver_id)
        if seat is None or seat.is_settled or self.phase is SessionPhase.ENDED:
            return False
        self.roster.dismiss(seat, now)
        self.rate.forget(receiver_id)
        self._lanes.leave(seat)
        self._bulletin.hasten(now)
        return True

    def move_to_catch_up(self, receiver_id: str, now: float) -> bool:
        """Let one seat fetch by itself for good; False where it is unknown or settled, or there is no such lane."""
        seat = self.roster.get(receiver_id)
        if seat is None or not seat.is_awaited(now) or seat.is_dismissed or not self._lanes.move_for_good(seat):
            return False
        self.rate.forget(receiver_id)
        self._outgoing.forget_deficits()
        self._bulletin.hasten(now)
        return True

    def moved_ids(self) -> tuple[str, ...]:
        """Receivers that were moved to the catch-up lane by ``move_to_catch_up``."""
        return tuple(sorted(self._lanes.moved))

    # --- time ----------------------------------------------------------------------------------------------------

    def next_message(self, now: float) -> Announcement | SessionStatus | None:
        """A message that is due, or None; call until None."""
        self._advance(now)
        announcement = self._bulletin.next_announcement(now) if self.phase is not SessionPhase.ENDED else None
        if announcement is not None or not self._bulletin.is_status_due(now):
            return announcement
        self._lanes.forget_silent(self.roster, self.rate, now)
        toi = TOI_DISK if self.phase in (SessionPhase.DISK, SessionPhase.ENDED) else TOI_MANIFEST
        return self._bulletin.status(
            now,
            phase=self.phase,
            position=self._plans[toi].position if self.phase is not SessionPhase.WAITING else 0,
            rate=self.rate,
            roster=self.roster,
            datagrams_sent=self.datagrams_sent,
            repair_datagrams=self.repair_datagrams,
            is_paused=self.is_paused,
        )

    def next_timeout(self) -> float:
        """When ``next_message`` has something to say at the latest."""
        return self._bulletin.next_timeout(self.phase)

    def recorded(self, reports: Iterable[ReceiverReport], now: float) -> None:
        """These reports outlive this process."""
        self.roster.note_recorded(reports)
        self._bulletin.hasten(now)

    def abort(self, reason: str, now: float) -> None:
        """End at once, whatever the seats still miss."""
        if self.phase is not SessionPhase.ENDED:
            self._end(reason, now)

    def plan(self, toi: int) -> SendPlan:
        """The first pass of object ``toi``."""
        return self._plans[toi]

    def _advance(self, now: float) -> None:
        if self._control_lost_at is not None or self.is_paused:
            return
        if self.phase is SessionPhase.WAITING:
            self._advance_from_waiting(now)
        elif self.phase is SessionPhase.MANIFEST:
            self._advance_from_manifest(now)
        elif self.phase is SessionPhase.DISK:
            self._advance_from_disk(now)

    def _advance_from_waiting(self, now: float) -> None:
        if self._may_begin(now) or (self.is_held and self.roster.awaited(now)):
            self._start(now)

    def _may_begin(self, now: float) -> bool:
        if self._steering.may_begin(self.roster, now):
            return True
        if self._steering.is_in_vain(self.roster, now):
            self._end("every seat is settled" if self.roster.settled_ids() else "no receiver is ready", now)
        return False

    def _start(self, now: float) -> None:
        seats = self.roster.awaited(now) if self.is_held else self.roster.armed(now)
        if self._resumes and all(seat.report.has_manifest for seat in seats):
            self._readiness.manifest_left(now)
        else:
            self._plans[TOI_MANIFEST].plan_all()
        self._enter(SessionPhase.MANIFEST, now)

    def _advance_from_manifest(self, now: float) -> None:
        if not self._may_begin(now):
            return
        awaited = self.roster.awaited(now)
        if not awaited:
            self._end_without_the_silent(now)
            return
        blocks = self._objects[TOI_DISK].block_count
        fast = self.roster.served(now)
        known = told(fast, blocks)
        if not self._readiness.may_start(
            fast, known, block_count=blocks, rate_bits_per_second=self.rate.rate_bits_per_second, now=now
        ):
            return
        if known or not fast:
            self._plans[TOI_DISK].plan_missing(known)
        else:
            self._plans[TOI_DISK].plan_all()
        self._enter(SessionPhase.DISK, now)
        if self._plans[TOI_DISK].is_over:
            self.roster.expect_progress(now)

    def _advance_from_disk(self, now: float) -> None:
        if self.damaged and self._plans[TOI_DISK].is_over:
            block_count = self._objects[TOI_DISK].block_count
            for seat in self.roster.awaited(now):
                seat.incomplete_because = why_incomplete(seat, self.damaged, block_count=block_count, now=now)
        if not self.roster.awaited(now):
            self._end_without_the_silent(now)
        elif self._plans[TOI_DISK].is_over and self._lanes.readmit(self.roster, self.rate.rate_bits_per_second, now):
            self._bulletin.hasten(now)

    def _end_without_the_silent(self, now: float) -> None:
        if not self.roster.silent(now) or now - self._last_departure >= RETURN_PATIENCE:
            self._end("every seat is settled, lost or stalled", now)

    def _enter(self, phase: SessionPhase, now: float) -> None:
        if self.started_at is None and not self.is_held:
            self.started_at = now
            self.roster.expect_progress(now)
        self.phase = phase
        self._bulletin.hasten(now)

    def _end(self, reason: str, now: float) -> None:
        self._enter(SessionPhase.ENDED, now)
        self.end_reason = reason
        self.ended_at = now
