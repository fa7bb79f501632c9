import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import click
import pytest
from click.testing import CliRunner, Result

from broadcaster.host.backup_gate import NOT_BACKED_UP
from dashboards.fleet.capture_view import CaptureView
from protocol.capture import CaptureStep
from protocol.errors import ConfigError, RefusedError
from protocol.operators import SessionStep
from slatecast.cli import session_planning as module
from slatecast.cli.console_command import the_console
from slatecast.cli.session_planning import image_order, judge_confirmation, plan_and_start
from slatecast.console_api import ConsoleApi
from tests.dashboards.fleet.news import TSI, session_view
from tests.slatecast.played_console import ListeningConsole, listening_console


@pytest.mark.parametrize(
    ("text", "name", "version"), [("lab", "lab", 0), ("lab@3", "lab", 3), ("a@12", "a", 12), ("lab@", "lab", 0)]
)
def test_an_image_as_operators_write_it(text: str, name: str, version: int) -> None:
    assert image_order(text) == {"image": name, "version": version}


@pytest.mark.parametrize("text", ["lab@x", "lab@0", "lab@-1", "lab@1@2", "lab@²", "lab@1.5"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="write NAME, or NAME@VERSION"):
        image_order(text)


def test_somebody_has_to_confirm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "somebody_is_there", lambda: False)
    judge_confirmation(3, yes=True)
    with pytest.raises(ConfigError, match="--yes needs --expect"):
        judge_confirmation(None, yes=True)
    with pytest.raises(ConfigError, match="nobody can be asked"):
        judge_confirmation(3, yes=False)
    monkeypatch.setattr(module, "somebody_is_there", lambda: True)
    judge_confirmation(None, yes=False)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[ListeningConsole]:
    with listening_console(tmp_path) as console:
        yield console


def planned(console: ListeningConsole, typed: str = "", *, expect: int | None = None) -> Result:
    """What became of a plan for a room, with this typed where it asks."""
    address = the_console(url=None, api_token_file=None, ca_file=None, state=console.state, config_file=None)
    order = {"room": "Room 1", "image": "lab-ubuntu", "version": 0, "rate_bits_per_second": 0, "seats": []}

    @click.command()
    def command() -> str:
        return plan_and_start(address, order, expect=expect, wait=0, yes=expect is not None)

    return CliRunner().invoke(command, [], input=typed, standalone_mode=False)


def steps(console: ListeningConsole) -> list[SessionStep]:
    return [played.step for played in console.desk.played.sessions.values()]


@pytest.mark.system
@pytest.mark.slow
class TestPlans:
    def test_room_and_number_are_typed(self, console: ListeningConsole) -> None:
        refused = planned(console, expect=999)
        count = int(str(refused.exception).partition(" ")[0])
        started = planned(console, typed=f"Room 1\n{count}\n")
        assert started.exception is None, started.output
        assert f"{count} disks will be overwritten" in started.output
        assert started.output.endswith(f"session {started.return_value} has started\n")
        assert steps(console)[-1] not in {SessionStep.PLANNED, SessionStep.ENDED}

    @pytest.mark.parametrize("typed", ["Room 2\n24\n", "Room 1\n1\n"])
    def test_what_is_mistyped_drops_the_plan(self, console: ListeningConsole, typed: str) -> None:
        ended = planned(console, typed)
        assert isinstance(ended.exception, RefusedError)
        assert ended.stderr.endswith("the plan was dropped; nothing was written\n")
        assert steps(console) == [SessionStep.ENDED]

    def test_who_gives_up_drops_the_plan(self, console: ListeningConsole) -> None:
        assert isinstance(planned(console).exception, click.Abort)
        assert steps(console) == [SessionStep.ENDED]

    def test_another_number_drops_the_plan(self, console: ListeningConsole) -> None:
        ended = planned(console, expect=999)
        assert isinstance(ended.exception, RefusedError)
        assert "seats can be overwritten, not 999: the table says why" in str(ended.exception)
        assert steps(console) == [SessionStep.ENDED]


class HeldConsole:
    """Refuses to start a plan this often, and says what is captured meanwhile."""

    def __init__(self, refusals: list[str], captures: list[CaptureView]) -> None:
        self.refusals = refusals
        self.captures = captures
        self.is_started = False

    async def post(self, path: str, _body: object) -> None:
        assert path == f"sessions/{TSI}/start"
        if self.refusals:
            raise RefusedError(self.refusals.pop(0))
        self.is_started = True

    async def get(self, path: str, _shape: object) -> list[CaptureView]:
        assert path == "captures"
        return self.captures


def backup_of(machine: str, step: CaptureStep) -> CaptureView:
    return CaptureView("c", machine, "pc-01", "b", True, step, "", 0, "", 0, 0, 0, 0, 0, 0, "")


async def started(console: HeldConsole, machine: str) -> None:
    view = session_view("planned")
    (seat,) = view.seats
    of_machine = replace(view, tsi=TSI, seats=(replace(seat, machine=machine),))
    await module._start(cast("ConsoleApi", console), of_machine, {})


@pytest.mark.asyncio
async def test_a_start_waits_for_backups(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN", 0.0)
    monkeypatch.setattr(module, "BACKUP_NEWS", 0.0)
    refusals = [f"{NOT_BACKED_UP}: pc-01 ({share}%)" for share in (0, 0, 50)]
    console = HeldConsole(list(refusals), [backup_of("m", CaptureStep.RUNNING)])
    await started(console, "m")
    assert console.is_started
    assert capsys.readouterr().err == f"{refusals[0]}\n{refusals[2]}\n"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("refusal", "captures"),
    [
        (f"{NOT_BACKED_UP}: pc-01 (no room)", [backup_of("m", CaptureStep.FAILED)]),
        (f"{NOT_BACKED_UP}: pc-01 (0%)", [backup_of("another", CaptureStep.RUNNING)]),
        ("the plan has ended", [backup_of("m", CaptureStep.RUNNING)]),
    ],
)
async def test_a_start_that_nothing_helps_is_refused(
    monkeypatch: pytest.MonkeyPatch, refusal: str, captures: list[CaptureView]
) -> None:
    monkeypatch.setattr(module, "BACKUP_NEWS", 0.0)
    console = HeldConsole([refusal], captures)
    with pytest.raises(RefusedError, match=re.escape(refusal)):
        await started(console, "m")
    assert not console.is_started
