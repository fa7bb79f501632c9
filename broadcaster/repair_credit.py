"""How much of the airtime repair may take while the first pass runs (a share of the datagrams). Pure.

Repair of what the room loses anyway is best done at once, while the blocks are in everybody's memory. Repair for one
seat that loses far more than the others would slow them all, so the budget follows the loss that at least two seats
have, and leaves little beyond it: what one seat alone lacks waits for the end of the pass, or for the catch-up lane.
Blocks that wait for repair fill the seats' memory; when that runs short, repair goes before new blocks.
"""

from typing import Final

SPARE_RATIO: Final = 0.03
"""Share for repair beyond what the room's loss calls for: the most that one bad seat costs the others."""

UNKNOWN_RATIO: Final = 0.1
"""Share for repair as long as nobody can tell how much is lost."""

MAX_RATIO: Final = 0.9
"""The first pass never stands still: it is what shows how much is lost."""

FREE_MEMORY_RATIO: Final = 0.1
"""Share of the seats' memory that blocks may take while they wait for repair, before repair takes more airtime."""

WORST_OF_ROOM: Final = 1.25
"""Most of 8 seats over their mean, in symbols per block of 186: 1.2 at 30 % loss and 1.5 at 5 % (binomial)."""


class RepairCredit:
    """Datagrams that repair may still take; each source datagram of the first pass earns some."""

    def __init__(self) -> None:
        self._credit = 0.0
        self.ratio = UNKNOWN_RATIO
        """share of all datagrams"""

    def __bool__(self) -> bool:
        """Whether repair may go first now."""
        return self._credit > 0

    def follow(self, loss_ratio: float | None, memory_in_repair: float) -> None:
        """Set the share by what the room loses (0 to 1; None when nothing is known) and the memory that this takes."""
        ratio = UNKNOWN_RATIO
        if loss_ratio is not None:
            symbols = WORST_OF_ROOM * loss_ratio / max(0.01, 1 - loss_ratio)
            ratio = symbols / (1 + symbols) + SPARE_RATIO
        self.ratio = min(MAX_RATIO, ratio + max(0.0, memory_in_repair - FREE_MEMORY_RATIO))

    def earn(self, source_datagrams: int) -> None:
        """So many datagrams of the first pass leave.

        Unused credit is capped at what one block earns, or at one block, so that no quiet hour buys a repair storm.
        """
        earned = source_datagrams * self.ratio / (1 - self.ratio)
        self._credit = min(self._credit + earned, max(earned, float(source_datagrams)))

    def spend(self, repair_datagrams: int) -> None:
        """So many repair datagrams leave."""
        self._credit -= repair_datagrams
