"""Digests of single encoding symbols, by which a receiver finds the false ones in a block that came whole and wrong.

Who holds the session secret can seal any bytes, and one false symbol turns a decoded block into noise that does not say
which symbol it was (RFC 5510 section 9.1.1). So the broadcaster tells, over the catch-up lane, what each symbol of such
a block must hash to. That is a hint and no proof: whatever it says, a block is stored only if it has its own digest.
"""

from typing import Final

from blake3 import blake3

from protocol.blocks import BlockBuffer
from protocol.digests import Buffer
from protocol.errors import MessageError

SYMBOL_DIGEST_LENGTH: Final = 16
"""[bytes] The BLAKE3 of a symbol, cut: who could find a second preimage of it would gain a block that starts over."""

_KEY: Final = blake3(b"", derive_key_context="slatecast 2026-11 symbol of a block").digest()


def digests_of(symbols: Buffer, encoding_symbol_length: int) -> bytes:
    """The digests of symbols that lie one after the other; a last one that is short counts with its padding of zeros.

    Args:
        symbols: the encoding symbols.
        encoding_symbol_length: L, bytes.

    Returns:
        SYMBOL_DIGEST_LENGTH bytes for each.
    """
    view = memoryview(symbols)
    parts = [view[start : start + encoding_symbol_length] for start in range(0, len(view), encoding_symbol_length)]
    if parts and len(parts[-1]) < encoding_symbol_length:
        parts[-1] = memoryview(bytes(parts[-1]).ljust(encoding_symbol_length, b"\0"))
    return b"".join([blake3(part, key=_KEY).digest(SYMBOL_DIGEST_LENGTH) for part in parts])


def esis_to_compare(block: BlockBuffer) -> range:
    """The encoding symbols, from the first one on, that hold all that are present in the block."""
    return range(max(block.source_block_length, block.next_repair_esi))


def false_symbols(block: BlockBuffer, encoding_symbol_length: int, digests: Buffer) -> list[int]:
    """The esi of every symbol present in the block whose digest is another one, ascending.

    Args:
        block: its symbols must not change meanwhile; those that decoding has rebuilt do not count as present.
        encoding_symbol_length: L, bytes.
        digests: of the symbols from esi 0 on, SYMBOL_DIGEST_LENGTH bytes each, for ``esis_to_compare`` at least.

    Raises:
        MessageError: the digests are too few, so that they tell nothing of some symbols.
    """
    told = memoryview(digests)
    if len(told) < len(esis_to_compare(block)) * SYMBOL_DIGEST_LENGTH:
        raise MessageError(f"{len(told)} bytes of digests for {len(esis_to_compare(block))} symbols")
    symbols = memoryview(block.symbols)
    found = []
    for esi, slot in block.present_slots():
        symbol = symbols[slot * encoding_symbol_length : (slot + 1) * encoding_symbol_length]
        place = esi * SYMBOL_DIGEST_LENGTH
        if blake3(symbol, key=_KEY).digest(SYMBOL_DIGEST_LENGTH) != told[place : place + SYMBOL_DIGEST_LENGTH]:
            found.append(esi)
    return sorted(found)
