"""Clocks that jump: row 34 of the table of faults. What lasts is measured by the monotonic clock alone."""

import ast
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.messages import ReceiverReport
from tests.end_to_end.room import ROOT, Room
from tests.network_faults.classroom import IMAGE_BYTES, LIMIT

LIBFAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)

WALL_CLOCK = {"time", "time_ns", "localtime", "gmtime", "ctime", "now", "utcnow", "today", "fromtimestamp"}
"""Names that tell the date, of the modules time and datetime; monotonic and perf_counter do not."""

DATED = {
    "broadcaster/cast_audit.py": "the audit log says when",
    "broadcaster/library/adding.py": "an image says when it was made",
    "broadcaster/saved_cast.py": "what a crash has left behind is removed after days",
}
"""Modules that may ask for the date, and what for; no timer is among them."""

YEAR = 365 * 24 * 3600


def modules() -> list[Path]:
    packages = ("protocol", "broadcaster", "receiver", "dashboards", "slatecast")
    return sorted(path.relative_to(ROOT) for package in packages for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("module", modules(), ids=str)
def test_row_34_no_timer_reads_the_wall_clock(module: Path) -> None:
    readings = list(wall_clock_readings(ast.parse((ROOT / module).read_text(encoding="utf-8"))))
    assert not readings or str(module) in DATED, f"{module} reads the wall clock in lines {readings}"


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import time\ntime.time()", [2]),
        ("import time\ntime.monotonic()", []),
        ("from time import time\ntime()", [1]),
        ("import datetime\nnow = datetime.datetime.now()", [2]),
        ("from datetime import datetime\ndatetime.now()", [2]),
        ("session.now()", []),
    ],
)
def test_the_wall_clock_is_seen(source: str, lines: list[int]) -> None:
    assert list(wall_clock_readings(ast.parse(source))) == lines


def wall_clock_readings(tree: ast.Module) -> Iterator[int]:
    """Lines that ask time or datetime for the date."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module="time", names=names) if WALL_CLOCK & {name.name for name in names}:
                yield node.lineno
            case ast.Attribute(value=ast.Name(id="time" | "datetime" | "date"), attr=name) if name in WALL_CLOCK:
                yield node.lineno
            case ast.Attribute(value=ast.Attribute(attr="datetime" | "date"), attr=name) if name in WALL_CLOCK:
                yield node.lineno


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.skipif(LIBFAKETIME is None, reason="needs libfaketime: apt-get install faketime")
@pytest.mark.parametrize("jump", [YEAR, -YEAR], ids=["row 34: a year ahead", "row 34: a year back"])
def test_a_receiver_whose_clock_jumps_goes_on(room: Room, jump: int) -> None:
    """Only a receiver: libfaketime 0.9.10 refuses the short waits of a broadcaster (clock_nanosleep, EINVAL)."""
    offset = room.folder / "offset"
    offset.write_text("+0")
    faked = {
        "LD_PRELOAD": str(LIBFAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    source, target = room.source(size=IMAGE_BYTES), room.target("seat", IMAGE_BYTES)
    cast = room.cast(source, "--rate", "32M")
    watch = room.watch(cast.broker())
    argv = ("receive", "--once", "--target", target, "--interface", "lo", "--seat", "seat", "--server", cast.door())
    receiver = room.start(*argv, environment=faked)
    watch.until(ReceiverReport, lambda report: 0 < report.blocks_missing < 0.8 * report.blocks_total)
    offset.write_text(f"{jump:+d}")
    dated = room.start_python("-c", "import time; print(time.time())", environment=faked)
    assert dated.finish() == 0
    assert abs(float(dated.output.text) - time.time() - jump) < YEAR / 2, "libfaketime does nothing here"
    assert [cast.finish(LIMIT), receiver.finish(LIMIT)] == [0, 0], cast.errors.text
    assert target.read_bytes() == source.read_bytes()
