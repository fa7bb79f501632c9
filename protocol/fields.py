"""What the fields of messages are made of: bounded types, and the bounds themselves.

A peer may be hostile, so every text, count and list that it can fill is bounded here, in one place, and a message that
goes beyond is refused while it is decoded. The tables of docs/protocol.md name the same bounds.
"""

import re
from typing import Annotated, Final

import msgspec

from protocol.wire import MAX_SOURCE_BLOCK_LENGTH

MAX_MESSAGE_LENGTH: Final = 256 * 1024
"""[bytes] Stops a peer from making us parse without end; the announcement of a 2 TiB image needs 110 KiB."""

MAX_SIGNED_LENGTH: Final = 4096
"""[bytes] of what a ticket or a certificate signs; ours have under 900."""

UNPRINTABLE: Final = "\N{REPLACEMENT CHARACTER}"
"""Stands for each control, format or unassigned character in the text of a peer."""

MAX_REPAIR_ENTRIES: Final = 512
"""[entries] of each kind in one RepairRequest: under 16 KiB of JSON; what does not fit is asked for a cycle later."""

MAX_BITMAP_BLOCKS: Final = 1 << 20
"""[blocks] in one MissingBlocks: 128 KiB of bits, 175 KB of JSON when they do not deflate; 256 GiB of disk."""

MAX_SEATS: Final = 3072
"""[receivers] in one session: a SessionStatus names each of them twice at most, which is 210 KiB of JSON."""

MAX_SHORT_TEXT: Final = 64
"""[characters] of names, addresses, disks"""

MAX_LONG_TEXT: Final = 400
"""[characters] of a reason in words"""

_MAC_ADDRESS: Final = r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z"

MacAddress = Annotated[str, msgspec.Meta(pattern=_MAC_ADDRESS)]
Tsi = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
ReceiverId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
ShortText = Annotated[str, msgspec.Meta(max_length=MAX_SHORT_TEXT)]
LongText = Annotated[str, msgspec.Meta(max_length=MAX_LONG_TEXT)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
BlockNumber = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
SymbolCount = Annotated[int, msgspec.Meta(ge=1, le=MAX_SOURCE_BLOCK_LENGTH)]
Ratio = Annotated[float, msgspec.Meta(ge=0, le=1)]
Toi = Annotated[int, msgspec.Meta(ge=0, le=1)]
BitmapBlocks = Annotated[int, msgspec.Meta(ge=1, le=MAX_BITMAP_BLOCKS)]
Bitmap = Annotated[bytes, msgspec.Meta(max_length=MAX_BITMAP_BLOCKS // 8 + 1024)]
EsiBitmap = Annotated[bytes, msgspec.Meta(max_length=-(-MAX_SOURCE_BLOCK_LENGTH // 8))]
Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Key = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Nonce = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Signature = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
SignedBytes = Annotated[bytes, msgspec.Meta(max_length=MAX_SIGNED_LENGTH)]


def is_mac_address(text: str) -> bool:
    """Whether ``text`` is a MAC address as messages carry them: aa:bb:cc:dd:ee:ff in lower case."""
    return re.match(_MAC_ADDRESS, text) is not None


def printable(text: str) -> str:
    """``text`` as it may stand on a terminal and in a log: in one line, and nothing in it is obeyed."""
    return "".join(letter if letter.isprintable() else UNPRINTABLE for letter in text)


def encode_tsi(tsi: int) -> str:
    """A transport session identifier as it stands in messages and topics: 16 hex digits."""
    return f"{tsi:016x}"


def decode_tsi(tsi: str) -> int:
    """The integer that the datagrams carry for a ``Tsi``."""
    return int(tsi, 16)
