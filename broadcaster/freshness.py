"""What was said before is not said again: which of a receiver's numbered messages are newer than all that it said of
the kind in the session. Sans-I/O.

Whoever reads a broker without access rules can repeat what a receiver has signed, as often as he likes: neither may it
have an effect nor be held against the receiver. A broker that repeats after a lost connection is no different.
"""

from collections import OrderedDict
from typing import Final

from protocol.fields import MAX_SEATS
from protocol.messages import MissingBlocks, ReceiverReport, RepairRequest

MAX_NUMBERED: Final = 8 * MAX_SEATS
"""[numbers] remembered: three kinds of each seat of two sessions on the same broker, and some that have left."""

Numbered = ReceiverReport | RepairRequest | MissingBlocks
"""Messages that carry a sequence number, which a receiver never uses twice."""


class Freshness:
    """The newest number of each receiver, session and kind; it must be asked of proved messages alone."""

    def __init__(self) -> None:
        self._newest: OrderedDict[tuple[str, str, type[Numbered]], int] = OrderedDict()

    def is_new(self, message: Numbered) -> bool:
        """Whether it is newer than all that were asked about; those that were quiet the longest are forgotten."""
        key = (message.receiver_id, message.tsi, type(message))
        if message.sequence <= self._newest.get(key, -1):
            return False
        self._newest[key] = message.sequence
        self._newest.move_to_end(key)
        if len(self._newest) > MAX_NUMBERED:
            self._newest.popitem(last=False)
        return True
