"""The broker dies, forgets, drops or freezes in the middle of a cast: rows 20 to 22 of the table of faults.

The control runs over loopback here, and the room with it: no namespace is needed to kill a broker.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from broadcaster.roster import LEASE
from protocol.messages import ReceiverReport
from tests.brokers import Mosquitto, freeze
from tests.end_to_end.room import Room, Running, free_port
from tests.network_faults.classroom import IMAGE_BYTES, LIMIT, OUTAGE, Outcome, scrape

pytestmark = [pytest.mark.system, pytest.mark.slow]

RATE = "16M"
"""[bit/s] 16 MiB take 5.6 s, so that much is left to send when the broker goes."""

AWAY = LEASE + 6
"""[s] The silent would be given up, and waited for no more after the last datagram, which leaves after 6 s."""

SENT = "slatecast_broadcaster_sent_bytes_total"


class Rehearsal:
    """A cast to two seats over loopback."""

    def __init__(self, room: Room, *options: object) -> None:
        self.room = room
        self.source = room.source(size=IMAGE_BYTES)
        self.targets = [room.target(f"seat-{number}", IMAGE_BYTES) for number in range(2)]
        self._report = room.folder / "report.json"
        self.cast = room.cast(self.source, "--expect", 2, "--rate", RATE, "--report", self._report, *options)
        self.receivers = [room.receive(target, self.cast.door(), seat=target.stem) for target in self.targets]

    def until_some_is_there(self) -> None:
        """Wait until a seat holds a tenth, and not all."""
        watch = self.room.watch(self.cast.broker())
        report = watch.until(
            ReceiverReport, lambda report: report.blocks_total > 0 and report.blocks_missing < 0.9 * report.blocks_total
        )
        assert report.blocks_missing > 0.3 * report.blocks_total, "the disturbance would come too late"

    def prove(self) -> Outcome:
        """Every seat is verified and has the image."""
        assert self.cast.finish(LIMIT) == 0, self.cast.errors.text
        assert [receiver.finish(LIMIT) for receiver in self.receivers] == [0, 0]
        content = self.source.read_bytes()
        assert all(target.read_bytes() == content for target in self.targets)
        return Outcome.read(self._report)


def test_row_20_an_embedded_broker_that_is_killed_is_started_again(room: Room) -> None:
    rehearsal = Rehearsal(room)
    rehearsal.until_some_is_there()
    os.kill(embedded_broker(rehearsal.cast).pid, signal.SIGKILL)
    outcome = rehearsal.prove()
    print(f"{outcome.report['seconds']} s, overhead {outcome.overhead:.1%}")
    assert outcome.overhead < 0.05, "the outage of control has cost data"
    assert outcome.report["seconds"] < usual_seconds(outcome) + 10


@pytest.mark.asyncio
async def test_row_20_a_broker_that_is_away_for_longer_than_a_lease_and_restarts_empty_loses_nobody(
    room: Room, mosquitto: Callable[..., Mosquitto]
) -> None:
    broker = mosquitto()
    await broker.start()
    rehearsal = Rehearsal(room, "--broker", broker.address)
    rehearsal.until_some_is_there()
    await broker.stop()
    await asyncio.sleep(away := max(OUTAGE, AWAY))
    await broker.start()
    outcome = rehearsal.prove()
    print(f"{outcome.report['seconds']} s, overhead {outcome.overhead:.1%}")
    assert outcome.overhead < 0.05, "the outage of control has cost data"
    assert outcome.report["seconds"] < max(usual_seconds(outcome), away) + 10


@pytest.mark.asyncio
async def test_row_21_a_broker_that_drops_what_a_sleeping_receiver_does_not_take(
    room: Room, mosquitto: Callable[..., Mosquitto]
) -> None:
    broker = mosquitto("max_queued_messages 1", "max_inflight_messages 1")
    await broker.start()
    rehearsal = Rehearsal(room, "--broker", broker.address)
    rehearsal.until_some_is_there()
    for process in (rehearsal.receivers[0], rehearsal.cast):
        os.kill(process.pid, signal.SIGSTOP)
        await asyncio.sleep(OUTAGE)
        os.kill(process.pid, signal.SIGCONT)
    rehearsal.prove()


@pytest.mark.asyncio
async def test_row_22_a_frozen_broker_does_not_stop_the_data(room: Room, mosquitto: Callable[..., Mosquitto]) -> None:
    broker = mosquitto()
    await broker.start()
    port = free_port()
    rehearsal = Rehearsal(room, "--broker", broker.address, "--metrics-port", port)
    rehearsal.until_some_is_there()
    freeze(broker)
    before, begun = scrape(port)[SENT], time.monotonic()
    await asyncio.sleep(OUTAGE)
    rate = (scrape(port)[SENT] - before) * 8 / (time.monotonic() - begun)
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGCONT)
    outcome = rehearsal.prove()
    print(f"{rate / 1e6:.1f} Mbit/s meanwhile; {outcome.report['seconds']} s, overhead {outcome.overhead:.1%}")
    assert rate > 0.8 * 16e6
    assert outcome.overhead < 0.05


def usual_seconds(outcome: Outcome) -> float:
    """[s] What the wire alone takes at the rate."""
    return float(outcome.report["bytes_on_wire"]) * 8 / 16e6


def embedded_broker(cast: Running) -> psutil.Process:
    """The process that serves the broker of a cast."""
    children = psutil.Process(cast.pid).children()
    (broker,) = [child for child in children if "broadcaster.broker_process" in child.cmdline()]
    return broker
