"""The receiver's session: which blocks are missing, which can be decoded, what to ask for and report. Sans-I/O.

Driven by three: the network (``find_block``, ``batch_opened``, ``receive_message``), time (``next_message``,
``next_timeout``) and the worker that decodes, writes and reads back (``manifest_loaded``, ``block_stored``,
``block_rejected``, ``verified`` ...). What the worker must do comes out of ``next_event``. It touches no payload
arithmetic, socket, disk or clock.

    READY     --manifest loaded and disk marked incomplete-->  RECEIVING
    RECEIVING --nothing is missing-->  VERIFYING
    VERIFYING --read-back found damage-->  RECEIVING
    VERIFYING --committed-->  VERIFIED
    RECEIVING, VERIFYING --the image contradicts itself, or the disk does not keep what it is given-->  DAMAGED
    READY     --target refused-->  REFUSED
    any       --disk or manifest fails-->  FAILED

The one state that counts is the set of missing blocks: late join, loss and damage are the same case.
"""

import random
from collections import deque
from dataclasses import dataclass
from typing import Final

from protocol.blocks import BlockBuffer, BlockPool, source_block_length
from protocol.errors import SessionStateError
from protocol.manifest import CHUNK_SIZE, Manifest
from protocol.messages import (
    Announcement,
    Message,
    ReceiverReport,
    ReceiverState,
    RepairRequest,
    SessionPhase,
    SessionStatus,
)
from protocol.ranges import RangeSet
from protocol.wire import TOI_DISK, TOI_MANIFEST
from receiver.repair import RepairTimer

SENDER_LEASE: Final = 15.0
"""[s] Without a word of the sender for so long, its session is over: it says something every 0.5 s, and by then it has
given up a receiver that it does not hear (10 s); a broker that restarts takes less."""

REPORT_INTERVAL: Final = 0.5
"""[s] How stale an operator's picture of a seat may be."""

REORDER_BLOCKS: Final = 2
"""[blocks] A block counts as gone by when one this much later arrives: a batch spans at most two large blocks."""

SILENCE: Final = 0.15
"""[s] After so long without a symbol that is wanted, the sender's position is believed even for blocks that were never
seen; until then they may still lie in the receive buffer."""

DEFAULT_BUFFER_LIMIT: Final = 192 * 1024 * 1024
"""[bytes] Blocks in memory; with the interpreter and a manifest of 60 MB within 350 MiB."""


@dataclass(frozen=True, slots=True)
class BlockDecodable:
    """Enough symbols of a block are here: decode, check and store it, then call ``block_stored``."""

    block: BlockBuffer


@dataclass(frozen=True, slots=True)
class ObjectCompleted:
    """Every block of object ``toi`` is stored: load the manifest, or read the disk back and commit."""

    toi: int


@dataclass(frozen=True, slots=True)
class SessionLeft:
    """Nothing more is to be done here: the final report is acknowledged, or the session was ended, or the broadcaster
    has fallen silent.
    """

    is_acknowledged: bool


Event = BlockDecodable | ObjectCompleted | SessionLeft


@dataclass(slots=True)
class Counters:
    """Running totals of one session, as they stand in the reports."""

    bytes_received: int = 0
    symbols_expected: int = 0
    symbols_lost: int = 0
    blocks_repaired: int = 0
    buffer_drops: int = 0
    datagrams_rejected: int = 0
    buffer_fill_ratio: float = 0.0
    bytes_to_verify: int = 0
    bytes_verified: int = 0


class ReceiverSession:
    """One receiver's part in one session."""

    def __init__(
        self,
        announcement: Announcement,
        *,
        receiver_id: str,
        seat: str,
        target: str,
        rng: random.Random,
        now: float,
        buffer_limit: int = DEFAULT_BUFFER_LIMIT,
    ) -> None:
        self.announcement = announcement
        self.receiver_id = receiver_id
        self.seat = seat
        self.target = target
        self.state = ReceiverState.READY
        self.reason = ""
        self.has_lost_sender = False
        """It left because the sender fell silent, so that the session may still come back."""
        self.counters = Counters()
        self._symbol_length = announcement.oti.encoding_symbol_length
        self._manifest: Manifest | None = None
        self._missing = (RangeSet([(0, len(announcement.manifest_block_digests))]), RangeSet())
        self._block_counts = [len(announcement.manifest_block_digests), 0]
        self._pool = BlockPool(buffer_limit, announcement.oti.maximum_source_block_length, self._symbol_length)
        self._partial: tuple[dict[int, BlockBuffer], ...] = ({}, {})
        self._being_stored: tuple[set[int], ...] = (set(), set())
        self._touched: list[tuple[BlockBuffer, int]] = []
        self._highest_sbn = [-1, -1]
        self._gone_by = [0, 0]
        self._counts_from: int | None = None
        """first sbn of the disk that was sent when we could receive it; None until the sender has said where it is"""
        self._status: SessionStatus | None = None
        self._last_arrival = [now, now]
        self._status_heard_at = now
        self._timers = (RepairTimer(rng, now), RepairTimer(rng, now))
        self._has_left = False
        self._sequence = 0
        self._report_due_at = now
        self._events: deque[Event] = deque()

    # --- the network ---------------------------------------------------------------------------------------------

    def find_block(self, toi: int, sbn: int, source_block_length: int) -> tuple[bytearray, bytearray] | None:
        """The buffer and the ledger for symbols of this block, or None if they are not wanted or there is no room."""
        block = self._partial[toi].get(sbn)
        if block is None:
            if sbn not in self._missing[toi] or sbn in self._being_stored[toi] or self.state.is_final:
                return None
            if source_block_length != self._length_of(toi, sbn):
                return None
            block = self._pool.take(toi, sbn, source_block_length)
            if block is None:
                return None
            self._partial[toi][sbn] = block
        elif source_block_length != block.source_block_length:
            return None
        self._touched.append((block, block.symbol_count))
        return block.symbols, block.ledger

    def batch_opened(self, length: int, now: float) -> None:
        """The symbols of a batch of ``length`` bytes lie in their buffers: see what has become complete."""
        self.counters.bytes_received += length
        for block, symbols_before in self._touched:
            if block.symbol_count == symbols_before:
                # Nothing of it was authentic and new: it proves nothing about the sender, and claims no buffer.
                self._drop_if_empty(block)
                continue
            block.last_arrival = self._last_arrival[block.toi] = now
            self._highest_sbn[block.toi] = max(self._highest_sbn[block.toi], block.sbn)
            if block.deficit == 0 and self._partial[block.toi].pop(block.sbn, None) is block:
                self._note_first_pass(block.toi, block.sbn, block)
                self._being_stored[block.toi].add(block.sbn)
                self._events.append(BlockDecodable(block))
        self._touched.clear()
        for toi in (TOI_MANIFEST, TOI_DISK):
            self._go_by(toi, self._highest_sbn[toi] - REORDER_BLOCKS)

    def receive_message(self, message: Message, now: float) -> None:
        """Take a message of the broadcaster; those of other sessions are ignored."""
        if not isinstance(message, SessionStatus) or message.tsi != self.announcement.tsi:
            return
        if self._status is not None and message.sequence <= self._status.sequence:
            return
        self._status = message
        if self._counts_from is None and self._manifest is not None:
            self._counts_from = message.position if message.phase is SessionPhase.DISK else 0
        self._status_heard_at = now
        if self.state.is_final and self.receiver_id in message.settled:
            self._leave(is_acknowledged=True)
        elif message.phase is SessionPhase.ENDED:
            self._leave(is_acknowledged=False)

    # --- the worker ----------------------------------------------------------------------------------------------

    def next_event(self) -> Event | None:
        """The next thing for the worker to do, or None."""
        return self._events.popleft() if self._events else None

    def manifest_loaded(self, manifest: Manifest, now: float) -> None:
        """Object 0 is decoded and checked, the target is marked incomplete: object 1 may be received."""
        self._expect(ReceiverState.READY)
        self._manifest = manifest
        if self._status is not None and self._status.phase is not SessionPhase.DISK:
            self._counts_from = 0
        self._block_counts[TOI_DISK] = len(manifest)
        self._missing[TOI_DISK].add(0, len(manifest))
        self._enter(ReceiverState.RECEIVING, now)
        self._complete_if_nothing_is_missing(TOI_DISK, now)

    def block_stored(self, block: BlockBuffer, now: float) -> None:
        """The block had the right digest and is written."""
        toi, sbn = self._release(block)
        self._missing[toi].discard(sbn)
        self._complete_if_nothing_is_missing(toi, now)

    def block_rejected(self, block: BlockBuffer) -> None:
        """The block did not have the right digest: it is missing again, from its first symbol on."""
        self._go_by(block.toi, block.sbn + 1)
        self._release(block)

    def read_back_failed(self, sbns: list[int], now: float) -> None:
        """These blocks were not on the disk as written: they are missing again."""
        self._expect(ReceiverState.VERIFYING)
        self._go_by(TOI_DISK, self.blocks_total)
        for sbn in sbns:
            self._missing[TOI_DISK].add(sbn)
        self._enter(ReceiverState.RECEIVING, now)

    def verified(self, now: float) -> None:
        """The disk is written, read back and committed."""
        self._expect(ReceiverState.VERIFYING)
        self._enter(ReceiverState.VERIFIED, now)

    def refused(self, reason: str, now: float) -> None:
        """The target may not be overwritten with this image; nothing was written."""
        self._expect(ReceiverState.READY)
        self._end(ReceiverState.REFUSED, reason, now)

    def failed(self, reason: str, now: float) -> None:
        """The disk or this program failed; the target stays marked incomplete."""
        self._end(ReceiverState.FAILED, reason, now)

    def damaged(self, reason: str, now: float) -> None:
        """What was read back is not what was written; the target stays marked incomplete."""
        self._end(ReceiverState.DAMAGED, reason, now)

    # --- time ----------------------------------------------------------------------------------------------------

    def next_message(self, now: float, *, is_caught_up: bool = True) -> ReceiverReport | RepairRequest | None:
        """A message that is due, or None; call until None.

        Unless ``is_caught_up``, datagrams that have arrived still wait to be opened. Then nothing is asked for: what
        seems to be missing may be among them, on a busy machine for seconds.
        """
        if not self._has_left and now - max(self._status_heard_at, *self._last_arrival) >= SENDER_LEASE:
            self.has_lost_sender = True
            self._leave(is_acknowledged=False)
        if self._has_left:
            return None
        if is_caught_up:
            self._believe_status(now)
        for toi, timer in enumerate(self._timers):
            if now < timer.due_at:
                continue
            if not is_caught_up:
                timer.skip(now)
            elif (request := self._repair_request(toi, timer, now)) is not None:
                return request
        if now >= self._report_due_at:
            self._report_due_at = now + REPORT_INTERVAL
            return self.report()
        return None

    def next_timeout(self) -> float:
        """When ``next_message`` may have something to say."""
        return min(self._report_due_at, *(timer.due_at for timer in self._timers))

    def report(self) -> ReceiverReport:
        """The whole truth about this seat, under a new sequence number."""
        self._sequence += 1
        return ReceiverReport(
            tsi=self.announcement.tsi,
            receiver_id=self.receiver_id,
            seat=self.seat,
            sequence=self._sequence,
            state=self.state,
            reason=_encodable(self.reason)[:400],
            target=_encodable(self.target)[-64:],
            has_manifest=self._manifest is not None,
            blocks_total=self.blocks_total,
            blocks_missing=self.blocks_missing,
            blocks_to_scan=0,
            blocks_scanned=0,
            has_scanned=False,
            bytes_received=self.counters.bytes_received,
            catch_up_bytes=0,
            symbols_expected=self.counters.symbols_expected,
            symbols_lost=self.counters.symbols_lost,
            blocks_repaired=self.counters.blocks_repaired,
            buffer_drops=self.counters.buffer_drops,
            blocks_without_room=0,
            buffer_fill_ratio=max(self.counters.buffer_fill_ratio, self._pool.fill_ratio),
            backlog_bytes=self.backlog_bytes,
            bytes_written=0,
            disk_busy_ratio=0.0,
            link_bits_per_second=0,
            bytes_to_verify=self.counters.bytes_to_verify,
            bytes_verified=self.counters.bytes_verified,
        )

    @property
    def blocks_total(self) -> int:
        """Blocks of object 1; 0 while the manifest is not there."""
        return self._block_counts[TOI_DISK]

    @property
    def blocks_missing(self) -> int:
        """Blocks of object 1 that are not stored yet."""
        return len(self._missing[TOI_DISK])

    @property
    def backlog_bytes(self) -> int:
        """Bytes of blocks held in memory."""
        return self._pool.taken_bytes

    # --- inside --------------------------------------------------------------------------------------------------

    def _repair_request(self, toi: int, timer: RepairTimer, now: float) -> RepairRequest | None:
        limit = 0 if self.state.is_final else self._gone_by[toi]
        deficits, absent = timer.collect(
            self._missing[toi], self._partial[toi].values(), self._being_stored[toi], limit, now
        )
        if self._pool.is_full:
            absent = ()  # what is sent again could not be kept
        if not deficits and not absent:
            return None
        self._sequence += 1
        return RepairRequest(
            tsi=self.announcement.tsi,
            receiver_id=self.receiver_id,
            sequence=self._sequence,
            toi=toi,
            deficits=deficits,
            absent=absent,
        )

    def _length_of(self, toi: int, sbn: int) -> int:
        if toi == TOI_MANIFEST:
            stored_length = min(CHUNK_SIZE, self.announcement.manifest_length - sbn * CHUNK_SIZE)
        elif self._manifest is not None:
            stored_length = self._manifest[sbn].stored_length
        else:
            raise SessionStateError("a block of the disk was looked up before the manifest was loaded")
        return source_block_length(stored_length, self._symbol_length)

    def _believe_status(self, now: float) -> None:
        """In silence, blocks below the sender's position have gone by, whether or not any of their symbols was seen."""
        if self._status is None:
            return
        in_silence = [now - arrival >= SILENCE for arrival in self._last_arrival]
        if self._status.phase is SessionPhase.MANIFEST and in_silence[TOI_MANIFEST]:
            self._go_by(TOI_MANIFEST, self._status.position)
        elif self._status.phase is SessionPhase.DISK:
            if in_silence[TOI_MANIFEST]:
                self._go_by(TOI_MANIFEST, self._block_counts[TOI_MANIFEST])
            if in_silence[TOI_DISK]:
                self._go_by(TOI_DISK, self._status.position)

    def _go_by(self, toi: int, position: int) -> None:
        """The first pass is at ``position``: what is incomplete below it was lost, or was sent before we came."""
        position = min(position, self._block_counts[toi])
        first = self._gone_by[toi]
        if position <= first:
            return
        if toi == TOI_DISK and self._counts_from is not None:
            for start, stop in self._missing[toi].ranges_within(max(first, self._counts_from), position):
                for sbn in range(start, stop):
                    if sbn not in self._being_stored[toi]:
                        self._note_first_pass(toi, sbn, self._partial[toi].get(sbn))
        self._gone_by[toi] = position

    def _drop_if_empty(self, block: BlockBuffer) -> None:
        if block.symbol_count == 0 and self._partial[block.toi].pop(block.sbn, None) is not None:
            self._pool.give_back(block)

    def _note_first_pass(self, toi: int, sbn: int, block: BlockBuffer | None) -> None:
        """Count expected and lost symbols once per block: when it completes, or when the first pass has gone by."""
        if toi != TOI_DISK or self._counts_from is None:
            return
        if sbn < max(self._gone_by[toi], self._counts_from):
            self.counters.blocks_repaired += block is not None and block.deficit == 0
            return
        length = self._length_of(toi, sbn)
        self.counters.symbols_expected += length
        self.counters.symbols_lost += length - (0 if block is None else block.source_symbol_count)

    def _release(self, block: BlockBuffer) -> tuple[int, int]:
        toi, sbn = block.toi, block.sbn
        self._being_stored[toi].remove(sbn)
        self._timers[toi].forget(sbn)
        self._pool.give_back(block)
        return toi, sbn

    def _complete_if_nothing_is_missing(self, toi: int, now: float) -> None:
        if self._missing[toi] or self.state.is_final:
            return
        if toi == TOI_DISK:
            self._enter(ReceiverState.VERIFYING, now)
        self._events.append(ObjectCompleted(toi))

    def _end(self, state: ReceiverState, reason: str, now: float) -> None:
        if self.state.is_final:
            return
        self.reason = reason
        self._enter(state, now)

    def _enter(self, state: ReceiverState, now: float) -> None:
        self.state = state
        self._report_due_at = now

    def _expect(self, state: ReceiverState) -> None:
        if self.state is not state:
            raise SessionStateError(f"the session is {self.state}, not {state}")

    def _leave(self, *, is_acknowledged: bool) -> None:
        if not self._has_left:
            self._has_left = True
            self._events.append(SessionLeft(is_acknowledged))


def _encodable(text: str) -> str:
    """The text with what no JSON can carry escaped: a path may hold bytes that are not UTF-8."""
    return text.encode(errors="backslashreplace").decode()
