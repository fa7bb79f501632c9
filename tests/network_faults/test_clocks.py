"""Clocks that jump: row 34 of the table of faults. What lasts is measured by the monotonic clock alone."""

import ast
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.messages import ReceiverReport
from tests.end_to_end.room import ROOT, Room
from tests.network_faults.classroom import IMAGE_BYTES, LIMIT

WALL_CLOCK = {"time", "time_ns", "localtime", "gmtime", "ctime", "now", "utcnow", "today", "fromtimestamp"}
"""Names that tell the date, of the modules time and datetime; monotonic and perf_counter do not."""

DATED = {
    "broadcaster/environment/boot_image.py": "no clock: a time that was given is written in words",
    "broadcaster/cast_audit.py": "the audit log says when",
    "broadcaster/configurations/served.py": "a written disk has started at that time",
    "broadcaster/host/boot_desk.py": "a boot order ends at that time, whichever process reads it",
    "broadcaster/host/hosted_session.py": "operators are told when something happened",
    "broadcaster/host/newsroom.py": "operators are told how old the news are, by whose clock",
    "broadcaster/host/restores.py": "a session says when it was opened",
    "broadcaster/captures/desk.py": "a capture says when it was asked for",
    "broadcaster/host/session_commands.py": "a session says when it was opened",
    "broadcaster/library/adding.py": "an image says when it was made",
    "broadcaster/netboot/service.py": "a boot order ends at that time, whichever process reads it",
    "broadcaster/saved_cast.py": "what a crash has left behind is removed after days",
    "slatecast/cli/image_files.py": "when a file was changed is shown",
    "dashboards/access/access.py": "accounts and tokens get it from there",
    "dashboards/access/accounts.py": "an account says when it was made and last used",
    "dashboards/access/tokens.py": "a token ends on a day that was chosen",
    "dashboards/api/work.py": "long work says when it began",
    "dashboards/console.py": "the history says when a session ended",
    "dashboards/history/store.py": "old sessions are forgotten after years, and a damaged file gets a dated name",
    "dashboards/link.py": "the broadcaster's clock is compared with ours, and a difference told",
    "dashboards/notices/events.py": "a notice says when it happened",
    "dashboards/notices/mail.py": "a letter has a date",
    "dashboards/notices/notifier.py": "events get it from there",
    "dashboards/operator_desk.py": "a picture says when it was made",
    "dashboards/pages/local_time.py": "times are shown",
    "dashboards/pages/token_panel.py": "a token's last day is chosen",
    "dashboards/rooms/book.py": "a revision says when it was saved; a file's time is compared with now",
}
"""Modules that may ask for the date, and what for; no timer is among them."""

DAY = 24 * 3600
YEAR = 365 * DAY


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


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library to preload."""
    library = tmp_path_factory.mktemp("clock") / "wall_clock.so"
    compiler = shutil.which("cc")
    assert compiler is not None, "the packages' own kernels were compiled by one"
    source = Path(__file__).parent / "wall_clock.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
    return library


class Clocked:
    """A cast to one seat, in which one of both has a clock of its own."""

    def __init__(self, room: Room, shim: Path, who: str, offset: float) -> None:
        self.room = room
        self._offset = room.folder / "offset"
        self.set_clock(offset)
        self.faked = {"LD_PRELOAD": str(shim), "WALL_CLOCK_OFFSET_FILE": str(self._offset)}
        self.source, self.target = room.source(size=IMAGE_BYTES), room.target("seat", IMAGE_BYTES)
        cast = ("cast", self.source, "--library", room.library, "--interface", "lo", "--rate", "32M")
        self.cast = room.start(*cast, environment=self.faked if who == "broadcaster" else {})
        seat = ("--target", self.target, "--interface", "lo", "--seat", "seat", "--server", self.cast.door())
        self.watch = room.watch(self.cast.broker())
        self.receiver = room.start("receive", "--once", *seat, environment=self.faked if who == "receiver" else {})

    def set_clock(self, offset: float) -> None:
        """[s] from the true time, from now on."""
        new = self._offset.with_suffix(".new")
        new.write_text(f"{offset:.0f}")
        new.rename(self._offset)

    def prove(self, offset: float) -> None:
        """The clock is off as it should, and it does not matter."""
        dated = self.room.start_python("-c", "import time; print(time.time())", environment=self.faked)
        assert dated.finish() == 0
        assert abs(float(dated.output.text) - time.time() - offset) < 60, "the clock is right"
        codes = [self.cast.finish(LIMIT), self.receiver.finish(LIMIT)]
        assert codes == [0, 0], self.cast.errors.text + self.receiver.errors.text
        assert self.target.read_bytes() == self.source.read_bytes()


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.parametrize("who", ["receiver", "broadcaster"])
@pytest.mark.parametrize("jump", [YEAR, -YEAR], ids=["row 34: a year ahead", "row 34: a year back"])
def test_one_whose_clock_jumps_goes_on(room: Room, shim: Path, who: str, jump: int) -> None:
    clocked = Clocked(room, shim, who, 0)
    clocked.watch.until(ReceiverReport, lambda report: 0 < report.blocks_missing < 0.8 * report.blocks_total)
    clocked.set_clock(jump)
    clocked.prove(jump)


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.parametrize("who", ["receiver", "broadcaster"])
@pytest.mark.parametrize(
    "offset", [YEAR, -YEAR, None], ids=["row 34: a year ahead", "row 34: a year back", "row 34: no battery"]
)
def test_keys_enrolment_and_certificates_need_no_clock(room: Room, shim: Path, who: str, offset: int | None) -> None:
    """The broadcaster makes its keys by that clock; without a battery a clock begins in 1970."""
    seconds = DAY - time.time() if offset is None else offset
    Clocked(room, shim, who, seconds).prove(seconds)
