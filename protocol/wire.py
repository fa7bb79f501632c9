"""The datagram: an 18-byte header, one encoding symbol, a 16-byte authentication tag.

    0       2  magic 0x5C57
    2       1  version
    3       1  toi: 0 the manifest, 1 the disk
    4       8  tsi, transport session identifier (RFC 5651 section 5.1)
    12      4  sbn, source block number
    16      1  source_block_length K, symbols (RFC 5445 section 5: the block's own length, since blocks differ)
    17      1  esi, encoding symbol id: < K source, >= K repair
    18      L  encoding symbol, sealed; the last source symbol of a block may be shorter than L
    18+L   16  AES-256-GCM tag; the header is its associated data

All integers are big-endian. Nothing varies between two transmissions of one symbol (no pass number, no time, no
rate): the same symbol is the same bytes, so a replay is a duplicate. This module decodes headers only; it never
allocates by what a datagram claims.
"""

import struct
from typing import Final, NamedTuple

from protocol import PROTOCOL_VERSION
from protocol.errors import WireError

MAGIC: Final = 0x5C57
HEADER: Final = struct.Struct(">HBBQIBB")
HEADER_LENGTH: Final = HEADER.size
TAG_LENGTH: Final = 16
"""[bytes] AES-GCM tag, full length (NIST SP 800-38D section 5.2.1.2)."""

ENCODING_SYMBOL_LENGTH: Final = 1416
"""[bytes] Largest multiple of 8 with header, symbol and tag within 1,452: Ethernet's 1,500 less IPv6 (40), UDP (8)."""

MAX_SOURCE_BLOCK_LENGTH: Final = 191
"""[symbols] RS(255,191): 255 code symbols less 64 repair symbols."""

MAX_REPAIR_SYMBOLS: Final = 64
MAX_ENCODING_SYMBOLS: Final = MAX_SOURCE_BLOCK_LENGTH + MAX_REPAIR_SYMBOLS

INTERLEAVED_BLOCKS: Final = 8
"""[blocks] that a broadcaster sends side by side at most: a lost batch of 44 datagrams costs each about six symbols."""

TOI_MANIFEST: Final = 0
TOI_DISK: Final = 1


class FecPayloadId(NamedTuple):
    """Which encoding symbol of which source block a datagram carries (RFC 5052 section 5.2)."""

    sbn: int
    source_block_length: int
    esi: int


class DatagramHeader(NamedTuple):
    """The decoded header; ``payload_id`` names the symbol inside the object ``toi`` of session ``tsi``."""

    tsi: int
    toi: int
    payload_id: FecPayloadId


def encode_header(tsi: int, toi: int, sbn: int, source_block_length: int, esi: int) -> bytes:
    """The 18 header bytes, which are also the associated data of the seal."""
    return HEADER.pack(MAGIC, PROTOCOL_VERSION, toi, tsi, sbn, source_block_length, esi)


def decode_header(datagram: bytes | bytearray | memoryview) -> DatagramHeader:
    """Read the header of one datagram of any origin.

    Raises:
        WireError: too short, another protocol, another version, or ids outside the code's bounds.
    """
    if len(datagram) <= HEADER_LENGTH + TAG_LENGTH:
        raise WireError(f"datagram of {len(datagram)} bytes holds no symbol")
    magic, version, toi, tsi, sbn, source_block_length, esi = HEADER.unpack_from(datagram)
    if magic != MAGIC:
        raise WireError(f"magic {magic:#06x} is not slatecast's")
    if version != PROTOCOL_VERSION:
        raise WireError(f"protocol version {version} is not {PROTOCOL_VERSION}")
    if toi > TOI_DISK:
        raise WireError(f"toi {toi} is neither manifest nor disk")
    if not 1 <= source_block_length <= MAX_SOURCE_BLOCK_LENGTH:
        raise WireError(f"source block length {source_block_length} is not within 1 to {MAX_SOURCE_BLOCK_LENGTH}")
    if esi >= source_block_length + MAX_REPAIR_SYMBOLS:
        raise WireError(f"esi {esi} is beyond the {source_block_length}+{MAX_REPAIR_SYMBOLS} symbols of its block")
    return DatagramHeader(tsi, toi, FecPayloadId(sbn, source_block_length, esi))
