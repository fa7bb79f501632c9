"""What was done to the disks of a session, asked for at most every few seconds for all pages together."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

AFTERCARE_AGE: Final = 3.0
"""[s] for which an answer stands: steps take seconds, so nobody sees less by it."""

MAX_KEPT: Final = 64
"""[sessions] whose last answers are kept; those that were asked for longest ago go first."""

Answer = dict[str, Any]
Fetch = Callable[[str, str], Coroutine[Any, Any, Answer]]
"""asks the broadcaster: tsi, operator"""


@dataclass(slots=True)
class _Asked:
    at: float
    answer: "asyncio.Task[Answer]"


class AftercareCache:
    """Answers of the last seconds; a refusal is kept as well. ``clock`` is monotonic seconds."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._asked: dict[str, _Asked] = {}

    async def get(self, tsi: str, operator: str) -> Answer:
        """The answer of the broadcaster, as old as AFTERCARE_AGE at most; raises what asking raises."""
        asked = self._asked.get(tsi)
        if asked is None or (asked.answer.done() and self._clock() - asked.at >= AFTERCARE_AGE):
            self._asked.pop(tsi, None)
            for oldest in list(self._asked)[: max(0, len(self._asked) + 1 - MAX_KEPT)]:
                del self._asked[oldest]
            asked = _Asked(self._clock(), asyncio.create_task(self._fetch(tsi, operator), name=f"aftercare {tsi}"))
            asked.answer.add_done_callback(_seen)
            self._asked[tsi] = asked
        # A page that is closed while it waits must not end the wait of the others.
        return await asyncio.shield(asked.answer)


def _seen(answer: "asyncio.Task[Answer]") -> None:
    """A refusal that nobody waits for any more is no fault of ours to be logged."""
    if not answer.cancelled():
        answer.exception()
