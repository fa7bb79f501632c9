import asyncio
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console

from protocol.capture import CaptureState, CaptureStep, CaptureWish
from protocol.errors import ConfigError, RefusedError, TargetError, TransportError
from protocol.manifest import CHUNK_SIZE
from receiver.capture import patience
from slatecast.cli import capture as module
from slatecast.cli.capture import _capture, capture
from tests.receiver.capture.fake_library import FakeLibrary
from tests.receiver.capture.reference_disk import ext4_file, filled, noise, put
from tests.receiver.capture.reference_disk import run as shell
from tests.receiver.loop_device import needs_root

WISH = CaptureWish(image="lab", machine="desk", target="disk", disk_size=1)


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DECISION_INTERVAL", 0.001)
    monkeypatch.setattr(patience, "SHORTEST_WAIT", 0.0001)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return put(tmp_path, "disk.img", noise(3 * CHUNK_SIZE))


class Deciding(FakeLibrary):
    """An operator makes up his mind after a few questions."""

    def __init__(self, decision: CaptureStep, reason: str = "") -> None:
        super().__init__()
        self.state = msgspec.structs.replace(self.state, step=CaptureStep.ASKED)
        self._decision = msgspec.structs.replace(self.state, step=decision, reason=reason, accepts=("dirty",))
        self.asked = 0

    async def capture_state(self, capture_id: str) -> CaptureState:
        self.asked += 1
        if self.asked == 3:
            self.state = self._decision
        return await super().capture_state(capture_id)


def run(library: FakeLibrary, disk: Path) -> int:
    return asyncio.run(_capture(library, WISH, disk, (), Console(stderr=True)))


def test_an_operator_allows_it(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library = Deciding(CaptureStep.ORDERED)
    assert run(library, disk) == 0
    assert library.disk == disk.read_bytes()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "waiting: an operator must allow the capture of lab"
    assert lines[-1].startswith("captured as lab@1: ")


def test_an_operator_refuses_it(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library = Deciding(CaptureStep.REFUSED, "not today")
    assert run(library, disk) == 3
    assert not library.taken
    assert capsys.readouterr().err.splitlines()[-1] == "the capture of lab was refused: not today"


def test_an_operator_stops_it(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Deciding(CaptureStep.FAILED, "stopped"), disk) == 4
    assert "has failed: stopped" in capsys.readouterr().err


def test_a_machine_that_was_just_interrupted_waits_until_it_is_believed(
    disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Believing(FakeLibrary):
        refusals = 3

        async def wish_capture(self, wish: CaptureWish) -> CaptureState:
            if self.refusals:
                self.refusals -= 1
                raise RefusedError("this machine is captured already")
            return await super().wish_capture(wish)

    assert run(Believing(), disk) == 0
    assert capsys.readouterr().err.splitlines()[:2] == ["waiting: this machine is captured already", "goes on"]


def test_a_wish_that_stays_refused(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TAKEOVER_PATIENCE", 0.0)

    class Refusing(FakeLibrary):
        async def wish_capture(self, wish: CaptureWish) -> CaptureState:
            raise RefusedError("too many wait")

    with pytest.raises(RefusedError, match="too many wait"):
        run(Refusing(), disk)


def invoked(*arguments: str) -> BaseException | None:
    return CliRunner().invoke(capture, arguments, standalone_mode=False).exception


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--name is missing"),
        (("--name", "a/b"), "use letters"),
        (("--name", "lab", "--machine", "\x1b"), "--machine must be"),
        (("--name", "lab", "--accept", ""), "--accept must be"),
        (("--name", "lab", *["--accept", "dirty"] * 33), "32 times at most"),
    ],
)
def test_what_cannot_be(disk: Path, arguments: tuple[str, ...], words: str) -> None:
    error = invoked("--target", str(disk), *arguments)
    assert isinstance(error, ConfigError)
    assert words in str(error)


def test_a_target_that_is_none(tmp_path: Path) -> None:
    for target, words in ((tmp_path / "none", "does not exist"), (tmp_path, "is a directory")):
        error = invoked("--name", "lab", "--target", str(target))
        assert isinstance(error, TargetError)
        assert words in str(error)


def test_nobody_there(disk: Path) -> None:
    error = invoked(
        "--name", "lab", "--target", str(disk), "--server", "127.0.0.1:1", "--wait", "0", "--token", "a b c d"
    )
    assert isinstance(error, TransportError)


def test_ctrl_c_says_that_it_goes_on(
    disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "broadcaster_at", interrupted)
    result = CliRunner().invoke(capture, ["--name", "lab", "--target", str(disk)], standalone_mode=False)
    assert result.return_value == 130
    assert "the same command sends the rest" in result.stderr


@needs_root
@pytest.mark.system
def test_only_looking(tmp_path: Path) -> None:
    image = ext4_file(tmp_path / "ext4.img")
    with filled(image, tmp_path / "root") as root:
        put(root, "etc/machine-id", "0123\n")
    result = CliRunner().invoke(capture, ["--target", str(image), "--inspect-only"], standalone_mode=False)
    assert result.return_value == 0
    assert "warning [machine-id] the disk: /etc/machine-id" in result.stdout
    run_debugfs(image)
    for accepts, code in (([], 3), (["--accept", "dirty"], 0)):
        result = CliRunner().invoke(
            capture, ["--target", str(image), "--inspect-only", *accepts], standalone_mode=False
        )
        assert result.return_value == code, result.stderr
        assert "refusal [dirty]" in result.stdout


def run_debugfs(image: Path) -> None:
    """As if the machine had been switched off."""
    shell("debugfs", "-w", "-R", "set_super_value state 0", image)
