"""Whose turn it is to use the seat's disk: a session that writes, a capture that reads, or the steps behind a session.

Never two of them. The one gate in front of a session's first write waits here until a capture that was told to stop has
stopped; whoever has no turn has no disk.
"""

import threading
from collections.abc import Callable
from typing import Final

LOOK_AGAIN: Final = 0.1
"""[s] How often a session that waits looks whether it was stopped meanwhile."""


class DiskTurn:
    """One disk's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_sessions = False

    def take_for_session(self, should_stop: Callable[[], bool]) -> bool:
        """In a worker thread: wait until nobody else uses the disk; False once ``should_stop`` says so."""
        while not self._lock.acquire(timeout=LOOK_AGAIN):
            if should_stop():
                return False
        self._is_sessions = True
        return True

    def give_back_from_session(self) -> None:
        """The session has closed the disk, if it had it."""
        if self._is_sessions:
            self._is_sessions = False
            self._lock.release()

    def take(self) -> bool:
        """For whoever else wants the disk: False while it is not free."""
        return self._lock.acquire(blocking=False)

    def wait(self) -> None:
        """As ``take``, in a worker thread, and until it is free."""
        self._lock.acquire()

    def give_back(self) -> None:
        """Of whoever took it so."""
        self._lock.release()
