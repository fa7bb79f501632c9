"""Multicast with faults: loss, bursts, delay, reorder, duplicates and corrupted bits, for each receiver by itself."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.simulator.schedule import Schedule


@dataclass(slots=True)
class LinkFaults:
    """What happens to datagrams on the way to one receiver."""

    loss_ratio: float = 0.0
    burst_start_ratio: float = 0.0
    """chance that a datagram begins a burst in which everything is lost"""
    burst_length: int = 0
    """datagrams"""
    duplicate_ratio: float = 0.0
    corrupt_ratio: float = 0.0
    reorder_seconds: float = 0.0
    """delay is drawn from 0 to this, so datagrams overtake each other"""
    is_black_hole: bool = False
    """nothing arrives, ever: a switch that forwards MQTT and no multicast"""


class SimulatedMulticast:
    """One group; every datagram goes to every receiver that has joined."""

    def __init__(self, schedule: Schedule, rng: random.Random) -> None:
        self._schedule = schedule
        self._rng = rng
        self._members: dict[str, tuple[Callable[[bytes], None], LinkFaults]] = {}
        self._burst_left: dict[str, int] = {}
        self.faults_end_at = float("inf")

    def join(self, name: str, deliver: Callable[[bytes], None], faults: LinkFaults) -> None:
        self._members[name] = (deliver, faults)
        self._burst_left[name] = 0

    def leave(self, name: str) -> None:
        self._members.pop(name, None)

    def send(self, datagram: bytes) -> None:
        for name, (_, faults) in self._members.items():
            if faults.is_black_hole:
                continue
            if self._schedule.now >= self.faults_end_at:
                self._deliver_later(name, datagram, 0.0)
            elif not self._is_lost(name, faults):
                self._deliver_with_faults(name, datagram, faults)

    def _is_lost(self, name: str, faults: LinkFaults) -> bool:
        if self._burst_left[name] > 0:
            self._burst_left[name] -= 1
            return True
        if self._rng.random() < faults.burst_start_ratio:
            self._burst_left[name] = faults.burst_length
            return True
        return self._rng.random() < faults.loss_ratio

    def _deliver_with_faults(self, name: str, datagram: bytes, faults: LinkFaults) -> None:
        if self._rng.random() < faults.corrupt_ratio:
            position = self._rng.randrange(len(datagram))
            flipped = datagram[position] ^ (1 << self._rng.randrange(8))
            datagram = datagram[:position] + bytes([flipped]) + datagram[position + 1 :]
        copies = 2 if self._rng.random() < faults.duplicate_ratio else 1
        for _ in range(copies):
            self._deliver_later(name, datagram, self._rng.uniform(0, faults.reorder_seconds))

    def _deliver_later(self, name: str, datagram: bytes, extra_delay: float) -> None:
        def deliver() -> None:
            member = self._members.get(name)
            if member is not None:
                member[0](datagram)

        self._schedule.after(0.0002 + extra_delay, deliver)
