import logging
import os
import pty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from protocol.errors import ConfigError, RefusedError, SlatecastError
from slatecast.cli import seat as seat_module
from slatecast.cli.seat import seat
from slatecast.cli.trust_file import write_trust
from slatecast.seat.events import Afterwards
from slatecast.seat.program import SeatPlace
from slatecast.seat.settings import SeatSettings
from tests.sample_messages import DIRECTOR
from tests.slatecast.cli.trusted import trust_of


class Played:
    """Stands for the program: notes what it is started with."""

    settings: SeatSettings
    place: SeatPlace
    had: dict[str, bool]
    error: Exception | None = None

    def __init__(self, settings: SeatSettings, place: SeatPlace) -> None:
        type(self).settings = settings
        type(self).place = place
        type(self).had = {"screen": place.screen is not None, "keys": place.keys is not None}

    async def run(self) -> None:
        self.place.log.say("started")
        logging.getLogger("receiver.x").warning("a\nwarning")
        if self.error is not None:
            raise self.error


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Played]:
    class Fresh(Played):
        pass

    monkeypatch.setattr(seat_module, "SeatProgram", Fresh)
    monkeypatch.setattr(seat_module, "TRUST_FILE", tmp_path / "no-trust")
    monkeypatch.setattr(seat_module, "leave_machine", lambda how: pytest.fail(f"left the machine to {how}"))
    monkeypatch.setenv("TERM", "linux")
    (tmp_path / "cmdline").write_text("slatecast.seat=pc-14\n")
    (tmp_path / "log").write_text("")
    return Fresh


@pytest.fixture
def terminal() -> Iterator[str]:
    eyes, descriptor = pty.openpty()
    yield os.ttyname(descriptor)
    os.close(eyes)
    os.close(descriptor)


def call(tmp_path: Path, *options: object) -> Any:
    given = ["--command-line", tmp_path / "cmdline", "--log", tmp_path / "log", *options]
    return CliRunner().invoke(seat, list(map(str, given)))


def test_without_a_terminal_there_are_lines_alone(tmp_path: Path, played: type[Played]) -> None:
    assert call(tmp_path).exit_code == 0
    assert played.settings.arguments.seat == "pc-14"
    assert played.settings.trust is None
    assert played.had == {"screen": False, "keys": False}
    assert (tmp_path / "log").read_text() == (
        "slatecast: started\nslatecast: note: a\N{REPLACEMENT CHARACTER}warning\n"
    )


def test_a_terminal_has_pictures_and_keys(tmp_path: Path, played: type[Played], terminal: str) -> None:
    assert call(tmp_path, "--console", terminal).exit_code == 0
    assert played.had == {"screen": True, "keys": True}


def test_a_serial_line_that_is_both_has_lines_and_keys(tmp_path: Path, played: type[Played], terminal: str) -> None:
    assert call(tmp_path, "--console", terminal, "--log", terminal).exit_code == 0
    assert played.had == {"screen": False, "keys": True}


def test_it_restarts_nothing_unless_it_may(
    tmp_path: Path, played: type[Played], monkeypatch: pytest.MonkeyPatch
) -> None:
    call(tmp_path)
    played.place.leave(Afterwards.RESTART)
    left: list[Afterwards] = []
    monkeypatch.setattr(seat_module, "leave_machine", left.append)
    call(tmp_path, "--may-restart")
    played.place.leave(Afterwards.POWER_OFF)
    assert left == [Afterwards.POWER_OFF]


def test_the_environments_trust_is_taken_and_another_one_may_be_named(
    tmp_path: Path, played: type[Played], monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = trust_of(DIRECTOR)
    write_trust(tmp_path / "trust", trust, force=False)
    call(tmp_path, "--trust", tmp_path / "trust")
    assert played.settings.trust == trust
    monkeypatch.setattr(seat_module, "TRUST_FILE", tmp_path / "trust")
    call(tmp_path)
    assert played.settings.trust == trust
    (tmp_path / "trust").write_text("{}")
    assert isinstance(call(tmp_path).exception, ConfigError)


@pytest.mark.parametrize("name", ["log", "missing", "/"])
def test_a_console_must_be_a_terminal(tmp_path: Path, name: str) -> None:
    assert isinstance(call(tmp_path, "--console", tmp_path / name).exception, ConfigError)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RefusedError("no"), "slatecast: error: no"),
        (
            KeyError("x"),
            "slatecast: error: the seat's program failed (KeyError: 'x') and is to be started again",
        ),
    ],
)
def test_a_fault_is_one_line(tmp_path: Path, played: type[Played], error: Exception, line: str) -> None:
    played.error = error
    handlers = logging.getLogger().handlers[:]
    result = call(tmp_path)
    assert isinstance(result.exception, SlatecastError)
    assert (tmp_path / "log").read_text().splitlines()[-1] == line
    assert logging.getLogger().handlers == handlers
