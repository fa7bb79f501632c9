"""One cast on this machine, from the command line to the bytes on the disks."""

import json
from pathlib import Path

import pytest

from tests.broadcaster.library.disks import MIB
from tests.brokers import RunningBroker
from tests.end_to_end.room import Room, free_port

pytestmark = [pytest.mark.system, pytest.mark.slow]

REPORT_KEYS = {
    *("session", "image", "seconds", "bytes_on_wire", "catch_up_bytes", "datagrams_sent", "repair_datagrams", "seats"),
}
SEAT_KEYS = {
    *("seat", "receiver", "outcome", "reason", "seconds", "bytes_received", "catch_up_bytes", "loss_ratio"),
    *("repaired", "verified", "certificate", "certificate_signature", "identity_key", "sealing_key", "boot_nonce"),
    *("admission", "datagrams_rejected", "poisoned_blocks", "poisoned_symbols", "alarm"),
}
"""What other programs read; docs/operations.md."""


def test_one_cast_makes_three_disks_equal_and_reports_the_truth(room: Room) -> None:
    source, report_path = room.source(size=16 * MIB), room.folder / "report.json"
    cast = room.cast(source, "--expect", 3, "--port", (port := free_port()), "--report", report_path)
    targets = [room.target(f"seat-{number}", 16 * MIB) for number in range(3)]
    receivers = [room.receive(target, f"127.0.0.1:{port}", seat=target.stem) for target in targets]
    assert cast.finish() == 0
    assert [receiver.finish() for receiver in receivers] == [0, 0, 0]
    for target, receiver in zip(targets, receivers, strict=True):
        assert target.read_bytes() == source.read_bytes()
        assert f"seat {target.stem}: {target} is written and verified" in receiver.errors.text
    report = json.loads(report_path.read_text())
    assert report.keys() >= REPORT_KEYS
    assert report["image"] == "source"
    assert report["session"] in cast.errors.text
    assert 0 < report["seconds"] < 30
    assert report["datagrams_sent"] > report["stored_bytes"] // 1416
    assert report["bytes_on_wire"] > report["stored_bytes"] >= 9 * MIB
    assert [seat["seat"] for seat in report["seats"]] == ["seat-0", "seat-1", "seat-2"]
    assert len({seat["receiver"] for seat in report["seats"]}) == 3
    for seat in report["seats"]:
        assert seat.keys() == SEAT_KEYS
        assert (seat["outcome"], seat["reason"], seat["verified"]) == ("verified", "", True)
        assert 0 < seat["seconds"] <= report["seconds"]
        assert report["stored_bytes"] <= seat["bytes_received"] <= report["bytes_on_wire"]
        assert 0 <= seat["loss_ratio"] < 1
        assert seat["catch_up_bytes"] == 0
    assert "3 of 3 seats verified" in cast.output.text
    assert room.start("report", "verify", report_path).finish() == 0
    assert room.start("audit", "verify", room.library / "audit.jsonl", "--head", report["audit_head"]).finish() == 0
    report["seats"][1]["seat"] = "seat-9"
    report_path.write_text(json.dumps(report))
    assert room.start("report", "verify", report_path).finish() == 5


def test_the_same_cast_over_any_broker(room: Room, broker: RunningBroker) -> None:
    source, target = room.source(), room.target("seat")
    cast = room.cast(source, "--broker", broker.address)
    receiver = room.receive(target, cast.door())
    assert cast.finish() == 0
    assert receiver.finish() == 0
    assert target.read_bytes() == source.read_bytes()
    assert f"broker {broker.address}" in cast.errors.text


def test_receivers_may_be_there_before_the_broadcaster(room: Room) -> None:
    source, target, port = room.source(), room.target("seat"), free_port()
    receiver = room.receive(target, f"127.0.0.1:{port}")
    receiver.errors.until(f"^waiting for the broadcaster at 127.0.0.1:{port}$")
    assert room.cast(source, "--port", port).finish() == 0
    assert receiver.finish() == 0
    assert target.read_bytes() == source.read_bytes()


def test_a_larger_target_keeps_nothing_that_looks_like_a_table(room: Room) -> None:
    source, target = room.source(), room.target("seat", 12 * MIB)
    cast = room.cast(source)
    assert room.receive(target, cast.door()).finish() == 0
    assert cast.finish() == 0
    written = target.read_bytes()
    assert written[: 8 * MIB] == source.read_bytes()
    assert not any(written[11 * MIB :])


def test_a_receiver_without_once_takes_the_next_session_too(room: Room, broker: RunningBroker) -> None:
    first, second, target = room.source("first", seed=1), room.source("second", seed=2), room.target("seat")
    port = free_port()
    receiver = room.start(
        *("receive", "--target", target, "--server", f"127.0.0.1:{port}", "--interface", "lo", "--seat", "seat")
    )
    for image in (first, second):
        assert room.cast(image, "--broker", broker.address, "--port", port).finish() == 0
        assert target.read_bytes() == image.read_bytes()
    assert receiver.interrupt() == "interrupted"


def test_an_image_of_the_library_is_cast_by_its_name_and_version(room: Room) -> None:
    first, second = room.source("first", seed=1), room.source("second", seed=2)
    for source in (first, second):
        room.add(source, "lab")
    for image, source in (("lab", second), ("lab@1", first)):
        target = room.target(image)
        cast = room.cast(image)
        assert room.receive(target, cast.door()).finish() == 0
        assert cast.finish() == 0
        assert target.read_bytes() == source.read_bytes()


def test_ipv6_on_loopback_has_no_route(room: Room) -> None:
    complaint = room.cast(room.source(), "--ipv6").complaint(6)
    assert "on lo: no route leads there" in complaint


def test_two_casts_at_once_do_not_disturb_each_other(room: Room, tmp_path: Path) -> None:
    sources = [room.source(f"image-{number}", seed=number) for number in range(2)]
    targets = [room.target(f"target-{number}") for number in range(2)]
    casts = [room.cast(source, "--library", tmp_path / source.stem, "--rate", "100M") for source in sources]
    groups = {cast.errors.until("to group (239[.0-9]+) ")[1] for cast in casts}
    assert len(groups) == 2
    receivers = [room.receive(target, cast.door()) for target, cast in zip(targets, casts, strict=True)]
    assert [process.finish() for process in (*casts, *receivers)] == [0, 0, 0, 0]
    for source, target in zip(sources, targets, strict=True):
        assert target.read_bytes() == source.read_bytes()
