"""Two broadcasters that know nothing of each other, or of which one was away: rows 15 and 16 of the table of faults."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from broadcaster.keys import KeyStore
from protocol.messages import Announcement, ReceiverReport
from tests.brokers import Mosquitto
from tests.end_to_end.room import KEYS, Room, Running
from tests.lab import INTERFACE, missing_requirement
from tests.network_faults.classroom import IMAGE_BYTES, LIMIT, Classroom

pytestmark = [pytest.mark.system, pytest.mark.slow]

needs_lab = pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}")

GROUP = "239.192.7.9"

IN_ONE_GROUP = f"""
import broadcaster.cast_record, slatecast.__main__
broadcaster.cast_record.group_for = lambda *_, **__: "{GROUP}"
slatecast.__main__.main()
"""
"""The program, in which every session has the same group; two that start at the same time do not hear each other."""


@needs_lab
def test_row_15_two_broadcasters_in_one_group_and_port(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(5)
    room, lab = rehearsal.room, rehearsal.lab
    second, *seats = lab.receivers
    homes = {lab.broadcaster.name: room.folder / KEYS, second.name: room.folder / "other-keys"}
    casts: dict[str, Running] = {}
    sources: dict[str, Path] = {}
    for number, host in enumerate((lab.broadcaster, second)):
        source = sources[host.name] = room.source(f"source-{number}", IMAGE_BYTES, seed=100 * number)
        library = ("--library", room.folder / f"library-{number}")
        argv = ("cast", source, *library, "--interface", INTERFACE, "--expect", 2, "--rate", "16M")
        casts[host.name] = room.start_python(
            "-c", IN_ONE_GROUP, *argv, host=host, environment={"SLATECAST_KEYS": str(homes[host.name])}
        )
    groups = [cast.errors.until(r"to group (\S+) on")[1] for cast in casts.values()]
    assert groups == [GROUP, GROUP]
    receivers = []
    for number, seat in enumerate(seats):
        name = list(casts)[number % 2]
        target = room.target(seat.name, IMAGE_BYTES)
        receiver = room.receive(target, casts[name].door(), seat=seat.name, interface=INTERFACE, host=seat)
        receivers.append((receiver, target, sources[name]))
    assert [cast.finish(LIMIT) for cast in casts.values()] == [0, 0], [cast.errors.text for cast in casts.values()]
    for receiver, target, source in receivers:
        assert receiver.finish(LIMIT) == 0, receiver.errors.text
        assert target.read_bytes() == source.read_bytes()
    directors = {KeyStore.open(home).trust.director_key for home in homes.values()}
    assert len(directors) == 2
    assert len({source.read_bytes() for source in sources.values()}) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("is_given_up", [False, True], ids=["row 16: soon", "row 16: given up"])
async def test_a_broadcaster_that_wakes_up_takes_no_receiver_from_its_session(
    room: Room, mosquitto: Callable[..., Mosquitto], is_given_up: bool
) -> None:
    """A second broadcast of the same image begins while the first one sleeps; both are the same director."""
    broker = mosquitto()
    await broker.start()
    source = room.source(size=IMAGE_BYTES)

    def cast(name: str) -> Running:
        argv = ("cast", source, "--broker", broker.address, "--library", room.folder / name, "--interface", "lo")
        return room.start(*argv, "--expect", 2, "--rate", "16M", "--wait", 60)

    stale = cast("library-1")
    watch = room.watch(stale.broker())
    targets = [room.target(f"seat-{number}", IMAGE_BYTES) for number in range(2)]
    argv = ("receive", "--server", stale.door(), "--interface", "lo")
    receivers = [room.start(*argv, "--target", target, "--seat", target.stem) for target in targets]
    first = watch.until(Announcement).tsi
    watch.until(ReceiverReport, lambda report: 0 < report.blocks_missing < 0.9 * report.blocks_total)
    os.kill(stale.pid, signal.SIGSTOP)
    fresh = cast("library-2")
    second = watch.until(Announcement, lambda announcement: announcement.tsi != first).tsi
    if is_given_up:
        watch.until(ReceiverReport, lambda report: report.tsi == second and report.blocks_total > 0)
    os.kill(stale.pid, signal.SIGCONT)
    assert fresh.finish(LIMIT) == 0, fresh.errors.text
    if not is_given_up:
        assert stale.finish(LIMIT) == 0, stale.errors.text
    content = source.read_bytes()
    assert [target.read_bytes() == content for target in targets] == [True, True]
    sessions: dict[str, list[str]] = {}
    for report in watch.heard(ReceiverReport):
        seen = sessions.setdefault(report.receiver_id, [])
        if report.tsi not in seen[-1:]:
            seen.append(report.tsi)
    print({receiver: ["first" if tsi == first else "second" for tsi in seen] for receiver, seen in sessions.items()})
    assert len(sessions) == 2, "the same receivers all the time"
    assert all(seen[:2] == [first, second] for seen in sessions.values())
    assert all(len(seen) <= 2 + is_given_up for seen in sessions.values()), "none goes to and fro"
    for receiver in receivers:
        receiver.interrupt()
