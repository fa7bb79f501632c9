"""How long a stage still takes, from how far it has come since it began. Pure."""

from typing import Final

ENOUGH_DONE: Final = 0.02
"""Of a stage, before its end is foretold: earlier the guess would be wild."""

ENOUGH_SECONDS: Final = 3.0
"""[s] likewise"""


class Pace:
    """Of one stage at a time."""

    def __init__(self) -> None:
        self._stage = ""
        self._began_at = 0.0
        self._began_with = 0.0

    def seconds_left(self, stage: str, done: float | None, now: float) -> float | None:
        """Seconds until ``stage`` is over, ``done`` being 0 to 1; None while that cannot be told."""
        if done is None:
            self._stage = ""
            return None
        if stage != self._stage or done < self._began_with:
            self._stage, self._began_at, self._began_with = stage, now, done
        gone, come = now - self._began_at, done - self._began_with
        if gone < ENOUGH_SECONDS or come < ENOUGH_DONE:
            return None
        return gone / come * (1.0 - done)
