import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from broadcaster.configurations import served as module
from broadcaster.configurations.served import ServedConfigurations
from broadcaster.host.hosting import Hosting
from broadcaster.host.kept_reports import KeptReports
from protocol.configuration import (
    FilesStep,
    ScriptStep,
    StepReport,
    StepState,
    beacon_datagram,
    decode_configuration,
)
from protocol.errors import MessageError, RefusedError
from protocol.operators import Severity
from tests.broadcaster.configurations.written import SEATS, Written, hosting
from tests.sample_messages import TSI

pytestmark = [pytest.mark.asyncio, pytest.mark.system]

ONE, TWO, STRANGER = "01" * 16, "02" * 16, "03" * 16
TOML = '[hostname]\n[[files]]\npath = "etc/motd"\ntemplate = "motd"\n[[scripts]]\nsource = "a.sh"\n[beacon]\n'


class Ordered:
    """Sessions of a host, as far as they are asked."""

    def __init__(self) -> None:
        comers = {ONE: SEATS[0].machine, TWO: SEATS[1].machine}
        self.hosting: Hosting = hosting(configuration="lab", comers=comers)
        self.outcomes = {SEATS[0].machine: "verified", SEATS[1].machine: "receiving"}
        self.said: list[tuple[str, Severity]] = []

    def hosting_of(self, tsi: str) -> Hosting:
        if tsi != TSI:
            raise RefusedError("not known")
        return self.hosting

    def outcomes_of(self, tsi: str) -> dict[str, str]:
        return self.outcomes

    def note(self, tsi: str, text: str, severity: Severity, receiver_id: str) -> None:
        self.said.append((text, severity))


@pytest.fixture
def ordered() -> Ordered:
    return Ordered()


@pytest_asyncio.fixture
async def served(
    written: Written, tmp_path: Path, ordered: Ordered, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ServedConfigurations]:
    monkeypatch.setattr(module, "VERIFIED_PATIENCE", 0.0)
    written.write(TOML, motd="seat {{ seat }}\n", a__sh="#!/bin/sh\n")
    async with ServedConfigurations(written.shelf, KeptReports(tmp_path / "reports"), ordered, "127.0.0.1") as made:
        yield made


def step(index: int, state: StepState, text: str = "") -> bytes:
    return msgspec.json.encode(StepReport(name=f"step {index}", index=index, state=state, text=text))


async def test_a_verified_seat_gets_its_own_and_its_files(served: ServedConfigurations, written: Written) -> None:
    body = await served.configuration(TSI, ONE)
    assert body is not None
    configuration = decode_configuration(body)
    assert (configuration.tsi, configuration.seat) == (TSI, "pc-01")
    assert configuration.beacon is not None
    assert (configuration.beacon.host, configuration.beacon.port) == ("127.0.0.1", served.beacons.port)
    _, files, script, _ = configuration.steps
    assert isinstance(files, FilesStep)
    assert isinstance(script, ScriptStep)
    motd = await served.file(TSI, ONE, bytes.fromhex(files.files[0].digest))
    assert motd is not None
    assert motd.read_text() == "seat pc-01\n"
    assert motd.stat().st_mode & 0o777 == 0o600
    assert motd.parent.stat().st_mode & 0o777 == 0o700
    assert await served.file(TSI, ONE, bytes.fromhex(script.file.digest)) == written.folder / "lab/a.sh"
    assert await served.file(TSI, TWO, bytes.fromhex(files.files[0].digest)) is None
    assert await served.file("f" * 16, ONE, bytes.fromhex(files.files[0].digest)) is None
    assert await served.file(TSI, ONE, bytes(32)) is None
    assert await served.configuration(TSI, ONE) == body, "however often it asks"


async def test_the_host_after_a_restart_has_the_files_of_who_works_on_its_steps(
    served: ServedConfigurations, written: Written, tmp_path: Path, ordered: Ordered
) -> None:
    body = await served.configuration(TSI, ONE)
    assert body is not None
    files = decode_configuration(body).steps[1]
    assert isinstance(files, FilesStep)
    digest = bytes.fromhex(files.files[0].digest)
    async with ServedConfigurations(written.shelf, KeptReports(tmp_path / "reports"), ordered, "127.0.0.1") as after:
        motd = await after.file(TSI, ONE, digest)
        assert motd is not None
        assert motd.read_text() == "seat pc-01\n"
        assert await after.file(TSI, TWO, digest) is None
    written.write("[hostname]\nname = 5")
    async with ServedConfigurations(written.shelf, KeptReports(tmp_path / "reports"), ordered, "127.0.0.1") as broken:
        assert await broken.file(TSI, ONE, digest) is None


async def test_nobody_else_gets_any(served: ServedConfigurations, ordered: Ordered) -> None:
    assert await served.configuration(TSI, STRANGER) is None
    assert await served.configuration("f" * 16, ONE) is None
    with pytest.raises(RefusedError, match="Desk 2 is not verified"):
        await served.configuration(TSI, TWO)
    ordered.hosting = msgspec.structs.replace(ordered.hosting, configuration="none")
    assert await served.configuration(TSI, ONE) is None


async def test_a_seat_that_asks_before_its_last_report_is_waited_for(
    served: ServedConfigurations, ordered: Ordered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "VERIFIED_PATIENCE", 60.0)
    monkeypatch.setattr(module, "LOOK_INTERVAL", 0.0)
    asked = asyncio.create_task(served.configuration(TSI, TWO))
    await asyncio.sleep(0)
    ordered.outcomes[SEATS[1].machine] = "verified"
    assert await asked


async def test_steps_are_told_and_kept(served: ServedConfigurations, ordered: Ordered) -> None:
    await served.configuration(TSI, ONE)
    for index in range(4):
        await served.step(TSI, ONE, step(index, StepState.RUNNING))
        await served.step(TSI, ONE, step(index, StepState.DONE))
    await served.step(TSI, ONE, step(3, StepState.DONE))
    assert ordered.said == [("pc-01 is configured", Severity.GOOD)]
    await served.step(TSI, ONE, step(2, StepState.FAILED, "ended with code 1"))
    assert ordered.said[1:] == [("pc-01: step step 2 failed: ended with code 1", Severity.ERROR)]
    (seat,) = served.records.answer(TSI)["seats"]
    assert [each["is_done"] for each in seat["steps"]] == [True, True, False, True]


async def test_reports_of_steps_that_nobody_was_given_are_refused(served: ServedConfigurations) -> None:
    await served.configuration(TSI, ONE)
    for receiver_id, body, error in (
        (TWO, step(0, StepState.DONE), RefusedError),
        (ONE, step(4, StepState.DONE), RefusedError),
        (ONE, b"nonsense", MessageError),
    ):
        with pytest.raises(error):
            await served.step(TSI, receiver_id, body)


async def test_a_configuration_that_was_broken_meanwhile_is_told(
    served: ServedConfigurations, ordered: Ordered, written: Written
) -> None:
    written.write('[hostname]\nname = "{{ no }}"\n')
    with pytest.raises(RefusedError, match="'no' is undefined"):
        await served.configuration(TSI, ONE)
    ((text, severity),) = ordered.said
    assert text.startswith("pc-01 cannot be configured: ")
    assert severity is Severity.ERROR
    assert "'no' is undefined" in served.records.answer(TSI)["seats"][0]["error"]


async def test_a_disk_that_starts_is_noted(served: ServedConfigurations, ordered: Ordered) -> None:
    body = await served.configuration(TSI, ONE)
    beacon = decode_configuration(body or b"").beacon
    assert beacon is not None
    for _ in range(2):
        served.beacons.hear(beacon_datagram(beacon.token))
    assert ordered.said == [("pc-01 has started from its disk", Severity.GOOD)]
    await asyncio.gather(*served._tasks)
    assert served.records.answer(TSI)["seats"][0]["booted_at"] > 1e9


async def test_what_was_rendered_for_many_seats_is_bounded(
    served: ServedConfigurations, ordered: Ordered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_RENDERED_SEATS", 1)
    ordered.outcomes[SEATS[1].machine] = "verified"
    await served.configuration(TSI, ONE)
    body: Any = await served.configuration(TSI, TWO)
    digest = bytes.fromhex(decode_configuration(body).steps[1].files[0].digest)  # type: ignore[union-attr]  # files
    assert await served.file(TSI, TWO, digest) is not None
    assert len(served._rendered) == 1
