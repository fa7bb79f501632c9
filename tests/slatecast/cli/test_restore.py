from collections.abc import Callable, Iterator
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from protocol.backup_names import backup_name
from protocol.errors import ConfigError, RefusedError, SlatecastError
from protocol.operators import SessionStep
from slatecast.cli import session_planning as planning_module
from slatecast.cli.restore import restore
from tests.slatecast.played_console import ListeningConsole, listening_console

pytestmark = [pytest.mark.system, pytest.mark.slow]

Run = Callable[..., Result]


@pytest.fixture
def console(tmp_path: Path) -> Iterator[ListeningConsole]:
    """A console whose library holds two backups of each machine of the front row that is there."""
    with listening_console(tmp_path) as console:
        fleet = console.desk.played
        for seat in fleet.rooms.rooms[0].seats[:3]:
            fleet.images += [fleet._image(backup_name(seat.machine), version) for version in (2, 1)]
        console.desk.advance(1)
        yield console


@pytest.fixture
def run(console: ListeningConsole) -> Run:
    def run(*arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(
            restore, [*arguments, "--state", str(console.state)], input=typed, standalone_mode=False
        )

    return run


def seat_name(console: ListeningConsole, index: int = 0) -> str:
    return console.desk.played.rooms.rooms[0].seats[index].name


def planned(console: ListeningConsole) -> list[tuple[str, int, int, SessionStep]]:
    sessions = console.desk.played.sessions.values()
    return [(each.image, each.version, len(each.seats), each.step) for each in sessions]


@pytest.mark.parametrize(("options", "version"), [([], 2), (["--version", "1"], 1)])
def test_one_seat_gets_its_own_backup(console: ListeningConsole, run: Run, options: list[str], version: int) -> None:
    name = backup_name(console.desk.played.rooms.rooms[0].seats[0].machine)
    ran = run(seat_name(console), "--yes", "--wait", "0", *options)
    assert ran.exception is None, ran.output
    (only,) = planned(console)
    assert only[:3] == (name, version, 1)
    assert only[3] not in (SessionStep.PLANNED, SessionStep.ENDED)


def test_it_is_confirmed(console: ListeningConsole, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning_module, "somebody_is_there", lambda: True)
    ran = run(seat_name(console), "--wait", "0", typed="Room 1\n2\n")
    assert isinstance(ran.exception, RefusedError)
    assert [each[3] for each in planned(console)] == [SessionStep.ENDED]
    ran = run(seat_name(console), "--wait", "0", typed="")
    assert isinstance(ran.exception, click.Abort)
    ran = run(seat_name(console), "--wait", "0", typed="Room 1\n1\n")
    assert ran.exception is None, ran.output


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["99"], ConfigError, "there is no seat '99'"),
        (["01", "--room", "Attic"], ConfigError, "there is no room 'Attic'"),
        (["01", "--version", "7"], RefusedError, "has no backup of version 7: choose one of 1, 2"),
    ],
)
def test_what_is_not_there(
    console: ListeningConsole, run: Run, arguments: list[str], error: type[SlatecastError], words: str
) -> None:
    ran = run(*[seat_name(console) if each == "01" else each for each in arguments], "--yes")
    assert isinstance(ran.exception, error), ran.exception
    assert words in str(ran.exception)
    assert planned(console) == []


def test_a_seat_without_backup_or_machine(console: ListeningConsole, run: Run) -> None:
    ran = run(seat_name(console, 5), "--yes")
    assert "has no backup: nothing was captured of machine" in str(ran.exception)
    fleet = console.desk.played
    first, *others = fleet.rooms.rooms
    seats = (msgspec.structs.replace(first.seats[0], machine=""), *first.seats[1:])
    fleet.rooms = msgspec.structs.replace(fleet.rooms, rooms=(msgspec.structs.replace(first, seats=seats), *others))
    ran = run(seat_name(console), "--yes")
    assert "no machine stands on seat" in str(ran.exception)


def test_nobody_can_be_asked(run: Run) -> None:
    ran = run("01")
    assert "nobody can be asked" in str(ran.exception)
