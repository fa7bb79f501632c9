from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from protocol.configuration import GrowStep, Restart, SeatConfiguration, StepReport, StepState
from protocol.errors import RefusedError, SlatecastError, TransportError
from receiver.configure.service import ConfigureOutcome
from slatecast.seat import configuring
from slatecast.seat.configuring import configure_disk
from slatecast.seat.events import Afterwards, ConfigurationEnded, StepReported
from tests.slatecast.seat.facts import TSI

pytestmark = pytest.mark.asyncio


class Broadcaster:
    """A seat API that has one configuration, or troubles."""

    def __init__(self, *answers: bytes | Exception | None) -> None:
        self.answers = list(answers)
        self.steps: list[StepReport] = []
        self.fetched: list[Path] = []
        self.troubles: list[SlatecastError] = []
        """of the next requests for files, and reports"""

    async def configuration(self, _tsi: str) -> bytes | None:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def fetch_file(self, _tsi: str, _digest: bytes, path: Path) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.fetched.append(path)

    async def report_step(self, _tsi: str, body: bytes) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.steps.append(msgspec.json.decode(body, type=StepReport))


def a_configuration(restart: Restart = Restart.REBOOT) -> bytes:
    return msgspec.json.encode(SeatConfiguration(tsi=TSI, seat="pc-14", steps=(GrowStep(),), restart=restart))


async def configured(broadcaster: Broadcaster, told: list[StepReported] | None = None) -> ConfigurationEnded:
    tell = (told if told is not None else []).append
    return await configure_disk(TSI, "disk", cast(Any, broadcaster), tell)


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the steps come to."""
    outcome: dict[str, Any] = {"state": StepState.DONE, "is_complete": True}

    async def configure(disk: str, configuration: SeatConfiguration, fetch: Any, report: Any) -> ConfigureOutcome:
        assert disk == "disk"
        if file := outcome.get("file"):
            await fetch(bytes(32), file)
        step = StepReport(name="grow", index=0, state=outcome["state"], text="no space")
        with suppress(SlatecastError):  # as the real one
            await report(step)
        restart = configuration.restart if outcome["is_complete"] else Restart.STAY
        return ConfigureOutcome((step,), outcome["is_complete"], restart)

    monkeypatch.setattr(configuring, "configure", configure)
    monkeypatch.setattr(configuring, "RETRY_SECONDS", 0.0)
    return outcome


@pytest.mark.parametrize(
    ("restart", "afterwards"),
    [
        (Restart.REBOOT, Afterwards.RESTART),
        (Restart.POWEROFF, Afterwards.POWER_OFF),
        (Restart.STAY, Afterwards.STAY),
    ],
)
async def test_each_step_is_told_here_and_there(restart: Restart, afterwards: Afterwards) -> None:
    broadcaster, told = Broadcaster(a_configuration(restart)), list[StepReported]()
    assert await configured(broadcaster, told) == ConfigurationEnded(afterwards)
    assert told == [StepReported("grow", StepState.DONE, "no space")]
    assert [step.name for step in broadcaster.steps] == ["grow"]


async def test_a_failure_leaves_the_pc_on(steps: dict[str, Any]) -> None:
    steps.update(state=StepState.FAILED, is_complete=False)
    assert await configured(Broadcaster(a_configuration())) == ConfigurationEnded(Afterwards.STAY, "grow: no space")


async def test_nothing_to_do() -> None:
    assert await configured(Broadcaster(None)) == ConfigurationEnded(Afterwards.RESTART, is_configured=False)


async def test_a_broadcaster_that_is_away_is_asked_again() -> None:
    broadcaster = Broadcaster(TransportError("away"), TransportError("away"), a_configuration())
    assert await configured(broadcaster) == ConfigurationEnded(Afterwards.RESTART)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (RefusedError("no such session"), "the configuration cannot be fetched: no such session"),
        (b"{}", "the configuration cannot be fetched: SeatConfiguration: "),
    ],
)
async def test_what_cannot_be_fetched_leaves_the_pc_on(answer: bytes | Exception, fault: str) -> None:
    ended = await configured(Broadcaster(answer))
    assert (ended.afterwards, ended.fault.startswith(fault)) == (Afterwards.STAY, True)


async def test_a_broadcaster_that_restarts_in_the_middle_hands_out_files_and_hears_the_reports(
    steps: dict[str, Any], tmp_path: Path
) -> None:
    broadcaster = Broadcaster(a_configuration())
    steps["file"] = tmp_path / "file"
    broadcaster.troubles = [TransportError("away")] * 5
    assert await configured(broadcaster) == ConfigurationEnded(Afterwards.RESTART)
    assert broadcaster.fetched == [steps["file"]]
    assert broadcaster.troubles == []
    assert [step.name for step in broadcaster.steps] == ["grow"]


async def test_a_report_that_nobody_wants_is_not_repeated() -> None:
    broadcaster = Broadcaster(a_configuration())
    broadcaster.troubles = [RefusedError("no such step")]
    assert await configured(broadcaster) == ConfigurationEnded(Afterwards.RESTART)
    assert broadcaster.steps == []
