"""Who a machine says that it is: rows 42 and 46 of the table of faults."""

from collections.abc import Callable

import pytest

from tests.end_to_end.room import Room, free_port, wait_until
from tests.lab import INTERFACE, missing_requirement
from tests.network_faults.classroom import LIMIT, Classroom, Outcome, scrape

pytestmark = [pytest.mark.system, pytest.mark.slow]

needs_lab = pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}")


@needs_lab
@pytest.mark.parametrize("seat", [["--seat", "desk"], []], ids=["row 42: same seat", "row 42: same host name"])
def test_two_machines_of_one_name_are_two_machines(classroom: Callable[..., Classroom], seat: list[str]) -> None:
    rehearsal = classroom(2)
    cast = rehearsal.cast("--expect", 2)
    for host in rehearsal.lab.receivers:
        target = rehearsal.targets[host.name] = rehearsal.room.target(host.name, rehearsal.size)
        argv = ("--once", "--target", target, "--server", cast.door(), "--interface", INTERFACE)
        rehearsal.receivers[host.name] = rehearsal.room.start("receive", *argv, *seat, host=host)
    seats = rehearsal.prove().report["seats"]
    assert len({seat["receiver"] for seat in seats}) == 2
    assert len({seat["seat"] for seat in seats}) == 1


@needs_lab
def test_row_42_two_machines_with_the_same_mac_work_or_are_named(classroom: Callable[..., Classroom]) -> None:
    """The switch finds the address at either port in turn, so that each machine's control is lost half of the time."""
    rehearsal = classroom(3)
    first, twin, other = rehearsal.lab.receivers
    address = first.run(["cat", f"/sys/class/net/{INTERFACE}/address"]).stdout.strip()
    twin.run(["ip", "link", "set", INTERFACE, "address", address])
    cast = rehearsal.fill().running
    code = cast.finish(LIMIT)
    outcome = rehearsal.outcome()
    named = {seat: values["reason"] for seat, values in outcome.seats.items() if not values["verified"]}
    print(f"exit code {code} after {outcome.report['seconds']} s, not verified: {named}")
    assert code == (4 if named else 0)
    assert all(named.values())
    assert outcome.seats[other.name]["verified"]


HOSTILE_SEATS = [
    "<script>alert(1)</script>",
    "'; DROP TABLE seats; --",
    "../../../../etc/passwd",
    "[red]desk[/red] [link=http://a]b[/link]",
    "$(reboot) `reboot` %s {0} {seat!r}",
    'a="b",c\\',
    chr(0x1D54F) * 64,  # beyond the 16 bits of JSON's escapes
]


def test_row_46_a_hostile_seat_name_is_a_name(room: Room) -> None:
    source, port, report_file = room.source(), free_port(), room.folder / "report.json"
    options = ("--expect", len(HOSTILE_SEATS), "--rate", "16M", "--metrics-port", port, "--report", report_file)
    argv = ("cast", source, "--library", room.library, "--interface", "lo")
    cast = room.start(*argv, *options, environment={"COLUMNS": "300"})
    receivers = [
        room.receive(room.target(f"seat-{number}"), cast.door(), seat=seat) for number, seat in enumerate(HOSTILE_SEATS)
    ]
    wait_until(lambda: scrape(port)["slatecast_broadcaster_seats receiving"] == len(HOSTILE_SEATS), "all seats")
    assert cast.finish(LIMIT) == 0, cast.errors.text
    assert [receiver.finish() for receiver in receivers] == [0] * len(receivers)
    assert not [seat for seat in HOSTILE_SEATS if seat not in cast.output.text]
    assert set(Outcome.read(report_file).seats) == set(HOSTILE_SEATS)


@pytest.mark.parametrize("seat", ["\x1b[2J", "a\nb", "\u202egnp.tset", "", "x" * 65, "\ufeff"], ids=ascii)
def test_row_46_what_cannot_be_shown_is_no_seat_name(room: Room, seat: str) -> None:
    receiver = room.receive(room.target("seat"), "127.0.0.1:1", seat=seat)
    assert receiver.complaint(2) == "--seat must be 1 to 64 printable characters"


def test_row_46_what_hostile_receivers_say_harms_neither_the_room_nor_its_operator(room: Room) -> None:
    source, port, report_file = room.source(), free_port(), room.folder / "report.json"
    argv = ("cast", source, "--library", room.library, "--interface", "lo", "--rate", "16M")
    options = ("--metrics-port", port, "--report", report_file)
    cast = room.start("-v", *argv, *options, environment={"COLUMNS": "300"})
    tsi = cast.errors.until("^session ([0-9a-f]{16}):")[1]
    target = room.target("seat")
    receiver = room.receive(target, cast.door())
    wait_until(lambda: scrape(port)["slatecast_broadcaster_seats receiving"] == 1, "the seat that is real")
    forger = room.start_python("-m", "tests.network_faults.forge", "hostile", cast.door(), tsi)
    assert forger.finish() == 0, forger.errors.text
    assert receiver.finish(LIMIT) == 0
    assert cast.finish(LIMIT) == 4
    assert target.read_bytes() == source.read_bytes()
    assert Outcome.read(report_file).seats["seat"]["verified"]
    for text in (cast.output.text, cast.errors.text, report_file.read_text()):
        assert not [letter for letter in text if not letter.isprintable() and letter != "\n"]
        assert not [line for line in text.splitlines() if line.startswith("slatecast: 9")]
        assert len(text) < 10_000
