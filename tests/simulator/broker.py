"""A broker with faults: messages are lost, delayed, doubled and overtaken, connections break, and a crash forgets all.

Each machine has one line to it, as an MQTT link would behave: while the line is down its owner's messages wait in line,
the owner notices late that it is down, and connects again by itself.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from protocol.messages import Announcement, Message, MissingBlocks, Presence, encode_message, topic_of
from tests.simulator.schedule import Schedule

RECONNECT_SECONDS = 1.0
"""[s] A lost connection is tried again after a random time up to this."""

BROKER_PATIENCE = 7.5
"""[s] One and a half keep-alive intervals: then the broker gives a silent connection up, and the last will speaks."""

OUTBOX_LENGTH = 50
"""[messages] that wait while the broker is away; the oldest make room."""


@dataclass(slots=True)
class BrokerFaults:
    """What happens to messages."""

    loss_ratio: float = 0.0
    duplicate_ratio: float = 0.0
    delay_seconds: float = 0.02
    """delay is drawn from 0 to this"""
    is_orderly: bool = True
    """messages of one sender come in the order in which they were sent"""
    longest_notice: float = 0.5
    """[s] a line that is down is noticed after a random time up to this"""


@dataclass(frozen=True, slots=True)
class Party:
    """Who listens at the end of a line."""

    receive: Callable[[str, bytes], None]
    """told topic and payload of each message"""
    on_lost: Callable[[], None]
    on_restored: Callable[[], None]
    is_broadcaster: bool = False
    will: Presence | None = None


@dataclass(slots=True)
class _Line:
    party: Party
    is_connected: bool = False
    is_noticed: bool = False
    """the party knows that it is not connected"""
    outbox: list[tuple[str, bytes, bool]] = field(default_factory=list)
    held: list[tuple[str, bytes]] = field(default_factory=list)
    """what the broker has sent into a cable that is cut"""
    newest_at: float = 0.0
    """s, when the newest message of an orderly broker arrives"""


class SimulatedBroker:
    """Receivers hear what broadcasters say, and broadcasters what receivers say."""

    def __init__(self, schedule: Schedule, rng: random.Random, faults: BrokerFaults) -> None:
        self._schedule = schedule
        self._rng = rng
        self._faults = faults
        self._lines: dict[str, _Line] = {}
        self._cut_cables: set[str] = set()
        self._retained: dict[str, bytes] = {}
        self._is_up = True
        self.faults_end_at = float("inf")

    def connect(self, machine: str, party: Party) -> None:
        """Open a line for ``machine``; as long as that cannot be, it is tried again."""
        self._lines[machine] = line = _Line(party, is_noticed=True)
        party.on_lost()
        self._try_to_connect(machine, line)

    def disconnect(self, machine: str, *, will_after: float | None = 0.0) -> None:
        """The program at the end of the line is gone; its last will speaks after so many seconds, if at all."""
        line = self._lines.pop(machine, None)
        if line is None or line.party.will is None or will_after is None:
            return
        will = line.party.will
        self._schedule.after(will_after, lambda: self._take(topic_of(will), encode_message(will), retain=True))

    def publish(self, machine: str, message: Message) -> None:
        """Send a message, now or when the line is up again."""
        topic, line = topic_of(message), self._lines.get(machine)
        if line is not None and not isinstance(message, MissingBlocks):  # of those each says only a part
            line.outbox = [waiting for waiting in line.outbox if waiting[0] != topic]
        self.publish_raw(machine, topic, encode_message(message), retain=isinstance(message, Announcement | Presence))

    def publish_raw(self, machine: str, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send any bytes on any topic."""
        line = self._lines.get(machine)
        if line is None:
            return
        if not line.is_connected or machine in self._cut_cables:
            line.outbox.append((topic, payload, retain))
            del line.outbox[:-OUTBOX_LENGTH]
        else:
            self._take(topic, payload, retain=retain)

    def crash(self, seconds: float) -> None:
        """Down for so long, then up and empty."""
        self._is_up = False
        self._retained.clear()
        for machine, line in self._lines.items():
            if line.is_connected:
                self._break(machine, line)
        self._schedule.after(seconds, self._come_up)

    def cut_cable(self, machine: str) -> None:
        """Nothing passes between this machine and the broker until ``mend_cable``; neither side is told."""
        self._cut_cables.add(machine)
        line = self._lines.get(machine)
        if line is None or not line.is_connected:
            return
        self._schedule.after(BROKER_PATIENCE, lambda: self._give_up_if_cut(machine, line))
        self._schedule.after(self._rng.uniform(5.0, 10.0), lambda: self._notice_if_cut(machine, line))

    def mend_cable(self, machine: str) -> None:
        """What both sides sent meanwhile arrives late, unless one of them has given the connection up."""
        self._cut_cables.discard(machine)
        line = self._lines.get(machine)
        if line is None:
            return
        held, line.held = line.held, []
        if line.is_connected and not line.is_noticed:
            for topic, payload in held:
                self._deliver_later(machine, topic, payload)
            self._flush(line)
        elif line.is_connected:
            # The broker ends the old connection, and its will, before it takes the new one.
            self._speak_will(line)
            line.is_connected = False
        elif not line.is_noticed:
            self._notice(machine, line)

    def forget(self, topic: str) -> None:
        """Clear what is retained on ``topic``."""
        self._retained.pop(topic, None)

    def _try_to_connect(self, machine: str, line: _Line) -> None:
        if self._lines.get(machine) is not line or line.is_connected:
            return
        if not self._is_up or machine in self._cut_cables:
            self._schedule.after(self._rng.uniform(0.1, RECONNECT_SECONDS), lambda: self._try_to_connect(machine, line))
            return
        line.is_connected, line.is_noticed = True, False
        for topic, payload in self._retained.items():
            self._offer(machine, line, topic, payload)
        line.party.on_restored()
        self._flush(line)

    def _break(self, machine: str, line: _Line) -> None:
        line.is_connected = False
        longest = self._faults.longest_notice if self._schedule.now < self.faults_end_at else 0.5
        self._schedule.after(self._rng.uniform(0.0, longest), lambda: self._notice(machine, line))

    def _notice(self, machine: str, line: _Line) -> None:
        if self._lines.get(machine) is line and not line.is_noticed and not line.is_connected:
            line.is_noticed = True
            line.party.on_lost()
            self._schedule.after(self._rng.uniform(0.0, RECONNECT_SECONDS), lambda: self._try_to_connect(machine, line))

    def _notice_if_cut(self, machine: str, line: _Line) -> None:
        if machine not in self._cut_cables or self._lines.get(machine) is not line or line.is_noticed:
            return
        line.is_noticed = True
        line.party.on_lost()
        self._schedule.after(self._rng.uniform(0.0, RECONNECT_SECONDS), lambda: self._reconnect(machine, line))

    def _reconnect(self, machine: str, line: _Line) -> None:
        if machine not in self._cut_cables and line.is_connected:
            line.is_connected = False
        if line.is_connected:  # the broker still believes in the old connection
            self._schedule.after(self._rng.uniform(0.1, RECONNECT_SECONDS), lambda: self._reconnect(machine, line))
            return
        self._try_to_connect(machine, line)

    def _give_up_if_cut(self, machine: str, line: _Line) -> None:
        if machine in self._cut_cables and self._lines.get(machine) is line and line.is_connected:
            line.is_connected = False
            line.held.clear()
            self._speak_will(line)

    def _speak_will(self, line: _Line) -> None:
        if line.party.will is not None:
            self._take(topic_of(line.party.will), encode_message(line.party.will), retain=True)

    def _flush(self, line: _Line) -> None:
        waiting, line.outbox = line.outbox, []
        for topic, payload, retain in waiting:
            self._take(topic, payload, retain=retain)

    def _take(self, topic: str, payload: bytes, *, retain: bool) -> None:
        if not self._is_up:
            return
        if retain:
            self._retained[topic] = payload
        for machine, line in self._lines.items():
            if line.is_connected:
                self._offer(machine, line, topic, payload)

    def _offer(self, machine: str, line: _Line, topic: str, payload: bytes) -> None:
        is_for_broadcaster = "/receivers/" in topic and not topic.endswith("/ticket")
        if line.party.is_broadcaster is not is_for_broadcaster:
            return
        if machine in self._cut_cables:
            line.held.append((topic, payload))
            return
        for _ in range(self._copies()):
            self._deliver_later(machine, topic, payload)

    def _come_up(self) -> None:
        self._is_up = True

    def _copies(self) -> int:
        if self._schedule.now >= self.faults_end_at:
            return 1
        if self._rng.random() < self._faults.loss_ratio:
            return 0
        return 2 if self._rng.random() < self._faults.duplicate_ratio else 1

    def _deliver_later(self, machine: str, topic: str, payload: bytes) -> None:
        line = self._lines[machine]

        def deliver() -> None:
            if self._lines.get(machine) is line and line.is_connected:
                if machine in self._cut_cables:
                    line.held.append((topic, payload))
                else:
                    line.party.receive(topic, payload)

        longest = self._faults.delay_seconds if self._schedule.now < self.faults_end_at else 0.02
        arrives_at = self._schedule.now + self._rng.uniform(0.0005, longest)
        if self._faults.is_orderly:
            arrives_at = line.newest_at = max(line.newest_at, arrives_at)
        self._schedule.after(arrives_at - self._schedule.now, deliver)
