"""Virtual time: callbacks in the order of their times, ties in the order of scheduling."""

import hashlib
import heapq
from collections.abc import Callable
from itertools import count


class Schedule:
    """Runs callbacks at virtual times; ``trace`` hashes what happened, so that two runs can be compared."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._ties = count()
        self._trace = hashlib.blake2b()

    def after(self, delay: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now + delay, next(self._ties), callback))

    def note(self, what: str) -> None:
        self._trace.update(f"{self.now!r} {what}\n".encode())

    @property
    def trace(self) -> str:
        return self._trace.hexdigest()

    def run(self, until: Callable[[], bool], limit: float) -> bool:
        """Run until the condition holds; False if time reached ``limit`` first."""
        while not until():
            if not self._heap or self.now > limit:
                return False
            self.now, _, callback = heapq.heappop(self._heap)
            callback()
        return True
