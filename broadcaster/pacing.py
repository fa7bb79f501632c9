"""Token bucket that is handed the time: says how long to wait before the next datagrams may leave. Never sleeps."""

from typing import Final

BURST_SECONDS: Final = 0.004
"""[s] Credit that a late wake-up may catch up with; 4 ms at 1 Gbit/s is 500 kB, which switches of labs still buffer."""


class Pacer:
    """Paces bytes to a rate that may change at any time."""

    def __init__(self, rate_bits_per_second: float, now: float) -> None:
        self._rate_bytes_per_second = rate_bits_per_second / 8
        self._ready_at = now

    def set_rate(self, rate_bits_per_second: float) -> None:
        """Use another rate from the next datagrams on."""
        self._rate_bytes_per_second = rate_bits_per_second / 8

    def wait_time(self, now: float) -> float:
        """Seconds until the next datagrams may leave, 0 if they may leave now."""
        return max(0.0, self._ready_at - now)

    def spend(self, length: int, now: float) -> None:
        """Account for ``length`` bytes that leave now."""
        start = max(self._ready_at, now - BURST_SECONDS)
        self._ready_at = start + length / self._rate_bytes_per_second
