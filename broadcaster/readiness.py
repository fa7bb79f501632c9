"""When a session starts: its policy, and when the room knows enough of what it misses. Pure: no time but ``now``.

Waiting for the scans of all disks saves sending what is there already; waiting too long costs more than it saves. So
nobody is waited for longer than sending everything would take, a seat much slower than half of the room is not waited
for, and nothing is waited for once it is clear that everything must be sent. A seat that still counts down is no
ready one: the wait lasts until it is, but a seat that comes late and counts down holds up nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from broadcaster.roster import Roster, Seat

MANIFEST_PATIENCE: Final = 10.0
"""[s] After that the seats without a manifest catch up during DISK: none may hold up the room."""

RESUME_PATIENCE: Final = 2.0
"""[s] A seat of before a restart that has not spoken by then is not waited for: all others are back within one."""

SCAN_PATIENCE: Final = 5.0
"""[s] A scan is waited for at least so long, and so much longer than half of the room took, or a quarter of that."""


ARMING_PATIENCE: Final = 30.0
"""[s] So long a wait that is over goes on for seats that count down: three times the usual countdown."""


@dataclass(frozen=True, slots=True)
class StartPolicy:
    """When to begin: with ``expected_seats`` ready at once, after ``wait_seconds`` with whoever is there."""

    expected_seats: int
    wait_seconds: float

    def may_start(self, roster: Roster, waited: float, now: float) -> bool:
        """Whether to start with the seats that are ready; ``waited`` is for how many seconds they could come."""
        ready = len(roster.armed(now))
        if ready + len(roster.settled_ids()) >= self.expected_seats:
            return ready > 0
        has_arming = len(roster.awaited(now)) > ready
        return ready > 0 and waited >= self.wait_seconds + (ARMING_PATIENCE if has_arming else 0.0)


class Readiness:
    """What one session waits for between manifest and disk."""

    def __init__(self, stored_bytes: int) -> None:
        self._stored_bytes = stored_bytes
        self._manifest_left_at: float | None = None
        self._half_known_at: float | None = None

    def manifest_left(self, now: float) -> None:
        """The last block of object 0 has left in its first pass."""
        if self._manifest_left_at is None:
            self._manifest_left_at = now

    def begin_anew(self, now: float) -> None:
        """What was planned is started: until now nobody was waited for."""
        self._half_known_at = None
        if self._manifest_left_at is not None:
            self._manifest_left_at = now

    def excuse(self, seconds: float) -> None:
        """For so long nobody could be heard: it does not count as patience."""
        if self._manifest_left_at is not None:
            self._manifest_left_at += seconds
        if self._half_known_at is not None:
            self._half_known_at += seconds

    def may_start(
        self,
        seats: Sequence[Seat],
        known: Sequence[int],
        *,
        block_count: int,
        rate_bits_per_second: int,
        now: float,
    ) -> bool:
        """Whether to start with the disk.

        Args:
            seats: the seats that multicast serves.
            known: what each seat misses that has said so, as bitmaps.
            block_count: blocks of the disk.
            rate_bits_per_second: at which everything would be sent.
            now: monotonic seconds.
        """
        armed = [seat for seat in seats if not seat.is_arming]
        if self._manifest_left_at is None or (seats and not armed):
            return False
        seats = armed
        must_send_all = any(missing.bit_count() == block_count for missing in known)
        if len(known) == len(seats) or (must_send_all and all(seat.report.has_manifest for seat in seats)):
            return True
        waited = now - self._manifest_left_at
        if waited >= RESUME_PATIENCE:
            seats = [seat for seat in seats if not seat.is_unheard]
            if not seats or len(known) == len(seats):
                return bool(seats)
        if 2 * len(known) >= len(seats) and self._half_known_at is None:
            self._half_known_at = now
        patience = max(SCAN_PATIENCE, self._stored_bytes * 8 / rate_bits_per_second)
        if not any(seat.report.has_manifest and not seat.report.has_scanned for seat in seats):
            patience = MANIFEST_PATIENCE
        if self._half_known_at is not None:
            half = self._half_known_at - self._manifest_left_at
            patience = min(patience, half + max(SCAN_PATIENCE, half / 4))
        return waited >= patience


def told(seats: Sequence[Seat], block_count: int) -> list[int]:
    """What each of these seats misses that has said so in full, as bitmaps of ``block_count`` blocks."""
    known = (seat for seat in seats if seat.report.has_scanned and seat.inventory.is_complete(block_count))
    return [seat.inventory.missing for seat in known]
