"""How far each chunk has come on its way to the disk; the proof that nothing is committed unverified.

    any       --start_write--> MISSING --finish_write--> WRITTEN --start_sync--> SYNCING --finish_sync--> SYNCED
    SYNCED    --verify(match)--> VERIFIED        SYNCED    --verify(no match)--> MISSING
    UNTOUCHED --adopt--> VERIFIED                any       --hold--> HELD

A chunk that is written while an fsync runs stays WRITTEN: the fsync says nothing about it. No way leads back to
UNTOUCHED, so ``adopt`` can never prove a chunk by bytes that were read before somebody began to write it. Holds one
byte for each chunk (200 GiB: 0.8 MB), knows nothing of bytes or disks, and may be called by any thread.
"""

from collections.abc import Iterable
from enum import IntEnum
from threading import Lock
from typing import Final


class ChunkState(IntEnum):
    """Where the bytes of a chunk are."""

    UNTOUCHED = 0
    """nobody has begun to write it in this cast; what the disk holds there is not known"""
    MISSING = 1
    """not on the disk, or half"""
    WRITTEN = 2
    """given to the operating system"""
    SYNCING = 3
    """an fsync that covers it runs"""
    SYNCED = 4
    """the disk says that it has it"""
    VERIFIED = 5
    """read from the disk, after an fsync that covers it, and equal"""
    HELD = 6
    """kept in memory until commit, which verifies it itself"""


_START_SYNC: Final = bytes.maketrans(bytes([ChunkState.WRITTEN]), bytes([ChunkState.SYNCING]))
_FINISH_SYNC: Final = bytes.maketrans(bytes([ChunkState.SYNCING]), bytes([ChunkState.SYNCED]))


class ChunkLedger:
    """States of ``count`` chunks (or other parts of the disk), by index."""

    def __init__(self, count: int) -> None:
        self._states = bytearray(count)
        self._lock = Lock()

    def start_write(self, index: int) -> None:
        """From here to ``finish_write`` the disk may hold anything."""
        with self._lock:
            self._states[index] = ChunkState.MISSING

    def finish_write(self, index: int) -> None:
        """The operating system took all bytes."""
        with self._lock:
            self._states[index] = ChunkState.WRITTEN

    def hold(self, index: int) -> None:
        """The bytes are in memory until commit."""
        with self._lock:
            self._states[index] = ChunkState.HELD

    def untouched(self, indexes: Iterable[int]) -> list[int]:
        """Those that nobody has begun to write."""
        with self._lock:
            return [index for index in indexes if self._states[index] == ChunkState.UNTOUCHED]

    def adopt(self, indexes: Iterable[int]) -> list[int]:
        """Note chunks that the disk was found to hold; gives those that nobody had begun to write, now VERIFIED."""
        with self._lock:
            adopted = [index for index in indexes if self._states[index] == ChunkState.UNTOUCHED]
            for index in adopted:
                self._states[index] = ChunkState.VERIFIED
        return adopted

    def start_sync(self) -> None:
        """Call before fsync: what is written now is covered by it."""
        with self._lock:
            self._states = self._states.translate(_START_SYNC)

    def finish_sync(self) -> None:
        """Call after fsync succeeded."""
        with self._lock:
            self._states = self._states.translate(_FINISH_SYNC)

    def verify(self, index: int, *, matches: bool) -> None:
        """Note what reading back a synced chunk found; a chunk that was written again meanwhile stays as it is."""
        with self._lock:
            if self._states[index] == ChunkState.SYNCED:
                self._states[index] = ChunkState.VERIFIED if matches else ChunkState.MISSING

    def having(self, state: ChunkState) -> list[int]:
        """The indexes in this state, ascending."""
        with self._lock:
            states = bytes(self._states)
        return [index for index, value in enumerate(states) if value == state]

    def count(self, states: Iterable[ChunkState]) -> int:
        """How many are in one of these states."""
        with self._lock:
            return sum(self._states.count(state) for state in states)

    def __getitem__(self, index: int) -> ChunkState:
        with self._lock:
            return ChunkState(self._states[index])

    def __len__(self) -> int:
        return len(self._states)
