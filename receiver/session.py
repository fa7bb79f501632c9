"""The receiver's session: which blocks are missing, which can be decoded, what to ask for and report. Sans-I/O.

Driven by three: the network (``find_block``, ``batch_opened``, ``receive_message``, ``control_lost``, ``next_want``),
time (``next_message``, ``next_timeout``) and the worker that decodes, scans, writes and reads back
(``manifest_loaded``, ``blocks_found``, ``block_stored``, ``verified`` ...). What the worker must do comes out of
``next_event``. It touches no payload arithmetic, socket, disk or clock. In which state it is says ``Standing``, what it
tells the broadcaster ``Speech``.

What counts is the set of missing blocks: late join, loss, damage, a restart and an older image on the disk are the same
case. Everything is missing until a scan of the disk has found it, or it has been stored. While it is only PLANNED the
disk is looked at and nothing of object 1 is taken; what was found then is what is told until the scan is over that
begins when the disk may be written.
"""

import random
from collections import deque
from collections.abc import Container
from typing import Final

from protocol.blocks import BlockBuffer
from protocol.manifest import Manifest
from protocol.messages import (
    Announcement,
    Message,
    MissingBlocks,
    ReceiverReport,
    ReceiverState,
    RepairRequest,
    SessionPhase,
    SessionStatus,
)
from protocol.ticket import Ticket
from protocol.wire import TOI_DISK, TOI_MANIFEST
from receiver.arming import Arming
from receiver.counters import Counters
from receiver.events import BlockDecodable, Event, ObjectCompleted, PreviewPossible, SessionLeft, Want
from receiver.first_pass import FirstPass
from receiver.last_status import LastStatus
from receiver.lease import Lease
from receiver.poison import PoisonWatch
from receiver.receptions import Receptions
from receiver.reporter import Reporter
from receiver.speech import Speech
from receiver.standing import Standing

DEFAULT_BUFFER_LIMIT: Final = 192 * 1024 * 1024
"""[bytes] Blocks in memory; with the interpreter and a manifest of 60 MB within 350 MiB."""


class ReceiverSession:
    """One receiver's part in one session."""

    def __init__(
        self,
        announcement: Announcement,
        *,
        receiver_id: str,
        seat: str,
        target: str,
        arming: Arming,
        rng: random.Random,
        now: float,
        buffer_limit: int = DEFAULT_BUFFER_LIMIT,
        last_sequence: int = 0,
    ) -> None:
        """``last_sequence`` is what this receiver came to when it was in the session before; it counts on."""
        self.announcement = announcement
        self.receiver_id = receiver_id
        self.seat = seat
        self.target = target
        self.has_lost_sender = False
        """It left because the sender fell silent, so that the session may still come back."""
        self.last_status = LastStatus(receiver_id)
        self.counters = Counters()
        self.poison = PoisonWatch()
        """what is known of false symbols"""
        self._standing = Standing(arming, now)
        self._objects = Receptions(announcement, rng=rng, now=now, buffer_limit=buffer_limit)
        self._disk_object = self._objects.disk
        self._lease = Lease(now)
        self._has_left = False
        self._speech = Speech(
            Reporter(announcement.tsi, receiver_id, seat, target, last_sequence),
            objects=self._objects,
            standing=self._standing,
            last_status=self.last_status,
            counters=self.counters,
            poison=self.poison,
            now=now,
        )
        self._events: deque[Event] = deque()

    # --- the network ---------------------------------------------------------------------------------------------

    def find_block(self, toi: int, sbn: int, source_block_length: int) -> tuple[bytearray, bytearray] | None:
        """The buffer and the ledger for symbols of this block, or None if they are not wanted or there is no room."""
        return self._find(toi, sbn, source_block_length, is_multicast=True)

    def find_fetched_block(self, toi: int, sbn: int, source_block_length: int) -> tuple[bytearray, bytearray] | None:
        """As ``find_block``, for symbols that the catch-up lane brings."""
        return self._find(toi, sbn, source_block_length, is_multicast=False)

    def batch_opened(self, length: int, now: float) -> None:
        """The symbols of a batch of ``length`` bytes from the group lie in their buffers: see what is complete."""
        self.counters.bytes_received += length
        self._take_touched(now, is_multicast=True)

    def next_want(self, now: float) -> Want | None:
        """What to fetch next from the catch-up lane, or None.

        Answer each with ``want_fetched`` or ``want_unavailable``, or drop it when ``is_wanted`` says so.
        """
        if self.state.is_final or self.last_status.is_paused:
            return None
        return self._objects.next_want(
            now,
            is_on_catch_up=self.last_status.is_on_catch_up,
            must_leave_group=self.last_status.must_leave_group,
            takes_disk=self._standing.takes(TOI_DISK),
        )

    def is_wanted(self, want: Want) -> bool:
        """Whether it is worth while to try again; if not, nothing more is to be said of this want."""
        reception = self._objects[want.toi]
        is_entitled = (self.last_status.is_on_catch_up and not self.last_status.is_paused) or reception.is_urgent(want)
        if is_entitled and not self.state.is_final and reception.is_wanted(want):
            return True
        reception.fetched(want)
        return False

    def want_unavailable(self, want: Want) -> None:
        """The broadcaster cannot send the block at all."""
        self._objects[want.toi].unavailable(want)

    def want_fetched(self, want: Want, length: int, now: float) -> None:
        """The ``length`` bytes of datagrams that were fetched lie in their buffers."""
        self.counters.catch_up_bytes += length
        self._objects[want.toi].fetched(want)
        self._take_touched(now, is_multicast=False)

    def suspect(self, want: Want) -> BlockBuffer | None:
        """The block whose digests were wanted, to be compared with them; then call ``suspect_judged``."""
        return self._objects[want.toi].suspect(want.sbn)

    def suspect_judged(self, want: Want, false_esis: Container[int], length: int) -> None:
        """These symbols of it are false, say the ``length`` bytes of digests that were fetched."""
        self.counters.catch_up_bytes += length
        self.poison.symbols_dropped(self._objects[want.toi].judged(want.sbn, false_esis))

    def receive_message(self, message: Message, now: float) -> None:
        """Take a message of the broadcaster; those of other sessions are ignored."""
        if not isinstance(message, SessionStatus) or message.tsi != self.announcement.tsi:
            return
        self._lease.heard(now)
        if not self.last_status.take(message):
            return
        if self.last_status.was_restarted:
            self._speech.tell_again(now)
        if self._standing.takes(TOI_DISK):
            self._disk_object.first_pass.count_from(self.last_status.heard_whole_from)
        if self.last_status.is_dismissed:
            self._standing.dismiss(now)
        if self.state.is_final and self.last_status.is_settled:
            self._leave(is_acknowledged=True)
        elif self.last_status.is_ended:
            self._leave(is_acknowledged=False)

    def control_lost(self, now: float) -> None:
        """The broker is out of reach: the sender cannot be heard, so its silence means nothing."""
        self._lease.control_lost()

    def control_restored(self, now: float) -> None:
        """The broker is back; it may have forgotten everything."""
        self._lease.control_restored(now)
        self._speech.tell_again(now)

    def released(self, ticket: Ticket, now: float) -> None:
        """A ticket, found good, allows to write: begin to count down; what was released or is done goes on as it was.

        Raises:
            SessionStateError: the ticket does not allow it.
        """
        if self._standing.release(ticket, now):
            self._count_down(now)

    # --- the worker ----------------------------------------------------------------------------------------------

    def next_event(self) -> Event | None:
        """The next thing for the worker to do, or None."""
        return self._events.popleft() if self._events else None

    def manifest_loaded(self, manifest: Manifest, now: float) -> None:
        """Object 0 is decoded and checked, the target is marked incomplete: object 1 may be received."""
        if self.state is ReceiverState.FAILED:  # stopped by the operator meanwhile
            return
        self._standing.expect(ReceiverState.READY)
        status = self.last_status.message
        if status is not None and status.phase is not SessionPhase.DISK:
            self._disk_object.first_pass.count_from(0)
        self._objects.manifest_loaded(manifest)
        self._standing.enter(ReceiverState.RECEIVING, now)
        self._complete_if_nothing_is_missing(TOI_DISK, now)

    def manifest_seen(self, manifest: Manifest) -> None:
        """Object 0 is decoded and checked, and nothing was written: what the disk may lack is known by number."""
        if self.may_foresee:
            self._objects.manifest_loaded(manifest)

    def blocks_foreseen(self, sbns: list[int]) -> None:
        """The disk holds these now, by a look that promises nothing."""
        if self.may_foresee:
            self._disk_object.found(sbns)

    def preview_ended(self, now: float) -> None:
        """What the look has not found is missing, as far as one can tell before anything is written."""
        if self.may_foresee:
            self._speech.foreseen(now)

    def blocks_found(self, sbns: list[int], now: float) -> None:
        """The scan found these on the disk."""
        self._disk_object.found(sbns)
        if self.state is ReceiverState.RECEIVING:
            self._complete_if_nothing_is_missing(TOI_DISK, now)

    def scan_ended(self, now: float) -> None:
        """What the scan has not found is missing."""
        self._objects.has_scanned = True
        self._speech.scanned(now)

    def block_stored(self, block: BlockBuffer, now: float) -> None:
        """The block had the right digest and is written."""
        self._objects[block.toi].stored(block)
        self._complete_if_nothing_is_missing(block.toi, now)

    def block_rejected(self, block: BlockBuffer, now: float) -> None:
        """The block did not have the right digest: it is missing again, all of it or what is false of it."""
        if not self.poison.mismatched_blocks:
            self._speech.hasten(now)
        self.poison.block_mismatched()
        self._objects[block.toi].rejected(block, now, has_lane=bool(self.announcement.catch_up_url))

    def may_commit(self) -> bool:
        """Whether the disk, read back, is to be made bootable; from here on the operator cannot stop it any more."""
        return self._standing.may_commit()

    def read_back_failed(self, sbns: list[int], now: float) -> None:
        """These blocks were not on the disk as written: they are missing again."""
        if self.state is ReceiverState.FAILED:  # stopped by the operator meanwhile
            return
        self._standing.expect(ReceiverState.VERIFYING)
        self._disk_object.lost_again(sbns)
        self._standing.enter(ReceiverState.RECEIVING, now)

    def verified(self, now: float) -> None:
        """The disk is written, read back and committed."""
        self._standing.expect(ReceiverState.VERIFYING)
        self._standing.enter(ReceiverState.VERIFIED, now)

    def refused(self, reason: str, now: float) -> None:
        """The target may not be overwritten with this image; nothing was written."""
        self._standing.refuse(reason, now)

    def abort(self, now: float) -> bool:
        """Stop at the seat, before the first write; False if that is too late."""
        return not self._has_left and self._standing.stop_at_seat(now)

    def failed(self, reason: str, now: float) -> None:
        """The disk or this program failed; the target stays marked incomplete."""
        self._standing.end(ReceiverState.FAILED, reason, now)

    def damaged(self, reason: str, now: float) -> None:
        """What was read back is not what was written; the target stays marked incomplete."""
        self._standing.end(ReceiverState.DAMAGED, reason, now)

    # --- time ----------------------------------------------------------------------------------------------------

    def next_message(
        self, now: float, *, is_caught_up: bool = True
    ) -> ReceiverReport | RepairRequest | MissingBlocks | None:
        """A message that is due, or None; call until None.

        Unless ``is_caught_up``, datagrams that have arrived still wait to be opened. Then nothing is asked for: what
        seems to be missing may be among them, on a busy machine for seconds.
        """
        if not self._has_left and self._lease.is_over(self._objects.last_arrival, now):
            self.has_lost_sender = True
            self._leave(is_acknowledged=False)
        if self._has_left:
            return None
        self._count_down(now)
        for each in () if self.last_status.is_paused else self._objects:
            each.give_up_suspects(now)
        if is_caught_up and self.last_status.message is not None:
            self._objects.believe(self.last_status.message, now, takes_disk=self._standing.takes(TOI_DISK))
        return self._speech.next(now, is_caught_up=is_caught_up)

    def next_timeout(self) -> float:
        """When ``next_message`` may have something to say."""
        speaks_at = self._speech.next_timeout()
        return min(speaks_at, self.arming.ends_at) if self.state is ReceiverState.ARMING else speaks_at

    def report(self) -> ReceiverReport:
        """The whole truth about this seat, under a new sequence number."""
        return self._speech.report()

    # --- what is known -------------------------------------------------------------------------------------------

    @property
    def state(self) -> ReceiverState:
        """What this receiver is doing."""
        return self._standing.state

    @property
    def reason(self) -> str:
        """Why it waits, was refused or failed; empty when all is well."""
        return self._standing.reason

    @property
    def arming(self) -> Arming:
        """Its permission to write."""
        return self._standing.arming

    @property
    def has_scanned(self) -> bool:
        """Whether it is known what the disk lacks."""
        return self._objects.has_scanned

    @property
    def may_foresee(self) -> bool:
        """Whether it is still of use to look at a disk that may not be written yet."""
        return self._standing.may_foresee

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has stopped it, so that it is not begun again."""
        return self._standing.is_stopped

    @property
    def last_sequence(self) -> int:
        """The number of the newest message."""
        return self._speech.last_sequence

    @property
    def blocks_total(self) -> int:
        """Blocks of object 1; 0 while the manifest is not there."""
        return self._disk_object.block_count

    @property
    def blocks_missing(self) -> int:
        """Blocks of object 1 that are not stored yet."""
        return len(self._disk_object.missing)

    @property
    def first_pass(self) -> FirstPass:
        """The sender's first pass over object 1, as far as it can be told."""
        return self._disk_object.first_pass

    @property
    def backlog_bytes(self) -> int:
        """Bytes of blocks held in memory."""
        return self._objects.pool.taken_bytes

    # --- inside --------------------------------------------------------------------------------------------------

    def _find(
        self, toi: int, sbn: int, source_block_length: int, *, is_multicast: bool
    ) -> tuple[bytearray, bytearray] | None:
        if not self._standing.takes(toi):
            return None
        return self._objects.find(toi, sbn, source_block_length, is_multicast=is_multicast)

    def _count_down(self, now: float) -> None:
        if self._standing.count_down(now):
            self._complete_if_nothing_is_missing(TOI_MANIFEST, now)

    def _take_touched(self, now: float, *, is_multicast: bool) -> None:
        self._events.extend(map(BlockDecodable, self._objects.opened(now, is_multicast=is_multicast)))

    def _complete_if_nothing_is_missing(self, toi: int, now: float) -> None:
        if self._objects[toi].missing or self.state.is_final or self.state is ReceiverState.ARMING:
            return
        if self.state is ReceiverState.PLANNED:
            if toi == TOI_MANIFEST:
                self._events.append(PreviewPossible())
            return
        if toi == TOI_DISK:
            self._standing.enter(ReceiverState.VERIFYING, now)
        self._events.append(ObjectCompleted(toi))

    def _leave(self, *, is_acknowledged: bool) -> None:
        if not self._has_left:
            self._has_left = True
            self._events.append(SessionLeft(is_acknowledged))
