"""Turns a transmission into sealed datagrams: stored bytes -> symbols -> datagrams. Blocking; run by executor threads.

Every block is checked against the manifest before it is sealed: what has rotted on the server is never sent, and the
seal's nonces, which depend on the block alone, never meet two plaintexts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from broadcaster.transmission import TransferObject, Transmission
from protocol.blocks import last_symbol_length, source_block_length
from protocol.digests import Buffer
from protocol.fec import encode_repair
from protocol.manifest import CHUNK_SIZE, Manifest
from protocol.seal import Seal
from protocol.symbol_digests import digests_of
from protocol.wire import HEADER_LENGTH, TAG_LENGTH, TOI_MANIFEST


@dataclass(frozen=True, slots=True)
class SealedSymbols:
    """The datagrams of one transmission, one after the other; all but the last are ``datagram_length`` bytes."""

    transmission: Transmission
    datagrams: memoryview
    datagram_length: int
    """bytes"""


class BlockEncoder:
    """Encodes both objects of one session."""

    def __init__(
        self,
        manifest: Manifest,
        read_stored: Callable[[int], bytes],
        seal: Seal,
        encoding_symbol_length: int,
    ) -> None:
        """``read_stored`` gives the stored bytes of an sbn, checked, or raises IntegrityError or LibraryError."""
        self._manifest = manifest
        self._read_stored = read_stored
        self._seal = seal
        self._symbol_length = encoding_symbol_length

    def manifest_object(self) -> TransferObject:
        """The shape of object 0."""
        count = -(-self._manifest.encoded_length // CHUNK_SIZE)
        return TransferObject(count, lambda sbn: self._length_of(len(self._manifest_block(sbn))))

    def disk_object(self) -> TransferObject:
        """The shape of object 1."""
        return TransferObject(len(self._manifest), lambda sbn: self._length_of(self._manifest[sbn].stored_length))

    def encode(self, transmission: Transmission) -> SealedSymbols:
        """The datagrams of ``transmission``.

        Raises:
            IntegrityError: the block in the library is not what the manifest says.
            LibraryError: the block cannot be read.
        """
        stored = self._stored(transmission)
        length = transmission.source_block_length
        esis = transmission.esis
        symbols = self._symbols(stored, length, esis)
        datagram_length = HEADER_LENGTH + self._symbol_length + TAG_LENGTH
        out = bytearray(len(esis) * datagram_length)
        used = self._seal.seal_symbols(
            out,
            symbols,
            toi=transmission.toi,
            sbn=transmission.sbn,
            source_block_length=length,
            esis=esis,
            last_symbol_length=last_symbol_length(len(stored), self._symbol_length),
        )
        return SealedSymbols(transmission, memoryview(out)[:used], datagram_length)

    def symbol_digests(self, transmission: Transmission) -> bytes:
        """What each symbol of ``transmission`` must hash to (``protocol.symbol_digests``); raises as ``encode``."""
        stored = self._stored(transmission)
        symbols = self._symbols(stored, transmission.source_block_length, transmission.esis)
        return digests_of(symbols, self._symbol_length)

    def _stored(self, transmission: Transmission) -> bytes:
        if transmission.toi == TOI_MANIFEST:
            return self._manifest_block(transmission.sbn)
        return self._read_stored(transmission.sbn)

    def _symbols(self, stored: bytes, source_block_length: int, esis: Sequence[int]) -> Buffer:
        """The symbols one after the other; the padding of the last source symbol may be absent."""
        size = self._symbol_length
        if esis == range(source_block_length):
            return stored
        source = memoryview(stored.ljust(source_block_length * size, b"\0"))
        repair_esis = [esi for esi in esis if esi >= source_block_length]
        repair = (
            memoryview(encode_repair(source, source_block_length, size, repair_esis)) if repair_esis else source[:0]
        )
        places = {esi: repair[index * size :][:size] for index, esi in enumerate(repair_esis)}
        return b"".join([places[esi] if esi in places else source[esi * size :][:size] for esi in esis])

    def _manifest_block(self, sbn: int) -> bytes:
        return self._manifest.read(sbn * CHUNK_SIZE, CHUNK_SIZE)

    def _length_of(self, stored_length: int) -> int:
        return source_block_length(stored_length, self._symbol_length)
