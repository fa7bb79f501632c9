"""Words what one receiver has to say in one session, each message under the next sequence number. Pure.

Reports, repair requests and inventories share one sequence, so that whoever hears two knows which is newer. When
something is said, and of which blocks, is decided elsewhere.
"""

from protocol.bitmap import encode_bitmap
from protocol.blocks import BlockPool
from protocol.messages import MissingBlocks, ReceiverReport, ReceiverState, RepairRequest
from protocol.ranges import RangeSet
from receiver.counters import Counters
from receiver.poison import PoisonWatch
from receiver.reception import Reception
from receiver.repair import Absent, Deficits, MissingSymbols


class Reporter:
    """Speaks for the receiver ``receiver_id`` on ``seat``, which writes to ``target``."""

    def __init__(self, tsi: str, receiver_id: str, seat: str, target: str, last_sequence: int = 0) -> None:
        """``last_sequence`` is the newest number under which this receiver has said anything so far."""
        self._tsi = tsi
        self._receiver_id = receiver_id
        self._seat = seat
        self._target = _encodable(target)[-64:]
        self.last_sequence = last_sequence

    def report(
        self,
        state: ReceiverState,
        reason: str,
        counters: Counters,
        disk: Reception,
        pool: BlockPool,
        *,
        poison: PoisonWatch,
        has_manifest: bool,
        has_scanned: bool,
    ) -> ReceiverReport:
        """The whole truth about the seat; ``disk`` is the reception of object 1."""
        first_pass = disk.first_pass
        return ReceiverReport(
            tsi=self._tsi,
            receiver_id=self._receiver_id,
            seat=self._seat,
            sequence=self._next_sequence(),
            state=state,
            reason=_encodable(reason)[:400],
            target=self._target,
            has_manifest=has_manifest,
            blocks_total=disk.block_count,
            blocks_missing=len(disk.missing),
            blocks_to_scan=counters.blocks_to_scan,
            blocks_scanned=counters.blocks_scanned,
            has_scanned=has_scanned,
            bytes_received=counters.bytes_received,
            catch_up_bytes=counters.catch_up_bytes,
            symbols_expected=first_pass.symbols_expected,
            symbols_lost=first_pass.symbols_lost,
            blocks_repaired=first_pass.blocks_repaired,
            buffer_drops=counters.buffer_drops,
            blocks_without_room=disk.blocks_without_room,
            buffer_fill_ratio=max(counters.buffer_fill_ratio, pool.share_of(disk.bytes_to_store)),
            partial_fill_ratio=pool.share_of(pool.taken_bytes - disk.bytes_to_store),
            backlog_bytes=pool.taken_bytes,
            bytes_written=counters.bytes_written,
            disk_busy_ratio=counters.disk_busy_ratio,
            link_bits_per_second=counters.link_bits_per_second,
            bytes_to_verify=counters.bytes_to_verify,
            bytes_verified=counters.bytes_verified,
            datagrams_rejected=counters.datagrams_rejected,
            poisoned_blocks=poison.mismatched_blocks,
            poisoned_symbols=poison.false_symbols,
            alarm=_encodable(poison.alarm)[:400],
        )

    def repair_request(
        self, toi: int, deficits: Deficits, absent: Absent, missing_symbols: MissingSymbols
    ) -> RepairRequest:
        """Asks for these symbols and blocks of object ``toi``."""
        return RepairRequest(
            tsi=self._tsi,
            receiver_id=self._receiver_id,
            sequence=self._next_sequence(),
            toi=toi,
            deficits=deficits,
            absent=absent,
            missing_symbols=missing_symbols,
        )

    def missing_blocks(self, blocks: RangeSet, first_sbn: int, block_count: int) -> MissingBlocks:
        """Which of ``block_count`` blocks from ``first_sbn`` on are in ``blocks``."""
        return MissingBlocks(
            tsi=self._tsi,
            receiver_id=self._receiver_id,
            sequence=self._next_sequence(),
            first_sbn=first_sbn,
            block_count=block_count,
            bitmap=encode_bitmap(blocks, first_sbn, block_count),
        )

    def _next_sequence(self) -> int:
        self.last_sequence += 1
        return self.last_sequence


def _encodable(text: str) -> str:
    """The text with what no JSON can carry escaped: a path may hold bytes that are not UTF-8."""
    return text.encode(errors="backslashreplace").decode()
