"""A hostile receiver: it reports once, so that it is heard, and then talks nonsense, more or less fast."""

import random

from protocol.messages import TOPIC_ROOT, MissingBlocks, ReceiverReport, encode_message, topic_of
from tests.sample_messages import repair_request, report
from tests.simulator.broker import Party, SimulatedBroker
from tests.simulator.schedule import Schedule

MACHINE = "hostile"


class HostileReceiver:
    """Speaks until ``ends_at``, then it is silent for good."""

    def __init__(
        self, schedule: Schedule, broker: SimulatedBroker, rng: random.Random, tsi: str, ends_at: float
    ) -> None:
        self._schedule = schedule
        self._broker = broker
        self._rng = rng
        self._tsi = tsi
        self._ends_at = ends_at
        self.began_at = schedule.now
        """s"""
        self._interval = rng.choice([0.3, 0.05, 0.01])
        self.receiver_id = f"{rng.getrandbits(128):032x}"
        self._sequence = 0
        broker.connect(MACHINE, Party(lambda topic, payload: None, lambda: None, lambda: None))
        schedule.after(0.3, self._speak)

    @property
    def is_flood(self) -> bool:
        """Whether it says more than any honest receiver."""
        return self._interval < 0.02

    def _speak(self) -> None:
        if self._schedule.now > self._ends_at:
            self._broker.disconnect(MACHINE)
            return
        self._sequence += 1
        if self._sequence % 20 == 1:
            self._broker.publish(MACHINE, self._report())
        else:
            topic, payload = self._nonsense()
            self._broker.publish_raw(MACHINE, topic, payload)
        self._schedule.after(self._interval, self._speak)

    def _report(self) -> ReceiverReport:
        return report(tsi=self._tsi, receiver_id=self.receiver_id, seat="hostile", sequence=self._sequence)

    def _nonsense(self) -> tuple[str, bytes]:
        kind = self._rng.randrange(5)
        if kind == 0:
            return f"{TOPIC_ROOT}/receivers/{self.receiver_id}/repair", self._rng.randbytes(40)
        if kind == 1:
            missing = MissingBlocks(
                tsi=self._tsi,
                receiver_id=self.receiver_id,
                sequence=self._sequence,
                first_sbn=0,
                block_count=self._rng.randrange(1, 1000),
                bitmap=self._rng.randbytes(20),
            )
            return topic_of(missing), encode_message(missing)
        first = self._rng.randrange(1 << 32)
        request = repair_request(
            tsi=self._tsi if kind > 2 else "00" * 8,
            receiver_id=self.receiver_id,
            sequence=self._sequence,
            toi=self._rng.randrange(2),
            deficits=((self._rng.randrange(1000, 1 << 32), 191), (0, 191)) if kind == 3 else (),
            absent=((first, max(0, first - 7)),) if self._rng.random() < 0.5 else ((0, (1 << 32) - 1),),
        )
        return topic_of(request), encode_message(request)
