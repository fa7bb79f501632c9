"""What session, encoder and transmitter hand each other: the shape of an object, and symbols that are to leave."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TransferObject:
    """The shape of one object: how many source blocks, and how long each is."""

    block_count: int
    source_block_length: Callable[[int], int]
    """maps an sbn to K, symbols"""


@dataclass(frozen=True, slots=True)
class Transmission:
    """Symbols of one block that leave one after the other."""

    toi: int
    sbn: int
    source_block_length: int
    """symbols"""
    esis: Sequence[int]
    """in the order in which they leave; source symbol K-1, whose datagram may be short, comes last"""
    is_first_pass: bool
