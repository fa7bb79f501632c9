"""Multicast with faults: loss, bursts, delay, reorder, duplicates and corrupted bits, for each receiver by itself."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from protocol.wire import HEADER_LENGTH
from tests.simulator.schedule import Schedule

Deliver = Callable[[bytes, int], None]
"""Takes datagrams one after the other, and the length of each; only the last may be shorter."""


@dataclass(slots=True)
class LinkFaults:
    """What happens to datagrams on the way to one receiver."""

    loss_ratio: float = 0.0
    batch_loss_ratio: float = 0.0
    """chance that a whole batch is lost"""
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


@dataclass(slots=True)
class _Member:
    deliver: Deliver
    faults: LinkFaults
    burst_left: int = 0


class SimulatedMulticast:
    """One group; every batch of datagrams goes to every machine that has joined."""

    def __init__(self, schedule: Schedule, rng: random.Random, datagram_length: int) -> None:
        self._schedule = schedule
        self._rng = rng
        self._datagram_length = datagram_length
        self._members: dict[str, _Member] = {}
        self._sent: dict[bytes, int] = {}
        self.cut_cables: set[str] = set()
        self.faults_end_at = float("inf")
        self.contradictions: list[str] = []
        """symbols that were sealed twice with different bytes: a nonce that met two plaintexts"""

    def join(self, machine: str, deliver: Deliver, faults: LinkFaults) -> None:
        """Deliver what is sent from now on; joining twice changes nothing."""
        self._members.setdefault(machine, _Member(deliver, faults))

    def leave(self, machine: str) -> None:
        """Deliver nothing any more."""
        self._members.pop(machine, None)

    def send(self, parts: Sequence[memoryview], datagram_length: int) -> None:
        """Send a batch; only its last datagram may be shorter."""
        if any(len(part) % datagram_length for part in parts[:-1]):
            self.contradictions.append("a short datagram in the middle of a batch, which the kernel cannot send")
        datagrams = [
            bytes(part[start : start + datagram_length])
            for part in parts
            for start in range(0, len(part), datagram_length)
        ]
        for datagram in datagrams:
            self._check_nonce(datagram)
        for machine, member in self._members.items():
            if member.faults.is_black_hole or machine in self.cut_cables:
                continue
            if self._schedule.now >= self.faults_end_at:
                self._deliver_later(machine, datagrams, 0.0)
            elif self._rng.random() >= member.faults.batch_loss_ratio:
                arriving = [datagram for datagram in datagrams if not self._is_lost(member)]
                self._deliver_with_faults(machine, arriving, member.faults)

    def inject(self, datagrams: Sequence[bytes]) -> None:
        """Send what somebody else than the broadcaster has made; nothing happens to it on the way."""
        for machine in self._members:
            if not self._members[machine].faults.is_black_hole and machine not in self.cut_cables:
                self._deliver_later(machine, datagrams, 0.0)

    def _check_nonce(self, datagram: bytes) -> None:
        digest = hash(datagram)
        if self._sent.setdefault(datagram[:HEADER_LENGTH], digest) != digest:
            self.contradictions.append(f"symbol {datagram[:HEADER_LENGTH].hex()} was sent with two contents")

    def _is_lost(self, member: _Member) -> bool:
        faults = member.faults
        if member.burst_left > 0:
            member.burst_left -= 1
            return True
        if faults.burst_start_ratio and self._rng.random() < faults.burst_start_ratio:
            member.burst_left = faults.burst_length
            return True
        return faults.loss_ratio > 0 and self._rng.random() < faults.loss_ratio

    def _deliver_with_faults(self, machine: str, datagrams: list[bytes], faults: LinkFaults) -> None:
        if faults.corrupt_ratio:
            datagrams = [self._corrupted(each, faults.corrupt_ratio) for each in datagrams]
        if faults.reorder_seconds:
            for datagram in datagrams:
                self._deliver_later(machine, [datagram], self._rng.uniform(0, faults.reorder_seconds))
        else:
            self._deliver_later(machine, datagrams, 0.0)
        doubles = [each for each in datagrams if faults.duplicate_ratio and self._rng.random() < faults.duplicate_ratio]
        self._deliver_later(machine, doubles, self._rng.uniform(0, faults.reorder_seconds))

    def _corrupted(self, datagram: bytes, ratio: float) -> bytes:
        if self._rng.random() >= ratio:
            return datagram
        position = self._rng.randrange(len(datagram))
        flipped = datagram[position] ^ (1 << self._rng.randrange(8))
        return datagram[:position] + bytes([flipped]) + datagram[position + 1 :]

    def _deliver_later(self, machine: str, datagrams: Sequence[bytes], extra_delay: float) -> None:
        def deliver() -> None:
            member = self._members.get(machine)
            if member is None or machine in self.cut_cables:
                return
            # As the kernel does it: datagrams of one length together, a shorter one ends its batch.
            for is_full, run in groupby(datagrams, lambda each: len(each) == self._datagram_length):
                if is_full:
                    member.deliver(b"".join(run), self._datagram_length)
                else:
                    for datagram in run:
                        member.deliver(datagram, self._datagram_length)

        if datagrams:
            self._schedule.after(0.0002 + extra_delay, deliver)
