"""How long a receiver that is done repeats its final report, while nobody acknowledges it. Pure."""

from typing import Final

FAREWELL_LIMIT: Final = 15.0
"""[s] How long a final report is repeated when nobody acknowledges it: longer than a broker's restart."""

LONGEST_FAREWELL: Final = 30.0
"""[s] The same while the broker is away: a cast that ended took it along, one that was killed is back sooner."""


class Farewell:
    """The end of one session, from its final state on."""

    def __init__(self) -> None:
        self._began_at: float | None = None
        self._unheard_until = 0.0

    def is_over(self, now: float, *, is_connected: bool) -> bool:
        """Whether to give up; to be asked again and again from the final state on, first when it is entered.

        While the broker is away nobody can hear the report, so that this time hardly counts.
        """
        if self._began_at is None:
            self._began_at = self._unheard_until = now
        if not is_connected:
            self._unheard_until = now
        return now - self._unheard_until > FAREWELL_LIMIT or now - self._began_at > LONGEST_FAREWELL
