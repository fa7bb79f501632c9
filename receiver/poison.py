"""What one seat knows of false symbols with good tags, and what it says of them and of whoever sends them. Pure.

The first block that is not as announced raises the alarm. Then the source addresses of what comes to the group are
looked at for a while, and judged: the broadcaster's IP address with another MAC than the broadcaster has is the liar's.
"""

from collections import Counter
from collections.abc import Mapping
from math import inf
from typing import Final, NamedTuple

SAMPLE_SECONDS: Final = 4.0
"""[s] How long the sources of datagrams are looked at: with the reports' 0.5 s well within ten seconds of the alarm."""

SAMPLE_PAUSE: Final = 6.0
"""[s] From the start of one look to that of the next, while blocks go on coming wrong and nobody has been named."""

MAX_NAMED: Final = 3
"""[addresses] in one alarm: a liar may invent as many as he likes."""


class Sender(NamedTuple):
    """Where datagrams came from, as their headers say."""

    mac: str
    """aa:bb:cc:dd:ee:ff, empty where only the IP address is known"""
    ip: str


def liars_among(heard: Mapping[Sender, int], source: str, source_mac: str | None) -> list[Sender]:
    """Who sends to the group without being the broadcaster, most datagrams first.

    Args:
        heard: datagrams to the group by sender.
        source: the broadcaster's IP address, empty if it is not known.
        source_mac: its MAC as the neighbour table knows it. Where that is None, or sends nothing (a bond, a router in
            between), the one that most of its datagrams have counts as its own.
    """
    own = Counter({sender.mac: count for sender, count in heard.items() if sender.ip == source})
    if source_mac not in own and own:
        source_mac = own.most_common(1)[0][0]
    impostors = [sender for sender in heard if sender.ip == source and sender.mac != source_mac]
    others = [sender for sender in heard if sender.ip != source] if source else []
    # Without the broadcaster's address a datagram does not get past the socket: such a sender poisons nobody here.
    return sorted(impostors or others, key=lambda sender: (-heard[sender], sender))


class PoisonWatch:
    """False symbols at one seat."""

    def __init__(self) -> None:
        self.mismatched_blocks = 0
        """times that a block came whole and was not as announced"""
        self.false_symbols = 0
        """symbols that were found false by their digests, and dropped"""
        self._liars: list[Sender] = []
        self._looks = 0
        self._has_news = False
        self._next_look_at = 0.0
        self._is_blind = False

    def block_mismatched(self) -> None:
        """A block came whole and was not as announced."""
        self.mismatched_blocks += 1
        self._has_news = True

    def symbols_dropped(self, count: int) -> None:
        """So many symbols were false."""
        self.false_symbols += count

    def is_look_due(self, now: float) -> bool:
        """Whether to look at the sources of datagrams now, for SAMPLE_SECONDS; say so with ``looking``."""
        return self._has_news and now >= self._next_look_at

    def looking(self, now: float) -> None:
        """Somebody looks, and will answer with ``looked`` or ``cannot_look``."""
        self._has_news = False
        self._next_look_at = now + SAMPLE_PAUSE

    def looked(self, heard: Mapping[Sender, int], source: str, source_mac: str | None) -> None:
        """What was heard; judged as by ``liars_among``. With nothing heard, nothing is known."""
        if heard:
            self._looks += 1
        found = liars_among(heard, source, source_mac)
        self._liars += [liar for liar in found if liar not in self._liars][: MAX_NAMED - len(self._liars)]
        if self._liars:
            self._next_look_at = inf  # who is named stays named, and further looks would only cost

    def cannot_look(self) -> None:
        """This program may not see link headers: whoever lies has the broadcaster's IP address, and no other."""
        self._is_blind = True
        self._next_look_at = inf

    @property
    def alarm(self) -> str:
        """In words for an operator; empty while nothing is wrong."""
        count = self.mismatched_blocks
        if not count:
            return ""
        blocks = f"{count} block{'s' if count > 1 else ''}"
        who = "somebody who knows the session secret sends false datagrams"
        if self._liars:
            source = ", ".join(map(_in_words, self._liars))
        elif self._looks:
            who += ", or the memory of this machine turns bits"
            source = "no second sender heard"
        elif self._is_blind:
            source = "source not known: only a receiver that runs as root sees MAC addresses"
        else:
            source = "source not known yet"
        return f"poisoned symbols: {who}; {blocks}, {source}"


def _in_words(sender: Sender) -> str:
    return f"source MAC {sender.mac} as {sender.ip}" if sender.mac else f"source address {sender.ip}"
