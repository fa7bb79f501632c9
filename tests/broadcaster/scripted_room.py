"""Seats that behave as a script says, as their reports show it; for the tests of those who judge reports."""

from dataclasses import dataclass, field
from typing import Any

from protocol.messages import ReceiverReport, ReceiverState
from tests.sample_messages import report

REPORT_INTERVAL = 0.5
DATAGRAM_LENGTH = 1450


@dataclass
class ScriptedSeat:
    """How one seat takes what the group is sent; change the fields at any time."""

    number: int
    loss_ratio: float = 0.0
    is_dark: bool = False
    """whether nothing at all arrives"""
    changes: dict[str, Any] = field(default_factory=dict)
    """fields of its reports"""
    grows: dict[str, float] = field(default_factory=dict)
    """fields of its reports that grow by so much a second"""
    expected: float = 0.0
    lost: float = 0.0
    received: float = 0.0
    grown: dict[str, float] = field(default_factory=dict)

    def live(self, seconds: float, datagrams: float, *, is_first_pass: bool) -> None:
        """Take its part of so many datagrams."""
        loss_ratio = 1.0 if self.is_dark else self.loss_ratio
        if is_first_pass and not self.is_dark:  # a seat in the dark learns of the pass from the status alone
            self.expected += datagrams
            self.lost += datagrams * loss_ratio
        self.received += datagrams * (1 - loss_ratio) * DATAGRAM_LENGTH
        for name, rate in self.grows.items():
            self.grown[name] = self.grown.get(name, 0.0) + rate * seconds

    def report(self, sequence: int) -> ReceiverReport:
        """What it says of itself now."""
        return report(
            self.number,
            sequence,
            **{
                "state": ReceiverState.RECEIVING,
                "has_manifest": True,
                "symbols_expected": round(self.expected),
                "symbols_lost": round(self.lost),
                "bytes_received": round(self.received),
                **{name: round(value) for name, value in self.grown.items()},
                **self.changes,
            },
        )


class ScriptedRoom:
    """Time, the group and its seats."""

    def __init__(self, *seats: ScriptedSeat, bits_per_second: float = 900e6) -> None:
        self.seats = {seat.number: seat for seat in seats}
        self.datagrams_per_second = bits_per_second / 8 / DATAGRAM_LENGTH
        self.is_first_pass = True
        self.now = 100.0
        self.sent = 0.0
        self.sequence = 0

    @property
    def datagrams_sent(self) -> int:
        return round(self.sent)

    @property
    def bytes_sent(self) -> int:
        return self.datagrams_sent * DATAGRAM_LENGTH

    def step(self, seconds: float = REPORT_INTERVAL) -> list[ReceiverReport]:
        """Let time pass; the reports that the seats then send, in the order of their numbers."""
        self.now += seconds
        self.sequence += 1
        datagrams = self.datagrams_per_second * seconds
        self.sent += datagrams
        for seat in self.seats.values():
            seat.live(seconds, datagrams, is_first_pass=self.is_first_pass)
        return [seat.report(self.sequence) for seat in self.seats.values()]


def good_seats(*numbers: int) -> list[ScriptedSeat]:
    """Seats without any trouble."""
    return [ScriptedSeat(number) for number in numbers]
