"""What a receiver's session asks of those who drive it: work for the disk, blocks to fetch, and the end."""

from dataclasses import dataclass

from protocol.blocks import BlockBuffer


@dataclass(frozen=True, slots=True)
class BlockDecodable:
    """Enough symbols of a block are here: decode, check and store it, then call ``block_stored``."""

    block: BlockBuffer


@dataclass(frozen=True, slots=True)
class ObjectCompleted:
    """Every block of object ``toi`` is stored: load the manifest, or read the disk back and commit."""

    toi: int


@dataclass(frozen=True, slots=True)
class PreviewPossible:
    """Every block of the manifest is here and nothing may be written: look at what the disk holds, by reading alone."""


@dataclass(frozen=True, slots=True)
class SessionLeft:
    """Nothing more is to be done here: the final report is acknowledged, or the session was ended, or the broadcaster
    has fallen silent.
    """

    is_acknowledged: bool


Event = BlockDecodable | ObjectCompleted | PreviewPossible | SessionLeft


@dataclass(frozen=True, slots=True)
class Want:
    """Symbols of one block to fetch from the catch-up lane."""

    toi: int
    sbn: int
    esis: range | None = None
    """None for all source symbols"""
    wants_digests: bool = False
    """not the symbols, but what each of them must hash to, from esi 0 on"""
