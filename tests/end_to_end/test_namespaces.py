"""Casts through a network of namespaces: loss, IPv6, discovery, latecomers, a killed receiver, casts side by side."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from protocol.messages import ReceiverReport, SessionStatus
from tests.broadcaster.library.disks import MIB
from tests.end_to_end.room import Room, Running, is_bootable
from tests.lab import Host, Lab, missing_requirement
from tests.receiver.loop_device import loop_device

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}"),
]

SLOW = "16M"
"""[bit/s] 8 MiB take 2.8 s: time for somebody to come or to go."""


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(4) as lab:
        yield lab


def start_cast(room: Room, lab: Lab, source: Path | str, *options: object) -> Running:
    """A cast on the lab's broadcaster, which writes a report."""
    report = room.folder / "report.json"
    return room.cast(source, "--report", report, *options, interface="eth0", host=lab.broadcaster)


def seat_reports(room: Room) -> dict[str, dict[str, Any]]:
    """The report's seats by name."""
    seats = json.loads((room.folder / "report.json").read_text())["seats"]
    return {seat["seat"]: seat for seat in seats}


def receive_on(room: Room, host: Host, target: Path | str, cast: Running) -> Running:
    """A receiver whose seat is its host's name."""
    return room.receive(target, cast.door(), seat=host.name, interface="eth0", host=host)


@pytest.mark.parametrize("ipv6", [False, True], ids=["IPv4", "IPv6"])
def test_loss_is_mended_at_every_seat(room: Room, lab: Lab, ipv6: bool) -> None:
    source = room.source(size=16 * MIB)
    for host, loss in zip(lab.receivers, (0, 0.01, 0.05, 0.01), strict=True):
        host.set_loss(loss)
    cast = start_cast(room, lab, source, "--expect", 4, "--rate", "200M", *(["--ipv6"] if ipv6 else []))
    targets = {host: room.target(host.name, 16 * MIB) for host in lab.receivers}
    receivers = [receive_on(room, host, target, cast) for host, target in targets.items()]
    assert cast.finish() == 0, cast.errors.text
    assert [receiver.finish() for receiver in receivers] == [0, 0, 0, 0]
    assert ("group ff15:" if ipv6 else "group 239.") in cast.errors.text
    assert all(target.read_bytes() == source.read_bytes() for target in targets.values())
    seats = seat_reports(room)
    assert 0.02 < seats["receiver3"]["loss_ratio"] < 0.1
    assert seats["receiver3"]["repaired"] > 0
    assert seats["receiver1"]["loss_ratio"] < seats["receiver2"]["loss_ratio"] < 0.03


def test_loop_devices_are_written_and_one_with_other_sectors_is_refused(room: Room, lab: Lab) -> None:
    source = room.source()
    cast = start_cast(room, lab, source, "--expect", 3)
    backings = [room.target(f"backing-{number}") for number in range(3)]
    with ExitStack() as stack:
        devices = [
            stack.enter_context(loop_device(backing, sector_size))
            for backing, sector_size in zip(backings, (512, 4096, 512), strict=True)
        ]
        before = backings[1].read_bytes()
        hosts = lab.receivers[:3]
        receivers = [receive_on(room, host, device, cast) for host, device in zip(hosts, devices, strict=True)]
        assert [receiver.finish() for receiver in receivers] == [0, 3, 0]
        assert "1 of 3 seats are not verified: receiver2 refused" in cast.complaint(4)
        for device in (devices[0], devices[2]):
            assert Path(device).read_bytes() == source.read_bytes()
    assert backings[1].read_bytes() == before


def test_a_latecomer_gets_what_it_missed(room: Room, lab: Lab) -> None:
    source = room.source()
    cast = start_cast(room, lab, source, "--rate", SLOW)
    watch = room.watch(cast.broker(), host=lab.broadcaster)
    targets = [room.target(host.name) for host in lab.receivers[:2]]
    early = receive_on(room, lab.receivers[0], targets[0], cast)
    watch.until(SessionStatus, lambda status: status.position > 3)
    late = receive_on(room, lab.receivers[1], targets[1], cast)
    assert cast.finish() == 0
    assert early.finish() == late.finish() == 0
    assert all(target.read_bytes() == source.read_bytes() for target in targets)
    seats = seat_reports(room)
    assert seats["receiver1"]["bytes_received"] > 0
    assert seats["receiver2"]["loss_ratio"] < 0.05, "what it could not hear was not lost"


IMPATIENT_CAST = """
from broadcaster import roster
roster.LEASE = 4.0
from slatecast.__main__ import main
main()
"""
"""As every broadcaster, in less than half of the time."""


def test_a_killed_receiver_is_lost_and_holds_up_nobody(room: Room, lab: Lab) -> None:
    source = room.source()
    assert is_bootable(source)
    report = room.folder / "report.json"
    argv = ("cast", source, "--library", room.library, "--interface", "eth0", "--report", report)
    options = ("--expect", 3, "--rate", SLOW)
    cast = room.start_python("-c", IMPATIENT_CAST, *argv, *options, host=lab.broadcaster)
    watch = room.watch(cast.broker(), host=lab.broadcaster)
    hosts = lab.receivers[:3]
    targets = [room.target(host.name) for host in hosts]
    killed, *others = [receive_on(room, host, target, cast) for host, target in zip(hosts, targets, strict=True)]
    watch.until(
        ReceiverReport,
        lambda report: report.seat == hosts[0].name and 0 < report.blocks_missing < report.blocks_total,
    )
    killed.kill()
    assert [other.finish() for other in others] == [0, 0]
    assert [target.read_bytes() == source.read_bytes() for target in targets] == [False, True, True]
    assert not is_bootable(targets[0])
    assert "1 of 3 seats are not verified: receiver1 lost (fell silent" in cast.complaint(4)
    assert {seat: report["outcome"] for seat, report in seat_reports(room).items()} == {
        "receiver1": "lost",
        "receiver2": "verified",
        "receiver3": "verified",
    }


def test_a_receiver_finds_the_broadcaster_by_multicast_dns(room: Room, lab: Lab) -> None:
    source, target = room.source(), room.target("seat")
    argv = ("--target", target, "--seat", "seat", "--once")
    receiver = room.start("receive", *argv, host=lab.receivers[0])
    cast = room.start("cast", source, "--library", room.library, host=lab.broadcaster)
    assert cast.finish() == 0
    assert receiver.finish() == 0
    assert target.read_bytes() == source.read_bytes()


def test_a_receiver_does_not_choose_between_two_broadcasters(room: Room, lab: Lab) -> None:
    source = room.source()
    places = [
        room.cast(source, "--library", room.folder / f"library-{number}", interface="eth0", host=lab.broadcaster)
        .door()
        .removeprefix("mqtt://")
        for number in range(2)
    ]
    receiver = room.receive(room.target("seat"), None, interface="eth0", host=lab.receivers[0])
    complaint = receiver.complaint(2)
    assert complaint.startswith("several broadcasters answer on interface eth0: choose with --server one of ")
    assert all(place in complaint for place in places)


def test_two_casts_share_hosts_and_network(room: Room, lab: Lab) -> None:
    """Each host has a receiver of either cast; all sockets of a host share the one data port."""
    sources = [room.source(f"image-{number}", seed=number) for number in range(2)]
    casts = [
        room.cast(
            *(source, "--expect", 2, "--rate", "100M", "--library", room.folder / f"library-{source.stem}"),
            interface="eth0",
            host=lab.broadcaster,
        )
        for source in sources
    ]
    assert len({cast.errors.until("to group ([^ ]+) ")[1] for cast in casts}) == 2
    written = {}
    receivers = []
    for cast, source in zip(casts, sources, strict=True):
        for host in lab.receivers[:2]:
            target = room.target(f"{source.stem}-{host.name}")
            written[target] = source
            receivers.append(receive_on(room, host, target, cast))
    assert [process.finish() for process in (*casts, *receivers)] == [0] * 6
    assert all(target.read_bytes() == source.read_bytes() for target, source in written.items())


FIXED_TSI = """
import secrets, sys
tsi = int(sys.argv.pop(1))
secrets.randbits = lambda bits: tsi
from slatecast.__main__ import main
main()
"""


def test_a_group_that_another_session_uses_is_left_to_it(room: Room, lab: Lab) -> None:
    """The two sessions differ, and would choose the same group."""
    sources = [room.source(f"image-{number}", seed=number) for number in range(2)]
    targets = [room.target(f"target-{number}") for number in range(2)]

    def cast(number: int) -> Running:
        argv = ["cast", sources[number], "--rate", SLOW, "--interface", "eth0"]
        library = room.folder / f"library-{number}"
        host = lab.hosts[number]
        return room.start_python("-c", FIXED_TSI, (number + 1) << 40, *argv, "--library", library, host=host)

    first = cast(0)
    watch = room.watch(first.broker(), host=lab.broadcaster)
    receivers = [receive_on(room, lab.receivers[2], targets[0], first)]
    watch.until(SessionStatus, lambda status: status.position > 0)
    second = cast(1)
    assert first.errors.until("to group ([^ ]+) ")[1] == "239.192.0.0"
    assert second.errors.until("to group ([^ ]+) ")[1] == "239.192.0.1"
    assert "group 239.192.0.0 is taken by another session" in second.errors.text
    receivers.append(receive_on(room, lab.receivers[3], targets[1], second))
    assert [process.finish() for process in (first, second, *receivers)] == [0] * 4
    assert [target.read_bytes() for target in targets] == [source.read_bytes() for source in sources]
