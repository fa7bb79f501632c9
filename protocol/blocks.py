"""Source blocks: how stored bytes are cut into symbols, and the buffers in which a receiver collects them.

A block's buffer has room for all source symbols and all repair symbols.
The ledger beside it says what has arrived; it is a plain bytearray because the C step that opens datagrams updates it.

    ledger  0..254   1 where the encoding symbol of that esi is present
            255      number of repair symbols present
            256      number of symbols present in all
            257..320 esi of the i-th repair symbol, which lies in slot K+i of the buffer
"""

from collections.abc import Container
from typing import Final

from protocol.errors import SessionStateError
from protocol.wire import MAX_REPAIR_SYMBOLS

LEDGER_LENGTH: Final = 321
REPAIR_COUNT: Final = 255
SYMBOL_COUNT: Final = 256
REPAIR_ESIS: Final = 257

SLOT_STEP: Final = 32
"""[symbols] Chosen: six lengths of buffers, a sixth of the memory wasted at most where blocks are half compressed."""


def source_block_length(stored_length: int, encoding_symbol_length: int) -> int:
    """K, the source symbols of a block of ``stored_length`` bytes (the last one padded with zeros)."""
    return -(-stored_length // encoding_symbol_length)


def last_symbol_length(stored_length: int, encoding_symbol_length: int) -> int:
    """Bytes of the last source symbol that are not padding; only these travel."""
    return stored_length - (source_block_length(stored_length, encoding_symbol_length) - 1) * encoding_symbol_length


class BlockBuffer:
    """One block on its way: symbol ``esi`` < K at ``esi`` * L of ``symbols``, the i-th repair symbol at (K+i) * L."""

    __slots__ = ("last_arrival", "ledger", "sbn", "source_block_length", "symbols", "toi")

    def __init__(self, symbols: bytearray) -> None:
        self.symbols = symbols
        self.ledger = bytearray(LEDGER_LENGTH)
        self.toi = 0
        self.sbn = 0
        self.source_block_length = 0
        self.last_arrival = 0.0

    def reset(self, toi: int, sbn: int, source_block_length: int) -> None:
        """Start over for another block; the symbols' bytes stay, the ledger says that none counts."""
        self.ledger[:] = bytes(LEDGER_LENGTH)
        self.toi = toi
        self.sbn = sbn
        self.source_block_length = source_block_length

    @property
    def symbol_count(self) -> int:
        """Encoding symbols present."""
        return self.ledger[SYMBOL_COUNT]

    @property
    def deficit(self) -> int:
        """Encoding symbols still needed before the block can be decoded."""
        return max(0, self.source_block_length - self.symbol_count)

    @property
    def source_symbol_count(self) -> int:
        """Source symbols present."""
        return self.ledger[SYMBOL_COUNT] - self.ledger[REPAIR_COUNT]

    def missing_source_bitmap(self) -> bytes:
        """The absent source symbols as a little-endian number, bit i for esi i."""
        missing = sum(1 << esi for esi in self.missing_source_symbols())
        return missing.to_bytes(-(-self.source_block_length // 8), "little")

    @property
    def next_repair_esi(self) -> int:
        """The first repair symbol after all that are present."""
        return max(self.repair_esis(), default=self.source_block_length - 1) + 1

    def missing_source_symbols(self) -> list[int]:
        """The esi of every source symbol that is absent, ascending."""
        present = self.ledger[: self.source_block_length]
        missing: list[int] = []
        esi = present.find(0)
        while esi >= 0:
            missing.append(esi)
            esi = present.find(0, esi + 1)
        return missing

    def repair_esis(self) -> list[int]:
        """The esi of every repair symbol present, in slot order."""
        return list(self.ledger[REPAIR_ESIS : REPAIR_ESIS + self.ledger[REPAIR_COUNT]])

    def present_slots(self) -> list[tuple[int, int]]:
        """(esi, slot) of every symbol present; a slot is counted in symbols from the start of the buffer."""
        present = [(esi, esi) for esi in range(self.source_block_length) if self.ledger[esi]]
        return present + [(esi, self.source_block_length + i) for i, esi in enumerate(self.repair_esis())]

    def drop_symbols(self, esis: Container[int], encoding_symbol_length: int) -> int:
        """Take symbols that are present out again, so that they may come once more; gives how many there were.

        Those that stay keep their bytes, and repair symbols their order.
        """
        dropped = [esi for esi, _ in self.present_slots() if esi in esis]
        kept = [(esi, slot) for esi, slot in self.present_slots()[self.source_symbol_count :] if esi not in esis]
        for place, (_, slot) in enumerate(kept, self.source_block_length):
            here, there = place * encoding_symbol_length, slot * encoding_symbol_length
            self.symbols[here : here + encoding_symbol_length] = self.symbols[there : there + encoding_symbol_length]
        for esi in dropped:
            self.ledger[esi] = 0
        self.ledger[REPAIR_COUNT] = len(kept)
        self.ledger[SYMBOL_COUNT] -= len(dropped)
        self.ledger[REPAIR_ESIS : REPAIR_ESIS + len(kept)] = bytes(esi for esi, _ in kept)
        return len(dropped)


class BlockPool:
    """A bounded stock of block buffers, so that no loss and no slow disk can eat a receiver's memory.

    Buffers come in a few lengths, so that small blocks take little of the bound, and are used again, since fresh memory
    costs more than what is written to it.
    """

    def __init__(
        self,
        limit_bytes: int,
        maximum_source_block_length: int,
        encoding_symbol_length: int,
    ) -> None:
        """Keep at most ``limit_bytes``, used and unused buffers together, but always one block."""
        self._limit = limit_bytes
        self._maximum_source_block_length = maximum_source_block_length
        self.symbol_length = encoding_symbol_length
        """[bytes] L"""
        self._free: dict[int, list[BlockBuffer]] = {}
        self._free_bytes = 0
        self._taken_bytes = 0

    @property
    def taken_bytes(self) -> int:
        """Bytes of the buffers in use."""
        return self._taken_bytes

    @property
    def kept_bytes(self) -> int:
        """Bytes of all buffers, in use or waiting to be used again."""
        return self._taken_bytes + self._free_bytes

    @property
    def fill_ratio(self) -> float:
        """Share of the bound that is in use, 0 to 1."""
        return self.share_of(self._taken_bytes)

    def share_of(self, length: int) -> float:
        """Share of the bound that so many bytes are, 0 to 1."""
        return min(1.0, length / self._limit)

    @property
    def is_full(self) -> bool:
        """Whether a block of full length would find no room."""
        return not self._has_room(self._buffer_length(self._maximum_source_block_length))

    def take(self, toi: int, sbn: int, source_block_length: int) -> BlockBuffer | None:
        """An empty buffer for this block, or None when the bound is reached: the block then stays missing."""
        slots = self._slots(source_block_length)
        length = self._buffer_length(slots)
        if not self._has_room(length):
            return None
        free = self._free.setdefault(slots, [])
        if free:
            block = free.pop()
            self._free_bytes -= length
        else:
            self._release_free_buffers(self._limit - self._taken_bytes - length)
            block = BlockBuffer(bytearray(length))
        self._taken_bytes += length
        block.reset(toi, sbn, source_block_length)
        return block

    def give_back(self, block: BlockBuffer) -> None:
        """Return a buffer; the caller must not touch it again."""
        slots = self._slots(block.source_block_length)
        length = self._buffer_length(slots)
        if self._taken_bytes < length:
            raise SessionStateError("a block buffer was given back twice")
        self._taken_bytes -= length
        self._free_bytes += length
        self._free.setdefault(slots, []).append(block)

    def _slots(self, source_block_length: int) -> int:
        """Source symbols that a buffer for such a block has room for."""
        rounded = -(-source_block_length // SLOT_STEP) * SLOT_STEP
        return min(rounded, self._maximum_source_block_length)

    def _buffer_length(self, slots: int) -> int:
        return (slots + MAX_REPAIR_SYMBOLS) * self.symbol_length

    def _has_room(self, length: int) -> bool:
        return self._taken_bytes == 0 or self._taken_bytes + length <= self._limit

    def _release_free_buffers(self, allowed_bytes: int) -> None:
        """Let go of unused buffers of other lengths until they fit beside what is in use."""
        for slots, buffers in self._free.items():
            while buffers and self._free_bytes > allowed_bytes:
                buffers.pop()
                self._free_bytes -= self._buffer_length(slots)
