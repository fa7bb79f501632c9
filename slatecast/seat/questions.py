"""Questions that a key puts at a seat: nothing is done before another key says yes, and soon."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from protocol.seat_api import RestoreOffer
from slatecast.cli.keyboard import ESCAPE

QUESTION_PATIENCE: Final = 30.0
"""[s] How long a question waits for its answer: whoever walks away leaves nothing behind that the next key would do."""

YES: Final = "y"

STOP_KEYS: Final = frozenset({"a", ESCAPE})
"""Each stops a countdown at once."""


class QuestionKind(Enum):
    """What may be asked for, in the order in which a key is understood; with the keys that ask."""

    BREAK_OFF = ("break off", frozenset({"a", ESCAPE}))
    STOP_CAPTURE = ("stop the capture", frozenset({"a", ESCAPE}))
    RESTORE = ("restore", frozenset({"r"}))
    RESTART = ("restart", frozenset({"b"}))
    POWER_OFF = ("power off", frozenset({"q"}))

    @property
    def keys(self) -> frozenset[str]:
        """Which keys put it."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Question:
    """One that waits for its answer."""

    kind: QuestionKind
    asked_at: float
    """monotonic seconds"""
    offer: RestoreOffer | None = None
    """what was shown when it was put"""

    def is_stale(self, now: float) -> bool:
        """Whether nobody has answered in time."""
        return now - self.asked_at >= QUESTION_PATIENCE
