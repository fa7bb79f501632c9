from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from protocol.capture import CaptureStep
from protocol.commands import CaptureMachine
from protocol.errors import RefusedError
from slatecast.cli import image_capture as module
from slatecast.cli.image import image
from tests.dashboards import played_captures
from tests.dashboards.played_captures import RUNNING, capture
from tests.slatecast.played_console import ListeningConsole, listening_console

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture
def console(tmp_path: Path) -> Iterator[ListeningConsole]:
    with listening_console(tmp_path) as console:
        yield console


def run(console: ListeningConsole, *options: str) -> Result:
    arguments = ["capture", "pc-1", "--name", "windows", *options, "--state", str(console.state)]
    return CliRunner().invoke(image, arguments, standalone_mode=False)


def test_it_is_only_ordered(console: ListeningConsole) -> None:
    ran = run(console, "--accept", "dirty", "--no-wait")
    assert ran.exception is None, ran.output
    assert ran.output == "the capture of pc-1 is ordered: its image will be windows\n"
    command = CaptureMachine(machine="pc-1", image="windows", accepts=("dirty",))
    assert [given for given, _operator in console.desk.capture_orders.given] == [command]


def test_it_is_followed_to_its_end(console: ListeningConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(played_captures, "CAPTURES", (capture(RUNNING, CaptureStep.DONE),))
    ran = run(console)
    assert ran.exception is None, ran.output
    assert "captured pc-1: image windows, version 3" in ran.output
    assert "1 things were found" in ran.output


def test_its_failure_is_told(console: ListeningConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = capture(RUNNING, CaptureStep.REFUSED, reason="BitLocker is on")
    monkeypatch.setattr(played_captures, "CAPTURES", (failed,))
    ran = run(console)
    assert isinstance(ran.exception, RefusedError)
    assert str(ran.exception) == "the capture of pc-1 is refused: BitLocker is on"


def test_one_that_is_forgotten_is_given_up(console: ListeningConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(played_captures, "CAPTURES", ())
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    ran = run(console)
    assert isinstance(ran.exception, RefusedError)
    assert "does not know the capture" in str(ran.exception)
