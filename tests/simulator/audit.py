"""What must hold of everything that the broadcaster sends, checked against all that it was asked for. A second opinion:
it knows the rules of docs/protocol.md, and nothing of how the sender keeps them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from broadcaster.roster import Seat
from broadcaster.transmission import Transmission
from protocol.messages import RepairRequest
from protocol.wire import INTERLEAVED_BLOCKS, TOI_DISK

SURELY_IN_FLIGHT = 0.08
"""[s] What left so short before a request was heard is discounted."""

SURELY_LANDED = 0.3
"""[s] What left so long before a request was heard is not discounted."""

SPARE_SYMBOLS = 1
"""[symbols] that may be sent beyond what was asked for."""

MOST_BLOCKS = 1000
"""No image has so many, but a hostile receiver may ask for them."""

Block = tuple[int, int]
"""toi and sbn"""


@dataclass(slots=True)
class _Asked:
    """The requests for one block since symbols of it were last handed out."""

    least: int = 0
    most: int = 0


@dataclass(slots=True)
class SenderAudit:
    """One run of one broadcaster."""

    max_repair_symbols: int
    """of one block; when they are used up, somebody may first have to say which source symbols it lacks"""
    problems: list[str] = field(default_factory=list)
    is_served_otherwise: bool = False
    """somebody fetches what it lacks by itself, or told late all that it lacks: then a request may be void"""
    whole_blocks: list[int] = field(default_factory=list)
    """sbns of the disk that left as source symbols, in order"""
    _asked: dict[Block, _Asked] = field(default_factory=dict)
    _under_way: dict[Block, int] = field(default_factory=dict)
    _last_left: dict[Block, tuple[float, int]] = field(default_factory=dict)
    _in_first_pass: dict[Block, bool] = field(default_factory=dict)
    """whether its last symbol has left"""
    _repaired: set[Block] = field(default_factory=set)
    _wanted_whole: set[Block] = field(default_factory=set)
    _repair_symbols_used: dict[Block, int] = field(default_factory=dict)
    _repair_symbols: set[tuple[Block, int]] = field(default_factory=set)

    def heard(self, request: RepairRequest, seat: Seat | None, now: float) -> None:
        """The session has taken this request, of a seat as it now is."""
        is_heeded = seat is not None and seat.is_awaited(now) and not seat.is_on_catch_up
        if not is_heeded or any(last >= MOST_BLOCKS for _, last in request.absent):
            return
        for first, last in request.absent:
            self._wanted_whole.update((request.toi, sbn) for sbn in range(first, last + 1))
        for sbn, deficit in request.deficits:
            block = (request.toi, sbn)
            under_way = self._under_way.get(block, 0)
            left_at, count = self._last_left.get(block, (now - 1.0, 0))
            asked = self._asked.setdefault(block, _Asked())
            age = now - left_at
            asked.most = max(asked.most, deficit - under_way - (count if age < SURELY_IN_FLIGHT else 0))
            # A block that is to leave whole anyway needs no repair.
            if block not in self._wanted_whole and self._in_first_pass.get(block, False):
                asked.least = max(asked.least, deficit - under_way - (count if age < SURELY_LANDED else 0))

    def handed_out(self, transmission: Transmission, now: float) -> None:
        """The session wants these symbols sent."""
        block = (transmission.toi, transmission.sbn)
        name = f"at {now:.3f} block {transmission.sbn} of object {transmission.toi}"
        source_count = sum(esi < transmission.source_block_length for esi in transmission.esis)
        if source_count == transmission.source_block_length and transmission.toi == TOI_DISK:
            self.whole_blocks.append(transmission.sbn)
        if transmission.is_first_pass:
            self._take_first_pass(block, name)
            return
        self._repaired.add(block)
        if transmission.toi == TOI_DISK and not self._in_first_pass.get(block, True):
            self.problems.append(f"{name} is repaired while it leaves in the first pass")
        asked = self._asked.pop(block, _Asked())
        if source_count:
            self._wanted_whole.discard(block)
        if not source_count:
            self._take_repair(block, asked, transmission.esis, name)
        self._under_way[block] = self._under_way.get(block, 0) + len(transmission.esis)

    def left(self, transmission: Transmission, now: float) -> None:
        """All symbols of a transmission have left."""
        block = (transmission.toi, transmission.sbn)
        if transmission.is_first_pass:
            self._in_first_pass[block] = True
        else:
            self._under_way[block] -= len(transmission.esis)
            self._last_left[block] = (now, len(transmission.esis))

    def side_by_side(self, count: int) -> None:
        """So many transmissions have begun to leave and have not left."""
        if count > INTERLEAVED_BLOCKS:
            self.problems.append(f"{count} blocks leave side by side")

    def _take_first_pass(self, block: Block, name: str) -> None:
        if block in self._in_first_pass:
            self.problems.append(f"{name} leaves twice in the first pass")
        if block in self._repaired and block[0] == TOI_DISK:
            self.problems.append(f"{name} leaves in the first pass, and was repaired before")
        self._in_first_pass[block] = False

    def _take_repair(self, block: Block, asked: _Asked, esis: Sequence[int], name: str) -> None:
        if len(esis) > asked.most + SPARE_SYMBOLS:
            self.problems.append(f"{name}: {len(esis)} repair symbols, while {asked.most} were needed at most")
        self._repair_symbols_used[block] = used = self._repair_symbols_used.get(block, 0) + len(esis)
        if len(esis) < asked.least and used < self.max_repair_symbols and not self.is_served_otherwise:
            self.problems.append(f"{name}: {len(esis)} repair symbols, while somebody needed {asked.least}")
        again = self._repair_symbols.intersection((block, esi) for esi in esis)
        if again:
            self.problems.append(f"{name}: repair symbols {sorted(esi for _, esi in again)} are sent twice")
        self._repair_symbols.update((block, esi) for esi in esis)
