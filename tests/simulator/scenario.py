"""Draws a room and its faults from a seed, and runs it; what must hold of it is in ``invariants``."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from unittest.mock import patch

from broadcaster.readiness import StartPolicy
from protocol.messages import ReceiverState, SessionPhase
from receiver.blockdevice import new_read_buffer
from receiver.readback import READ_LENGTH, Job, StopRequest
from tests.simulator.broadcaster import SenderSettings, SimulatedBroadcaster
from tests.simulator.broker import BrokerFaults, SimulatedBroker
from tests.simulator.disk import SimulatedDisk, draw_disk
from tests.simulator.hostile import HostileReceiver
from tests.simulator.image import SimulatedImage, draw_image
from tests.simulator.insider import Insider
from tests.simulator.invariants import problems_of, report_of
from tests.simulator.lane import SimulatedLane
from tests.simulator.network import LinkFaults, SimulatedMulticast
from tests.simulator.operator import Operator, Plans, draw_plans
from tests.simulator.parts import RoomParts
from tests.simulator.receiver import DATAGRAM_LENGTH, SimulatedReceiver
from tests.simulator.schedule import Schedule
from tests.simulator.worker import Habits

FAULTS_END = 12.0
"""[virtual s] After that the network and the broker are perfect, so every live receiver must finish."""

TIME_LIMIT = 240.0
"""[virtual s] Reaching it means stuck: a stalled seat is given up after 60 s, a lost one after 10."""

FAREWELL = 20.0
"""[virtual s] After the end of the session every receiver has left by then."""

OPERATOR_RATIO = 0.25
"""Share of rooms with an operator who plans, starts, pauses, and stops or moves seats."""

CALM_RATIO = 0.2
"""Share of rooms without any fault, in which nothing may be sent in vain."""


SHORT_IMAGE = 28
"""[blocks] Most images are shorter, so that a room is played in a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left behind."""

    seed: int
    virtual_seconds: float
    states: dict[str, ReceiverState | None]
    trace: str
    problems: list[str]


@dataclass(frozen=True, slots=True)
class BeforeKill:
    """How the room was when the broadcaster was killed."""

    stored_by_all: set[int]
    """sbns that every live seat had stored"""
    sessions: frozenset[int]
    have_all_scanned: bool


@dataclass(slots=True)
class Room:
    """Everything in one room, and which faults it has."""

    rng: random.Random
    schedule: Schedule
    is_calm: bool
    network: SimulatedMulticast
    broker: SimulatedBroker
    image: SimulatedImage
    sender: SimulatedBroadcaster
    lane: SimulatedLane
    machine_count: int
    has_lane: bool
    has_old_disks: bool
    """every disk holds some version of the image"""
    receivers: list[SimulatedReceiver]
    broker_faults: BrokerFaults
    is_only_killed: bool
    """the broadcaster is killed, and nothing else happens"""
    arming_rng: random.Random
    """for countdowns and who stops them"""
    longest_countdown: float = 0.0
    """s"""
    plans: Plans | None = None
    """what an operator does here"""
    hostile: HostileReceiver | None = None
    insider: Insider | None = None
    has_broker_outage: bool = False
    has_partition: bool = False
    rotten: int | None = None
    """sbn of a chunk that rots in the library"""
    before_kill: BeforeKill | None = None
    longest_without_sender: float = 0.0
    """s"""

    def live_sessions(self) -> frozenset[int]:
        """The sessions of all receivers that are there, each the same as long as its receiver has not started anew."""
        return frozenset(id(receiver.session) for receiver in self.receivers if receiver.is_alive and receiver.session)

    def is_over(self) -> bool:
        """Whether nothing more can change."""
        if self.sender.session.phase is not SessionPhase.ENDED or not self.sender.is_alive:
            return False
        return len(self.receivers) == self.machine_count and all(
            receiver.is_gone_for_good or (receiver.is_alive and (receiver.session is None or receiver.has_left))
            for receiver in self.receivers
        )


@dataclass(frozen=True, slots=True)
class CostOfLies:
    """What an insider cost a room in which nothing else goes wrong."""

    outcome: Outcome
    needed_bytes: int
    """to the group, without the insider"""
    extra_bytes: int
    """to the group, and by the lane"""
    blocks: int
    """of both objects"""
    blocks_lied_about: int
    mismatches: int
    """blocks that came whole and wrong, over all seats"""


def cost_of_lies(seed: int, ratio: float) -> CostOfLies | None:
    """A faultless room played without and with an insider; None if the seed gives no such room, or has no lane."""
    room = _draw_room(random.Random(seed), random.Random(f"arming {seed}"))
    if not room.is_calm or room.is_only_killed or not room.has_lane:
        return None
    _plan_receivers(room)
    honest = _play(room, seed)
    assert not honest.problems
    needed = room.sender.session.datagrams_sent * DATAGRAM_LENGTH
    lied_to = _draw_room(random.Random(seed), random.Random(f"arming {seed}"))
    _let_insider_in(lied_to, random.Random(f"insider {seed}"), ratio=ratio, persistence=1)
    _plan_receivers(lied_to)
    outcome = _play(lied_to, seed)
    assert lied_to.insider is not None
    sent = lied_to.sender.session.datagrams_sent * DATAGRAM_LENGTH + lied_to.lane.bytes_served
    mismatches = sum(each.session.poison.mismatched_blocks for each in lied_to.receivers if each.session is not None)
    blocks = sum(each.block_count for each in lied_to.sender.objects)
    return CostOfLies(outcome, needed, sent - needed, blocks, len(lied_to.insider.blocks), mismatches)


def run_seed(seed: int, *, has_operator: bool | None = None) -> Outcome:
    """One room, from the announcement until everybody has left; every fourth has an operator unless that is told."""
    room = _draw_room(random.Random(seed), random.Random(f"arming {seed}"), _draw_plans(seed, has_operator))
    _plan_insider(room, random.Random(f"insider {seed}"))
    _plan_receivers(room)
    if room.is_only_killed:
        room.schedule.after(room.rng.uniform(0.3, 4.0), lambda: _kill_broadcaster(room, is_broker_killed=False))
    elif not room.is_calm:
        _plan_faults(room)
    if room.plans is not None:
        if room.is_calm:
            room.plans.dismissals, room.plans.moves = [], []
        Operator(room.schedule, random.Random(f"operator acts {seed}"), room.sender, room.plans)
    return _play(room, seed)


def _play(room: Room, seed: int) -> Outcome:
    with patch("receiver.scan.run_jobs", _run_jobs), patch("receiver.disk.run_jobs", _run_jobs):
        has_ended = room.schedule.run(lambda: room.sender.session.phase is SessionPhase.ENDED, TIME_LIMIT)
        report = report_of(room)  # what the operator is told; who speaks later is not in it
        is_over = has_ended and room.schedule.run(room.is_over, room.schedule.now + FAREWELL)
    problems = problems_of(room, report)
    if not has_ended:
        problems.append("stuck: the session did not end")
    elif not is_over:
        problems.append("stuck: somebody did not leave")
    states = {receiver.machine: receiver.state for receiver in room.receivers}
    return Outcome(seed, room.schedule.now, states, room.schedule.trace, problems)


_READ_BUFFER = new_read_buffer(READ_LENGTH)


def _run_jobs(jobs: Iterable[Job], should_stop: StopRequest, threads: int = 1) -> None:
    """As ``readback.run_jobs``, in this thread and in order, so that a seed replays."""
    for job in jobs:
        if should_stop():
            return
        job(_READ_BUFFER)
    should_stop()


def _draw_plans(seed: int, has_operator: bool | None) -> Plans | None:
    rng = random.Random(f"operator {seed}")
    is_drawn = rng.random() < OPERATOR_RATIO
    return draw_plans(rng) if (is_drawn if has_operator is None else has_operator) else None


def _draw_room(rng: random.Random, arming_rng: random.Random, plans: Plans | None = None) -> Room:
    schedule = Schedule()
    is_calm = rng.random() < CALM_RATIO
    network = SimulatedMulticast(schedule, random.Random(rng.random()), DATAGRAM_LENGTH)
    broker_faults = BrokerFaults() if is_calm else _draw_broker_faults(rng)
    broker = SimulatedBroker(schedule, random.Random(rng.random()), broker_faults)
    is_only_killed = is_calm and rng.random() < 0.4
    is_long = is_only_killed or rng.random() < 0.12
    image = draw_image(
        rng, rng.randrange(60, 100) if is_long else rng.randrange(4, SHORT_IMAGE), 0.0 if is_long else 0.5
    )
    machine_count = rng.choice([1, 2, 3, 4, 5, 8])
    has_lane = rng.random() < 0.85
    expected = machine_count if is_calm else machine_count - rng.randrange(machine_count)
    rates = [400_000, 2_000_000] if is_long else [400_000, 2_000_000, 10_000_000]
    sender = SimulatedBroadcaster(
        schedule,
        network,
        broker,
        image,
        rng,
        SenderSettings(
            policy=StartPolicy(expected_seats=expected, wait_seconds=30.0),
            rate_bits_per_second=rng.choice(rates),
            batch_length=rng.choice([1, 4, 44]),
            max_repair_symbols=rng.choice([64, 64, 8, 3]),
            has_lane=has_lane,
            is_planned=plans is not None and plans.is_planned,
            has_tickets=plans is not None,
        ),
    )
    lane = SimulatedLane(schedule, random.Random(rng.random()), sender)
    network.faults_end_at = broker.faults_end_at = lane.faults_end_at = FAULTS_END
    return Room(
        rng=rng,
        schedule=schedule,
        is_calm=is_calm,
        network=network,
        broker=broker,
        image=image,
        sender=sender,
        lane=lane,
        machine_count=machine_count,
        has_lane=has_lane,
        has_old_disks=rng.random() < (0.5 if is_calm else 0.1),
        receivers=[],
        broker_faults=broker_faults,
        is_only_killed=is_only_killed,
        arming_rng=arming_rng,
        plans=plans,
    )


def _plan_receivers(room: Room) -> None:
    rng, plans = room.rng, room.plans
    parts = RoomParts(
        room.schedule,
        room.network,
        room.broker,
        room.lane,
        room.image,
        has_tickets=plans is not None,
        may_write=lambda: plans is None or not plans.is_planned or plans.was_released,
    )
    has_doubled_name = rng.random() < 0.05
    for number in range(room.machine_count):
        is_late = not room.is_calm and rng.random() < 0.3
        joins_at = rng.uniform(0.0, rng.choice([3.0, 12.0])) if is_late else rng.uniform(0.0, 0.1)
        faults = LinkFaults() if room.is_calm else _draw_link_faults(rng)
        device = draw_disk(
            rng, room.schedule, room.image, 4096 * number, is_faultless=room.is_calm, is_used=room.has_old_disks
        )
        habits = _draw_habits(rng, room)
        _draw_arming(habits, room)
        habits.is_lied_to = room.insider is not None
        seat = "seat-0" if has_doubled_name and number == 1 else f"seat-{number}"
        receiver_rng = random.Random(rng.random())

        def join(
            machine: str = f"machine-{number}",
            seat: str = seat,
            faults: LinkFaults = faults,
            habits: Habits = habits,
            device: SimulatedDisk = device,
            receiver_rng: random.Random = receiver_rng,
        ) -> None:
            room.receivers.append(SimulatedReceiver(parts, receiver_rng, machine, seat, device, faults, habits))

        room.schedule.after(joins_at, join)


def _plan_faults(room: Room) -> None:
    rng, after = room.rng, room.schedule.after
    if rng.random() < 0.35:
        after(rng.uniform(0.3, 6.0), lambda: _crash_somebody(room))
    if rng.random() < 0.15:
        after(rng.uniform(0.3, 8.0), lambda: _kill_broadcaster(room, is_broker_killed=rng.random() < 0.5))
    if rng.random() < 0.15:
        after(rng.uniform(0.1, 5.0), lambda: _crash_broker(room, rng.choice([rng.uniform(0.1, 3.0), 11.0, 14.0])))
    if rng.random() < 0.08:
        after(rng.uniform(0.1, 5.0), lambda: _cut_cables(room, room.machine_count // 2, rng.choice([3.0, 7.0, 13.0])))
    if rng.random() < 0.08:
        after(rng.uniform(0.1, 8.0), lambda: _cut_cables(room, 1, rng.uniform(0.2, 4.0)))
    if rng.random() < 0.08:
        room.hostile = HostileReceiver(
            room.schedule, room.broker, random.Random(rng.random()), room.sender.announcement.tsi, FAULTS_END
        )
    if rng.random() < 0.06:
        room.rotten = rng.randrange(len(room.image.manifest))
        after(rng.uniform(0.0, 2.0), lambda: room.image.rot(room.rotten or 0))


def _plan_insider(room: Room, rng: random.Random) -> None:
    """In one room of eight somebody who was let in lies: rarely or often, once or again and again."""
    if not room.is_only_killed and rng.random() < 0.12:
        ratio, persistence = rng.choice([0.05, 0.3, 1.0]), rng.choice([1, 2, 12])
        _let_insider_in(room, rng, ratio=ratio, persistence=persistence)


def _let_insider_in(room: Room, rng: random.Random, *, ratio: float, persistence: int) -> None:
    room.insider = Insider(
        room.schedule,
        room.network,
        rng,
        room.sender.announcement,
        ratio=ratio,
        persistence=persistence,
        ends_at=FAULTS_END,
    )


def _crash_somebody(room: Room) -> None:
    alive = [receiver for receiver in room.receivers if receiver.is_alive]
    if not alive:
        return
    victim = room.rng.choice(alive)
    if room.rng.random() < 0.5:
        victim.kill()
    else:
        victim.cut_power()
    if room.rng.random() < 0.15:
        victim.is_gone_for_good = True
    else:
        room.schedule.after(room.rng.choice([room.rng.uniform(0.2, 6.0), 8.8]), victim.start)


def _kill_broadcaster(room: Room, *, is_broker_killed: bool) -> None:
    if room.sender.session.phase is SessionPhase.ENDED:
        return
    live = [receiver for receiver in room.receivers if receiver.is_alive and receiver.session is not None]
    room.before_kill = BeforeKill(
        {sbn for sbn in range(len(room.image.manifest)) if not any(receiver.may_lack(sbn) for receiver in live)},
        room.live_sessions(),
        all(receiver.is_scanned for receiver in live) and len(live) == room.machine_count,
    )
    room.sender.kill()
    # After 15 s without a word the receivers leave, and join again when it is back.
    is_long_away = room.rng.random() < (0.5 if room.is_only_killed else 0.2)
    away = 17.0 if is_long_away else room.rng.uniform(0.3, 5.0)
    room.longest_without_sender = away
    if is_broker_killed:
        _crash_broker(room, away * 0.9)
    room.schedule.after(away, room.sender.start)


def _crash_broker(room: Room, seconds: float) -> None:
    room.has_broker_outage = True
    room.broker.crash(seconds)


def _cut_cables(room: Room, count: int, seconds: float) -> None:
    for receiver in room.rng.sample(room.receivers, min(count, len(room.receivers))):
        room.has_partition = True
        now = room.schedule.now
        receiver.unreachable.append((now, now + seconds))
        room.network.cut_cables.add(receiver.machine)
        room.lane.cut_cables.add(receiver.machine)
        room.broker.cut_cable(receiver.machine)
        room.schedule.note(f"{receiver.machine} cut off for {seconds}")
        room.schedule.after(seconds, lambda machine=receiver.machine: _mend_cable(room, machine))  # type: ignore[misc]  # mypy cannot type default arguments of a lambda


def _mend_cable(room: Room, machine: str) -> None:
    room.network.cut_cables.discard(machine)
    room.lane.cut_cables.discard(machine)
    room.broker.mend_cable(machine)


def _draw_link_faults(rng: random.Random) -> LinkFaults:
    return LinkFaults(
        loss_ratio=rng.choice([0.0, 0.0, 0.01, 0.05, 0.1, 0.3]),
        batch_loss_ratio=rng.choice([0.0, 0.0, 0.0, 0.05]),
        burst_start_ratio=rng.choice([0.0, 0.0, 0.002, 0.01]),
        burst_length=rng.randrange(1, 80),
        duplicate_ratio=rng.choice([0.0, 0.0, 0.05, 0.5]),
        corrupt_ratio=rng.choice([0.0, 0.0, 0.01]),
        reorder_seconds=rng.choice([0.0, 0.0, 0.001, 0.02, 0.2]),
        is_black_hole=rng.random() < 0.03,
    )


def _draw_broker_faults(rng: random.Random) -> BrokerFaults:
    return BrokerFaults(
        loss_ratio=rng.choice([0.0, 0.0, 0.05, 0.2]),
        duplicate_ratio=rng.choice([0.0, 0.1]),
        delay_seconds=rng.choice([0.002, 0.05, 0.3]),
        is_orderly=rng.random() < 0.5,
        longest_notice=rng.choice([0.5, 5.5]),
    )


def _draw_habits(rng: random.Random, room: Room) -> Habits:
    if room.is_calm:
        return Habits()
    # Less room than for the blocks that are sent side by side is a room that nobody has; a few blocks bear less.
    least_room = 250_000 if len(room.image.manifest) > SHORT_IMAGE else 120_000
    return Habits(
        is_delta=rng.random() >= 0.1,
        bad_memory_ratio=rng.choice([0.0] * 7 + [0.05]),
        buffer_room=rng.choice([least_room, 10_000_000]),
        scan_stops=[rng.randrange(1, 40) for _ in range(rng.choice([0, 0, 1, 3]))],
        longest_scan_pause=rng.choice([0.02, 0.3, 3.0]),
        is_overtaken=rng.random() < 0.3,
        cut_at_operation=rng.randrange(12) if rng.random() < 0.06 else None,
        cut_after_read_back=rng.randrange(12) if rng.random() < 0.06 else None,
    )


def _draw_arming(habits: Habits, room: Room) -> None:
    rng = room.arming_rng
    if room.is_only_killed or rng.random() < 0.5:
        return
    habits.countdown = rng.uniform(0.2, 1.5) if room.is_calm else rng.choice([0.2, 1.0, 3.0, 10.0])
    room.longest_countdown = max(room.longest_countdown, habits.countdown)
    if not room.is_calm and rng.random() < 0.15:
        around_its_end = habits.countdown + rng.uniform(-0.02, 0.1)
        habits.abort_after = rng.choice([rng.uniform(0.0, habits.countdown), around_its_end, rng.uniform(0.0, 15.0)])
