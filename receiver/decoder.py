"""Turns a complete block buffer back into a chunk: symbols -> source block -> stored bytes -> raw bytes.

Proves nothing by itself: between the two steps the caller compares the stored bytes with the digest of their place, so
that nothing unchecked reaches the decompressor. Blocking; run by executor threads, one block each.
"""

from typing import Final

import zstandard

from protocol.blocks import BlockBuffer
from protocol.errors import IntegrityError
from protocol.fec import decode_source
from protocol.manifest import StoredChunk


def recover_stored(block: BlockBuffer, encoding_symbol_length: int, stored_length: int) -> memoryview:
    """The stored bytes of a block with at least K symbols, rebuilt in its own buffer.

    Raises:
        DecodeError: the symbols do not suffice.
    """
    missing = block.missing_source_symbols()
    if missing:
        decode_source(block.symbols, block.source_block_length, encoding_symbol_length, missing, block.repair_esis())
    return memoryview(block.symbols)[:stored_length]


class ChunkUnpacker:
    """Unpacks stored chunks; one per thread, since a zstd context is not shared."""

    def __init__(self) -> None:
        self._zstd: Final = zstandard.ZstdDecompressor()

    def unpack(self, chunk: StoredChunk, stored: memoryview) -> memoryview | bytes:
        """The raw bytes of a chunk whose stored bytes have been checked.

        Raises:
            IntegrityError: they do not unpack to ``chunk.raw_length`` bytes, so the image itself is bad.
        """
        if chunk.stored_length == chunk.raw_length:
            return stored
        what = f"chunk {chunk.chunk_id} does not unpack to {chunk.raw_length} bytes"
        try:
            if zstandard.frame_content_size(stored) != chunk.raw_length:
                raise IntegrityError(what, chunk.raw_digest, b"")
            return self._zstd.decompress(stored, max_output_size=chunk.raw_length)
        except zstandard.ZstdError as error:
            raise IntegrityError(f"{what} ({error})", chunk.raw_digest, b"") from error
