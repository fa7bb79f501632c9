"""A broker with faults: messages are lost, delayed, duplicated, and all state is gone after a crash."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from protocol.messages import Message, Presence, decode_message, encode_message, topic_of
from tests.simulator.schedule import Schedule

RECONNECT_SECONDS = 0.5


@dataclass(slots=True)
class BrokerFaults:
    """What happens to messages."""

    loss_ratio: float = 0.0
    duplicate_ratio: float = 0.0
    delay_seconds: float = 0.02
    """delay is drawn from 0 to this"""


class SimulatedBroker:
    """Every message goes to every connected party, as the two topic filters of the real parties do."""

    def __init__(self, schedule: Schedule, rng: random.Random, faults: BrokerFaults) -> None:
        self._schedule = schedule
        self._rng = rng
        self._faults = faults
        self._parties: dict[str, Callable[[Message], None]] = {}
        self._wills: dict[str, Presence] = {}
        self._retained: dict[str, bytes] = {}
        self._is_up = True
        self.faults_end_at = float("inf")

    def connect(self, name: str, receive: Callable[[Message], None], will: Presence | None = None) -> None:
        """Connect, and learn what is retained; while the broker is down, try again."""
        if not self._is_up:
            self._schedule.after(RECONNECT_SECONDS, lambda: self.connect(name, receive, will))
            return
        self._parties[name] = receive
        if will is not None:
            self._wills[name] = will
        for topic, payload in self._retained.items():
            self._deliver_later(name, topic, payload)

    def cut(self, name: str) -> None:
        """The party is gone without a word: its last will speaks."""
        self._parties.pop(name, None)
        will = self._wills.pop(name, None)
        if will is not None:
            self.publish(will, retain=True)

    def crash(self, seconds: float) -> None:
        """Down for so long, then up and empty; the parties connect again by themselves."""
        self._is_up = False
        parties, self._parties = self._parties, {}
        self._retained.clear()
        self._schedule.after(seconds, self._come_up)
        for name, receive in parties.items():
            will = self._wills.get(name)
            self._schedule.after(
                self._rng.uniform(0, RECONNECT_SECONDS),
                lambda name=name, receive=receive, will=will: self.connect(name, receive, will),  # type: ignore[misc]  # mypy cannot type default arguments of a lambda
            )

    def publish(self, message: Message, *, retain: bool = False) -> None:
        if not self._is_up:
            return
        topic, payload = topic_of(message), encode_message(message)
        if retain:
            self._retained[topic] = payload
        for name in self._parties:
            for _ in range(self._copies()):
                self._deliver_later(name, topic, payload)

    def forget(self, topic: str) -> None:
        self._retained.pop(topic, None)

    def _come_up(self) -> None:
        self._is_up = True

    def _copies(self) -> int:
        if self._schedule.now >= self.faults_end_at:
            return 1
        if self._rng.random() < self._faults.loss_ratio:
            return 0
        return 2 if self._rng.random() < self._faults.duplicate_ratio else 1

    def _deliver_later(self, name: str, topic: str, payload: bytes) -> None:
        def deliver() -> None:
            receive = self._parties.get(name)
            if receive is not None:
                receive(decode_message(topic, payload))

        self._schedule.after(self._rng.uniform(0.0005, self._faults.delay_seconds), deliver)
