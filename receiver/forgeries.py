"""Says when datagrams without a good tag come in a flood, in one line a minute and never one for each. Pure.

A few are bits that turned on the way. Many are somebody who does not know the session secret, and who costs work and no
byte (RFC 6584 section 7.1: report, and do not answer each).
"""

from typing import Final

FLOOD_PER_SECOND: Final = 1000.0
"""[1/s] Datagrams: a cable that turns one bit in 10^9 spoils 12 of the 84,000 a second of 1 Gbit/s."""

WARNING_INTERVAL: Final = 60.0
"""[s] Between two warnings: a log must not be what the flood fills."""

MEASURED_SECONDS: Final = 1.0
"""[s] Over which the rate is taken, so that one burst of noise is no flood."""


class ForgeryWatch:
    """The flood at one seat, if there is one."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._count_then = 0
        self._silent_until = now

    def warning(self, rejected_count: int, now: float) -> str | None:
        """What to warn of, or None; ``rejected_count`` is how many datagrams had no good tag since the beginning."""
        passed = now - self._since
        if passed < MEASURED_SECONDS:
            return None
        rate = (rejected_count - self._count_then) / passed
        self._since, self._count_then = now, rejected_count
        if rate <= FLOOD_PER_SECOND or now < self._silent_until:
            return None
        self._silent_until = now + WARNING_INTERVAL
        return (
            f"{rate:,.0f} forged datagrams a second come to the group, and are dropped: "
            "somebody on this network disturbs the session, or a cable or switch breaks what it carries"
        )
