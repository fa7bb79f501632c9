import json
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from dashboards.desk_rules import to_overwrite
from protocol.errors import ConfigError, RefusedError
from protocol.operators import SessionStep
from slatecast.cli import session as session_module
from slatecast.cli import session_planning as planning_module
from slatecast.cli.session import session
from tests.slatecast.played_console import ListeningConsole, listening_console

pytestmark = [pytest.mark.system, pytest.mark.slow]

Run = Callable[..., Result]


@pytest.fixture
def console(tmp_path: Path) -> Iterator[ListeningConsole]:
    with listening_console(tmp_path) as console:
        yield console


@pytest.fixture
def run(console: ListeningConsole) -> Run:
    """A command on that console."""

    def run(name: str, *arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(
            session, [name, *arguments, "--state", str(console.state)], input=typed, standalone_mode=False
        )

    return run


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (session_module, planning_module):
        monkeypatch.setattr(module, "somebody_is_there", lambda: True)


def steps(console: ListeningConsole) -> list[SessionStep]:
    return [played.step for played in console.desk.played.sessions.values()]


def planned_seats(console: ListeningConsole) -> int:
    """How many seats of a plan for the room would be overwritten, by the console's own count."""
    fleet = console.desk.played
    tsi = fleet.plan("Room 1")
    console.desk.advance(120)
    view = console.desk.session(tsi)
    assert view is not None
    count = len(to_overwrite(view))
    fleet.stop(tsi)
    console.desk.advance(1)
    return count


def test_without_asking(console: ListeningConsole, run: Run) -> None:
    count = planned_seats(console)
    ran = run("start", "lab-ubuntu@1", "--room", "Room 1", "--expect", str(count), "--yes", "--wait", "0")
    assert ran.exception is None, ran.output
    assert "plan" in ran.output
    assert "has started" in ran.output
    assert steps(console)[-1] not in (SessionStep.PLANNED, SessionStep.ENDED)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (["lab-ubuntu", "--room", "Room 1", "--yes"], ConfigError, "--yes needs --expect"),
        (["lab-ubuntu", "--room", "Room 1"], ConfigError, "nobody can be asked: give --expect and --yes"),
        (["lab@x", "--room", "Room 1", "--expect", "1", "--yes"], ConfigError, "write NAME, or NAME@VERSION"),
        (["lab@0", "--room", "Room 1", "--expect", "1", "--yes"], ConfigError, "write NAME, or NAME@VERSION"),
        (["lab-ubuntu", "--room", "Attic", "--expect", "1", "--yes"], RefusedError, "there is no room 'Attic'"),
        (["nothing", "--room", "Room 1", "--expect", "1", "--yes"], RefusedError, "nothing"),
    ],
)
def test_what_cannot_be_opens_no_plan(
    console: ListeningConsole, run: Run, arguments: list[str], error: type[Exception], text: str
) -> None:
    ran = run("start", *arguments)
    assert isinstance(ran.exception, error), ran.exception
    assert text in str(ran.exception)
    assert steps(console) == []


def test_a_cast_is_followed_to_its_end(console: ListeningConsole, run: Run) -> None:
    tsi = console.desk.played.plan("Room 1")
    console.desk.played.start(tsi)
    ran = run("watch")
    assert ran.exception is None, ran.output
    assert ran.return_value in (4, 5)  # some of the played seats fail
    assert "started: countdowns run at the seats" in ran.output
    assert "seats verified" in ran.output


def test_lists(console: ListeningConsole, run: Run) -> None:
    assert run("list").output == "no session is open\n"
    tsi = console.desk.played.plan("Room 1")
    console.desk.advance(1)
    assert tsi in run("list").output
    assert json.loads(run("list", "--json").output)[0]["tsi"] == tsi


def test_nothing_to_watch(run: Run) -> None:
    assert "no session is open: 'slatecast session start' begins one" in str(run("watch").exception)
    assert "there is no such session" in str(run("watch", "0" * 16).exception)
    assert "is no session: 'slatecast session list' names them" in str(run("watch", "lab").exception)


@pytest.mark.usefixtures("terminal")
def test_stopping_is_asked_for(console: ListeningConsole, run: Run) -> None:
    tsi = console.desk.played.plan("Room 1")
    console.desk.played.start(tsi)
    console.desk.advance(1)
    assert isinstance(run("stop", tsi, typed="n\n").exception, click.Abort)
    assert steps(console) != [SessionStep.ENDED]
    assert run("stop", tsi, typed="y\n").output.endswith(f"session {tsi} is stopped\n")
    assert steps(console) == [SessionStep.ENDED]


def test_stopping_where_nobody_can_be_asked(console: ListeningConsole, run: Run) -> None:
    played = console.desk.played
    plan = played.plan("Room 1")
    console.desk.advance(1)
    assert run("stop", plan).exception is None  # nothing has been written
    running = played.plan("Room 1")
    played.start(running)
    console.desk.advance(1)
    assert "needs --yes" in str(run("stop", running).exception)
    assert run("stop", running, "--yes").exception is None
