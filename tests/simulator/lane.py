"""The catch-up lane: one block on request to one seat, by the real encoder, late and sometimes not at all."""

import random
from collections.abc import Callable

from broadcaster.transmission import Transmission
from protocol.errors import IntegrityError
from receiver.events import Want
from tests.simulator.broadcaster import SimulatedBroadcaster
from tests.simulator.schedule import Schedule

Answer = Callable[[bytes | None], None]
"""told the sealed datagrams or the digests, or None where the block is damaged in the library"""


class SimulatedLane:
    """Serves all receivers of a room."""

    def __init__(self, schedule: Schedule, rng: random.Random, sender: SimulatedBroadcaster) -> None:
        self._schedule = schedule
        self._rng = rng
        self._sender = sender
        self._failure_ratio = rng.choice([0.0, 0.05, 0.3])
        self._longest_delay = rng.choice([0.01, 0.1, 0.5])
        self.cut_cables: set[str] = set()
        self.faults_end_at = float("inf")
        self.served = 0
        self.bytes_served = 0

    def fetch(self, machine: str, want: Want, on_answer: Answer, on_failure: Callable[[], None]) -> None:
        """Answer later, by one of the two calls."""

        def serve() -> None:
            is_lost = self._schedule.now < self.faults_end_at and self._rng.random() < self._failure_ratio
            if is_lost or machine in self.cut_cables or not self._sender.is_alive:
                on_failure()
                return
            answer = self._answer(want)
            self.served += 1
            self.bytes_served += len(answer or b"")
            on_answer(answer)

        self._schedule.after(self._rng.uniform(0.002, self._longest_delay), serve)

    def _answer(self, want: Want) -> bytes | None:
        length = self._sender.objects[want.toi].source_block_length(want.sbn)
        esis = range(length) if want.esis is None else want.esis
        transmission = Transmission(want.toi, want.sbn, length, esis, is_first_pass=False)
        self._schedule.note(f"fetch {transmission} {want.wants_digests}")
        try:
            if want.wants_digests:
                return self._sender.encoder.symbol_digests(transmission)
            return bytes(self._sender.encoder.encode(transmission).datagrams)
        except IntegrityError as error:
            self._sender.session.cannot_send(want.toi, want.sbn, str(error), self._schedule.now)
            return None
