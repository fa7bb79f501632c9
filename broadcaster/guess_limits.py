"""How often a token may be tried: so seldom that guessing is hopeless, yet no guesser locks others out. Sans-I/O.

Each exchange tries one token (SPAKE2), and a try can be made only here, on line. Only wrong tries count.

    in all        GUESSES at once, then one in GUESS_RECOVERY: 84 in the first hour of a cast, 1,464 in a day.
                  Four words are one of 2^44: an hour finds them with a chance of 5 * 10^-12, a year with 3 * 10^-8.
                  Four digits are one of 10^4: 0.8 % in an hour, so they are good for one lesson and not for a term.
    per address   GUESSES_PER_ADDRESS at once, then one in ADDRESS_RECOVERY: 10 in an hour, 0.1 % of four digits.

An address that was wrong before may not use the last RESERVED_GUESSES, so one machine, however busy, leaves the others
their tries. To lock a room out takes 15 addresses at once and a fresh one each minute ever after. Even then a receiver
is not turned away: it waits for the operator, who can accept it by its words.

The arithmetic of an exchange costs 10 ms of Python, so beginning one is limited as well: a room at once, then a few a
second, which takes a flood to 4 % of a core at most.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

GUESSES: Final = 24
"""[wrong tokens] in all at once: a room in which every third of 60 seats mistypes"""

GUESS_RECOVERY: Final = 60.0
"""[s] until one more may be tried, in all"""

RESERVED_GUESSES: Final = 12
"""[wrong tokens] kept for addresses that have not been wrong lately"""

GUESSES_PER_ADDRESS: Final = 4
"""[wrong tokens] at once: somebody who mistypes, looks again, and mistypes again"""

ADDRESS_RECOVERY: Final = 600.0
"""[s] until one more may be tried by an address"""

EXCHANGES: Final = 256
"""[exchanges with a token] begun at once in all: four rooms that are switched on together"""

EXCHANGE_RECOVERY: Final = 0.25
"""[s] until one more may begin, in all"""

EXCHANGES_PER_ADDRESS: Final = 8
"""[exchanges with a token] begun at once by an address; a receiver needs one."""

ADDRESS_EXCHANGE_RECOVERY: Final = 4.0
"""[s] until an address may begin one more"""

MAX_ADDRESSES: Final = 4096
"""[addresses] remembered; whoever has more is bounded by the limit in all"""


@dataclass(slots=True)
class _Count:
    """Things that are not forgiven yet; one is forgiven in each ``recovery`` seconds."""

    recovery: float
    count: float = 0.0
    counted_at: float = 0.0

    def at(self, now: float) -> float:
        self.count = max(0.0, self.count - max(0.0, now - self.counted_at) / self.recovery)
        self.counted_at = max(self.counted_at, now)
        return self.count

    def add(self, now: float) -> None:
        self.count = self.at(now) + 1


class _Counts:
    """The same per address; the addresses that were quiet the longest are forgotten first."""

    def __init__(self, recovery: float) -> None:
        self._recovery = recovery
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def at(self, address: str, now: float) -> float:
        count = self._counts.get(address)
        return 0.0 if count is None else count.at(now)

    def add(self, address: str, now: float) -> None:
        count = self._counts.pop(address, None) or _Count(self._recovery)
        count.add(now)
        self._counts[address] = count
        if len(self._counts) > MAX_ADDRESSES:
            self._counts.popitem(last=False)


class GuessLimits:
    """The tokens of one cast: those that were wrong, and the exchanges begun with any."""

    def __init__(self) -> None:
        self._wrong = _Count(GUESS_RECOVERY)
        self._wrong_of = _Counts(ADDRESS_RECOVERY)
        self._begun = _Count(EXCHANGE_RECOVERY)
        self._begun_of = _Counts(ADDRESS_EXCHANGE_RECOVERY)

    def begin(self, address: str, now: float, *, is_own: bool = False) -> bool:
        """Whether an exchange with a token may begin now; one that may is counted."""
        if self._begun.at(now) > EXCHANGES - 1:
            return False
        if not is_own:
            if self._begun_of.at(address, now) > EXCHANGES_PER_ADDRESS - 1:
                return False
            self._begun_of.add(address, now)
        self._begun.add(now)
        return True

    def may_guess(self, address: str, now: float, *, is_own: bool = False) -> bool:
        """Whether a token that comes from ``address`` may be judged now.

        ``is_own``: the address is this machine's, which a whole room of a demonstration shares; only the limit in all
        holds for it.
        """
        left = GUESSES - self._wrong.at(now)
        wrong = 0.0 if is_own else self._wrong_of.at(address, now)
        if wrong == 0:
            return left >= 1
        return wrong <= GUESSES_PER_ADDRESS - 1 and left >= 1 + RESERVED_GUESSES

    def wrong(self, address: str, now: float) -> None:
        """A token that came from ``address`` was judged and was wrong."""
        self._wrong.add(now)
        self._wrong_of.add(address, now)

    @property
    def addresses(self) -> int:
        """Addresses remembered, at most MAX_ADDRESSES of each kind."""
        return len(self._wrong_of) + len(self._begun_of)
