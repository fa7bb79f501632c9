"""Draws a room and its faults from a seed, runs it, and says what must hold."""

import random
from dataclasses import dataclass

from broadcaster.session import StartPolicy
from protocol.messages import ReceiverState, SessionPhase
from tests.simulator.broker import BrokerFaults, SimulatedBroker
from tests.simulator.disk import draw_disk
from tests.simulator.image import SimulatedImage, draw_image
from tests.simulator.network import LinkFaults, SimulatedMulticast
from tests.simulator.room import SimulatedBroadcaster, SimulatedReceiver
from tests.simulator.schedule import Schedule

FAULTS_END = 12.0
"""[virtual s] After that the network and the broker are perfect, so every live receiver must finish."""

TIME_LIMIT = 100.0
"""[virtual s] No seed of the first 1,500 needs 20, or STALL more with a black hole; reaching it means stuck."""

BLACK_HOLE_RATIO = 0.02


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left behind."""

    seed: int
    virtual_seconds: float
    states: dict[str, ReceiverState | None]
    trace: str
    problems: list[str]


def run_seed(seed: int) -> Outcome:
    """One room, from the announcement to the end of the session."""
    rng = random.Random(seed)
    room = _Room(rng)
    room.plan_faults()
    ended = room.schedule.run(room.is_over, TIME_LIMIT)
    problems = room.problems()
    if not ended:
        problems.append("stuck: the session did not end")
    states = {receiver.seat: receiver.session.state if receiver.session else None for receiver in room.receivers}
    return Outcome(seed, room.schedule.now, states, room.schedule.trace, problems)


class _Room:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.schedule = Schedule()
        self.network = SimulatedMulticast(self.schedule, random.Random(rng.random()))
        self.broker = SimulatedBroker(self.schedule, random.Random(rng.random()), _draw_broker_faults(rng))
        self.network.faults_end_at = self.broker.faults_end_at = FAULTS_END
        self.image: SimulatedImage = draw_image(rng, rng.randrange(4, 28))
        self.seat_count = rng.randrange(1, 6)
        self.receivers: list[SimulatedReceiver] = []
        self.sender = SimulatedBroadcaster(
            self.schedule,
            self.network,
            self.broker,
            self.image,
            rng,
            StartPolicy(expected_seats=self.seat_count - rng.randrange(self.seat_count), wait_seconds=30.0),
            rate_bits_per_second=rng.choice([400_000, 2_000_000, 10_000_000]),
        )

    def plan_faults(self) -> None:
        for number in range(self.seat_count):
            seat = f"seat-{number}"
            joins_at = self.rng.uniform(0.0, 3.0) if self.rng.random() < 0.3 else self.rng.uniform(0.0, 0.1)
            faults = _draw_link_faults(self.rng)
            device = draw_disk(self.rng, self.schedule, self.image, 4096 * number)
            receiver_rng = random.Random(self.rng.random())
            self.schedule.after(
                joins_at,
                lambda seat=seat, faults=faults, device=device, rng=receiver_rng: self.receivers.append(  # type: ignore[misc]  # mypy cannot type default arguments of a lambda
                    SimulatedReceiver(self.schedule, self.network, self.broker, rng, device, faults, seat)
                ),
            )
        if self.rng.random() < 0.3:
            self.schedule.after(self.rng.uniform(0.5, 4.0), self._crash_somebody)
        if self.rng.random() < 0.3:
            outage = self.rng.uniform(0.1, 3.0)
            self.schedule.after(self.rng.uniform(0.1, 4.0), lambda: self.broker.crash(outage))

    def is_over(self) -> bool:
        return (
            self.sender.session.phase is SessionPhase.ENDED
            and len(self.receivers) == self.seat_count
            and all(receiver.is_alive for receiver in self.receivers)
        )

    def problems(self) -> list[str]:
        """Everything that must not be: a seat that is not what its disk allows, or an incomplete disk that boots."""
        found = []
        for receiver in self.receivers:
            state = receiver.session.state if receiver.session is not None else None
            disk = receiver.device.platter()
            is_complete = self.image.is_on(disk)
            if state is ReceiverState.VERIFIED and not is_complete:
                found.append(f"{receiver.seat}: verified, but the disk is not the image")
            if is_bootable(disk) and not is_complete:
                found.append(f"{receiver.seat}: bootable, but the disk is not the image")
            allowed = {ReceiverState.READY} if receiver.faults.is_black_hole else receiver.device.allowed_states
            if state not in allowed and not self._came_too_late(receiver):
                reason = receiver.session.reason if receiver.session is not None else ""
                found.append(f"{receiver.seat}: {state} in the end, {receiver.device.fault or 'good disk'}: {reason}")
        return found

    def _came_too_late(self, receiver: SimulatedReceiver) -> bool:
        """Whether it joined when every other seat was done, so that the session was over before it spoke."""
        session = self.sender.session
        in_time = (
            seat for seat in session.roster.seats() if session.ended_at is None or seat.joined_at < session.ended_at
        )
        return receiver.receiver_id not in {seat.report.receiver_id for seat in in_time}

    def _crash_somebody(self) -> None:
        if self.receivers:
            victim = self.rng.choice(self.receivers)
            victim.crash()
            self.schedule.after(self.rng.uniform(0.2, 4.0), victim.start)


def is_bootable(disk: bytes) -> bool:
    """Whether sector 0 has a boot signature; without one a GPT behind it counts for nothing (UEFI 2.10, 5.2.3)."""
    return disk[510:512] == b"\x55\xaa"


def _draw_link_faults(rng: random.Random) -> LinkFaults:
    return LinkFaults(
        loss_ratio=rng.choice([0.0, 0.0, 0.01, 0.05, 0.1, 0.3]),
        burst_start_ratio=rng.choice([0.0, 0.0, 0.002, 0.01]),
        burst_length=rng.randrange(1, 80),
        duplicate_ratio=rng.choice([0.0, 0.05, 0.5]),
        corrupt_ratio=rng.choice([0.0, 0.01]),
        reorder_seconds=rng.choice([0.0, 0.001, 0.02, 0.2]),
        is_black_hole=rng.random() < BLACK_HOLE_RATIO,
    )


def _draw_broker_faults(rng: random.Random) -> BrokerFaults:
    return BrokerFaults(
        loss_ratio=rng.choice([0.0, 0.05, 0.2]),
        duplicate_ratio=rng.choice([0.0, 0.1]),
        delay_seconds=rng.choice([0.002, 0.05, 0.3]),
    )
