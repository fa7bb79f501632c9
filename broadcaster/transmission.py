"""What session, encoder and transmitter hand each other: the shape of an object, and symbols that are to leave."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from protocol.messages import RepairRequest


@dataclass(frozen=True, slots=True)
class TransferObject:
    """The shape of one object: how many source blocks, and how long each is."""

    block_count: int
    source_block_length: Callable[[int], int]
    """maps an sbn to K, symbols"""

    def contradicts(self, request: RepairRequest) -> bool:
        """Whether ``request`` asks for blocks or symbols that do not exist."""
        count, length = self.block_count, self.source_block_length
        return (
            any(sbn >= count or deficit > length(sbn) for sbn, deficit in request.deficits)
            or any(not first <= last < count for first, last in request.absent)
            or any(sbn >= count for sbn, _ in request.missing_symbols)
        )


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
