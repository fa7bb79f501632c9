from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from protocol.capture import CaptureStep
from protocol.commands import CaptureMachine
from protocol.errors import RefusedError
from slatecast.cli import image_capture as module
from slatecast.cli.image import image
from tests.dashboards.played_captures import RUNNING, PlayedCaptures
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


def played(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Let this become of every capture."""

    def play(captures: PlayedCaptures, _seconds: float) -> None:
        for capture_id in captures.all:
            captures.change(capture_id, **changes)

    monkeypatch.setattr(PlayedCaptures, "play", play)


def test_it_is_followed_to_its_end(console: ListeningConsole) -> None:
    ran = run(console)
    assert ran.exception is None, ran.output
    assert "captured pc-1: image windows, version 1" in ran.output
    assert "were found" not in ran.output


def test_what_was_found_is_told(console: ListeningConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, step=CaptureStep.DONE, version=3, findings=2)
    ran = run(console)
    assert ran.exception is None, ran.output
    assert "captured pc-1: image windows, version 3" in ran.output
    assert "2 things were found" in ran.output


def test_what_it_waits_for_is_told_and_that_it_goes_on(
    console: ListeningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    course: list[dict[str, Any]] = [
        {"step": CaptureStep.RUNNING, "reason": "the library is full", "done": 0.25, "read_bytes": 25, "disk_size": 0},
        {"reason": "", "done": 0.5, "read_bytes": 50},
        {"step": CaptureStep.DONE, "version": 1},
    ]
    shown: list[tuple[str, int, int]] = []

    def play(captures: PlayedCaptures, _seconds: float) -> None:
        for capture_id in captures.all:
            captures.change(capture_id, **course[len(set(shown))])

    monkeypatch.setattr(PlayedCaptures, "play", play)
    monkeypatch.setattr(module, "progress_bars", lambda: nullcontext(lambda *given: shown.append(given)))
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    ran = run(console)
    assert "the library is full\nit goes on\ncaptured pc-1" in ran.output
    assert list(dict.fromkeys(shown)) == [("running", 25, 100), ("running", 50, 100)]


def test_its_failure_is_told(console: ListeningConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, step=CaptureStep.REFUSED, reason="BitLocker is on")
    ran = run(console)
    assert isinstance(ran.exception, RefusedError)
    assert str(ran.exception) == "the capture of pc-1 is refused: BitLocker is on"


def test_one_that_is_forgotten_is_given_up(console: ListeningConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlayedCaptures, "begin", lambda *_, **__: RUNNING)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    ran = run(console)
    assert isinstance(ran.exception, RefusedError)
    assert "does not know the capture" in str(ran.exception)
