"""How often a login may be tried, by address and by account; the same whether the account exists.

Trying costs a slow hash, so the number that are hashed at once is bounded as well (see ``Access``).
"""

import ipaddress
from typing import Final

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from protocol.errors import RefusedError

WINDOW: Final = 300
"""[s] over which logins are counted: whoever is locked out by mistake gets a coffee."""

TRIES_PER_ADDRESS: Final = 20
"""[logins] in a window: an office of operators behind one address, each mistyping twice"""

TRIES_PER_ACCOUNT: Final = 10
"""[logins] in a window: 10 in five minutes are a million in a year, against more than 2^40 passwords"""

_TOO_MANY: Final = "too many logins were tried: wait five minutes, then try again"


class TooManyTriesError(RefusedError):
    """Logins were tried more often than anybody mistypes."""


class LoginLimits:
    """Counts every try, good or bad."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._per_address = RateLimitItemPerSecond(TRIES_PER_ADDRESS, WINDOW, namespace="address")
        self._per_account = RateLimitItemPerSecond(TRIES_PER_ACCOUNT, WINDOW, namespace="account")
        self._good = RateLimitItemPerSecond(1, 30 * 86_400, namespace="good")

    def count(self, address: str, account: str) -> None:
        """Count a try before it is judged.

        An address from which this account has logged in lately is bounded by its own limit alone, so a stranger
        cannot lock an operator out of the usual place.

        Raises:
            TooManyTriesError: there were too many.
        """
        place = _place(address)
        if not self._limiter.hit(self._per_address, place):
            raise TooManyTriesError(_TOO_MANY)
        is_usual = not self._limiter.test(self._good, place, account)
        if not is_usual and not self._limiter.hit(self._per_account, account):
            raise TooManyTriesError(_TOO_MANY)

    def remember(self, address: str, account: str) -> None:
        """That this account has logged in from this address."""
        self._limiter.hit(self._good, _place(address), account)


def _place(address: str) -> str:
    """What one attacker has to himself: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return str(parsed)
