"""How much of the broadcaster's work each receiver may cause; one that wants more, or talks nonsense, is not heard.

Every receiver has a token bucket for its messages and another one for nonsense (strikes). One that empties either is
quarantined: its messages are dropped before they are decoded, for ten seconds at first and twice as long each further
time. Only what is proved to be its own is held against it: of what is merely said in its name, some is looked at and
the rest dropped. An honest receiver never comes near: it sends 2 reports and up to 10 repair requests a second. Pure:
it is handed ``now``, sends nothing and logs nothing. Memory is bounded over invented names: the accounts that were
quiet the longest go first. A receiver id costs nothing to invent, so this bounds what one id does; how much one
connection may say at all is the broker's to bound.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

MESSAGES_PER_SECOND: Final = 40.0
"""[messages/s] of one receiver: three times its reports and its repair requests for both objects."""

MESSAGE_BURST: Final = 200.0
"""[messages] at once: what a disk lacks (a message for each 256 GiB), and what waited while the broker was away."""

UNPROVED_PER_SECOND: Final = 500.0
"""[messages/s] in one receiver's name whose signatures are checked: a twentieth of a core, and twelve times what it may
say, so that it is heard now and then while somebody floods in its name."""

UNPROVED_BURST: Final = 1000.0
"""[messages] of them at once: more than a room's broker keeps for us while we are away."""

STRIKE_BURST: Final = 20.0
"""[strikes] at once: requests that were true when they were sent, for example before the broadcaster began anew."""

STRIKES_PER_SECOND: Final = 1.0
"""[strikes/s] forgiven."""

FIRST_QUARANTINE: Final = 10.0
"""[s] chosen: long enough to make a flood cheap, short enough that a receiver mended by a restart is back soon."""

LONGEST_QUARANTINE: Final = 160.0
"""[s] chosen: the fifth time; a room's session is over by then or somebody has looked."""

FORGIVEN_AFTER: Final = 300.0
"""[s] after the end of a quarantine the next one is as short as the first."""

MAX_ACCOUNTS: Final = 4096
"""[receivers] Stops a peer that invents names; a session has 3072 seats at most."""

MAX_WHAT_LENGTH: Final = 80
"""[characters] of the nonsense that is quoted: it may repeat what a hostile peer wrote."""


@dataclass(slots=True)
class _Bucket:
    """A token bucket that is handed the time."""

    capacity: float
    tokens_per_second: float
    tokens: float = field(init=False)
    filled_at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.capacity

    def fill(self, now: float) -> None:
        """Add what has come in since the last call."""
        earned = max(0.0, now - self.filled_at) * self.tokens_per_second
        self.tokens = min(self.capacity, self.tokens + earned)
        self.filled_at = now

    @property
    def is_full(self) -> bool:
        return self.tokens >= self.capacity


@dataclass(slots=True)
class _Account:
    """What one receiver has done lately."""

    unproved: _Bucket
    messages: _Bucket
    strikes: _Bucket
    burst_began: float = 0.0
    """when the bucket of messages was last full"""
    burst_count: int = 0
    """messages since then"""
    last_message: float = 0.0
    quarantine_count: int = 0
    """that were not forgiven yet"""
    quarantined_until: float = 0.0
    nonsense: str = ""
    """why it is quarantined, if for nonsense; empty if for a flood"""


class MessageBudget:
    """The accounts of all receivers; for one broadcaster."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._rejected_count = 0
        self._quarantined_count = 0

    @property
    def rejected_count(self) -> int:
        """Messages that were not admitted."""
        return self._rejected_count

    @property
    def quarantined_count(self) -> int:
        """Quarantines begun, of any receiver."""
        return self._quarantined_count

    def admit_unproved(self, receiver_id: str, now: float) -> bool:
        """Whether to check who said a message in this receiver's name. Cheap: a flood calls it for each message."""
        account = self._account(receiver_id, now)
        is_admitted = now >= account.quarantined_until
        if is_admitted:
            account.unproved.fill(now)
            is_admitted = account.unproved.tokens >= 1
            account.unproved.tokens -= is_admitted
        else:
            account.burst_count += 1
            account.last_message = now
        self._rejected_count += not is_admitted
        return is_admitted

    def admit(self, receiver_id: str, now: float) -> bool:
        """Count one message that this receiver has said, which is proved, and say whether to heed it."""
        account = self._account(receiver_id, now)
        if now >= account.quarantined_until:
            account.messages.fill(now)
            if account.messages.is_full:
                account.burst_began, account.burst_count = now, 0
            if account.messages.tokens < 1:
                self._quarantine(account, "", now)
        account.burst_count += 1
        account.last_message = now
        if now < account.quarantined_until:
            self._rejected_count += 1
            return False
        account.messages.tokens -= 1
        return True

    def strike(self, receiver_id: str, what: str, now: float) -> None:
        """A message was nonsense; ``what`` completes the sentence "20 times ..." for the operator."""
        account = self._account(receiver_id, now)
        if now < account.quarantined_until:
            return  # for a message that was admitted before
        account.strikes.fill(now)
        account.strikes.tokens -= 1
        if account.strikes.tokens < 1:
            self._quarantine(account, _fit_to_show(what), now)

    def reason(self, receiver_id: str, now: float) -> str | None:
        """Why nothing that this receiver says is heard, in words; None when it is heard."""
        account = self._accounts.get(receiver_id)
        if account is None or now >= account.quarantined_until:
            return None
        if account.nonsense:
            return f"quarantined: {STRIKE_BURST:.0f} times {account.nonsense}"
        seconds = max(1, round(account.last_message - account.burst_began))
        return f"quarantined: {account.burst_count:,} messages in {seconds} s"

    def _account(self, receiver_id: str, now: float) -> _Account:
        account = self._accounts.get(receiver_id)
        if account is None:
            if len(self._accounts) >= MAX_ACCOUNTS:
                self._accounts.popitem(last=False)
            account = self._accounts[receiver_id] = _Account(
                _Bucket(UNPROVED_BURST, UNPROVED_PER_SECOND),
                _Bucket(MESSAGE_BURST, MESSAGES_PER_SECOND),
                _Bucket(STRIKE_BURST, STRIKES_PER_SECOND),
            )
            for bucket in (account.unproved, account.messages, account.strikes):
                bucket.fill(now)
        else:
            self._accounts.move_to_end(receiver_id)
        return account

    def _quarantine(self, account: _Account, nonsense: str, now: float) -> None:
        if now - account.quarantined_until > FORGIVEN_AFTER:
            account.quarantine_count = 0
        seconds = min(LONGEST_QUARANTINE, FIRST_QUARANTINE * 2**account.quarantine_count)
        account.quarantine_count += 1
        account.quarantined_until = now + seconds
        account.nonsense = nonsense
        # It comes back with full buckets: otherwise what it did before would count twice.
        for bucket in (account.messages, account.strikes):
            bucket.tokens = bucket.capacity
            bucket.filled_at = account.quarantined_until
        self._quarantined_count += 1


def _fit_to_show(what: str) -> str:
    """One short line of printable characters."""
    return "".join(character if character.isprintable() else "?" for character in what[:MAX_WHAT_LENGTH])
