import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocol.configuration import (
    BeaconStep,
    ConfiguredFile,
    DriverSet,
    DriversStep,
    FilesStep,
    GrowStep,
    HostnameStep,
    IdentitiesStep,
    MachineIdStep,
    OnError,
    Restart,
    ScriptStep,
    SeatConfiguration,
    SshHostKeysStep,
    StepReport,
    StepState,
    System,
    decode_step_report,
)
from protocol.digests import raw_digest
from protocol.errors import IntegrityError, TransportError
from receiver.configure.service import ConfigureOutcome, configure
from tests.receiver.configure.written_disk import BEACON, PC, SEED, WrittenDisk, real_disk, run
from tests.receiver.loop_device import wait_until_free

pytestmark = [*real_disk, pytest.mark.asyncio]


class Broadcaster:
    """What a seat asks and tells while it runs the steps."""

    def __init__(self) -> None:
        self.contents: dict[bytes, bytes] = {}
        self.has_fetched = asyncio.Event()
        self.reports: list[StepReport] = []
        self.is_away = False

    def file(self, path: str, content: bytes, **fields: Any) -> ConfiguredFile:
        digest = raw_digest(content)
        self.contents[digest] = content
        return ConfiguredFile(path=path, digest=digest.hex(), length=len(content), **fields)

    async def fetch(self, digest: bytes, destination: Path) -> None:
        if digest not in self.contents:
            raise IntegrityError("file", digest, b"")
        self.has_fetched.set()
        await asyncio.to_thread(destination.write_bytes, self.contents[digest])

    async def report(self, report: StepReport) -> None:
        if self.is_away:
            raise TransportError("the broadcaster does not answer")
        self.reports.append(decode_step_report(msgspec.json.encode(report)))

    async def configure(self, disk: WrittenDisk, *steps: Any, **fields: Any) -> ConfigureOutcome:
        configuration = SeatConfiguration(tsi="01" * 8, seat="lab-07", steps=steps, beacon=BEACON, **fields)
        return await configure(disk.path, configuration, self.fetch, self.report, PC)


@pytest.fixture
def room() -> Broadcaster:
    return Broadcaster()


FAILING = GrowStep(partition=200)


async def test_all_steps_of_a_linux_and_once_more(linux: WrittenDisk, room: Broadcaster) -> None:
    linux.enlarge(32)
    sets = (
        DriverSet(vendor="Dell*", product="*", files=(room.file("wifi.bin", b"firmware"),)),
        DriverSet(vendor="HP", product="*", files=(ConfiguredFile(path="x", digest="ee" * 32, length=1),)),
    )
    steps = (
        GrowStep(),
        IdentitiesStep(seed=SEED),
        HostnameStep(name="lab-07"),
        MachineIdStep(machine_id="0c" * 16),
        SshHostKeysStep(label="slatecast 0101"),
        FilesStep(system=System.LINUX, files=(room.file("etc/motd", b"hello\n"),)),
        DriversStep(system=System.LINUX, folder="lib/firmware/site", sets=sets),
        ScriptStep(file=room.file("setup.sh", b"#!/bin/sh\necho set up\n")),
        BeaconStep(system=System.LINUX),
    )
    outcome = await room.configure(linux, *steps, restart=Restart.POWEROFF)
    assert outcome.failure == ""
    assert (outcome.is_complete, outcome.restart) == (True, Restart.POWEROFF)
    assert [(each.index, each.state) for each in room.reports] == [
        pair for index in range(len(steps)) for pair in ((index, StepState.RUNNING), (index, StepState.DONE))
    ]
    with linux.mounted() as folder:
        assert (folder / "lib/firmware/site/wifi.bin").read_bytes() == b"firmware"
        assert (folder / "etc/hostname").read_text() == "lab-07\n"
    again = await room.configure(linux, *steps)
    skipped = [each.name for each in again.reports if each.state is StepState.SKIPPED]
    assert skipped == ["grow", "identities", "hostname", "machine-id", "ssh-host-keys", "files"]
    assert run("losetup", "--associated", str(linux.path)) == ""


async def test_a_step_that_fails_stops_the_rest_and_the_machine_stays(linux: WrittenDisk, room: Broadcaster) -> None:
    outcome = await room.configure(linux, FAILING, HostnameStep(name="lab-07"))
    assert (outcome.is_complete, outcome.restart) == (False, Restart.STAY)
    assert outcome.failure == "grow: there is no partition 200 on this disk"
    assert [each.state for each in room.reports] == [StepState.RUNNING, StepState.FAILED]


async def test_or_it_lets_them_go_on(linux: WrittenDisk, room: Broadcaster) -> None:
    failing = msgspec.structs.replace(FAILING, on_error=OnError.CONTINUE)
    outcome = await room.configure(linux, failing, HostnameStep(name="lab-07"))
    assert (outcome.is_complete, outcome.restart) == (True, Restart.REBOOT)
    assert [each.state for each in outcome.reports] == [StepState.FAILED, StepState.DONE]
    assert outcome.failure.startswith("grow: ")


async def test_a_script_that_fails_is_named_once(linux: WrittenDisk, room: Broadcaster) -> None:
    script = ScriptStep(file=room.file("fails", b"#!/bin/sh\necho no licence\nexit 3\n"))
    outcome = await room.configure(linux, script, HostnameStep(name="lab-07"))
    assert (outcome.is_complete, outcome.restart) == (False, Restart.STAY)
    assert outcome.failure == "script fails: ended with code 3; last said: no licence"
    assert room.reports[-1].text == "ended with code 3; last said: no licence"


async def test_where_it_stopped_is_told_before_what_it_passed_over(linux: WrittenDisk, room: Broadcaster) -> None:
    passed_over = msgspec.structs.replace(FAILING, partition=201, on_error=OnError.CONTINUE)
    outcome = await room.configure(linux, passed_over, FAILING)
    assert outcome.failure == "grow: there is no partition 200 on this disk"


async def test_a_file_that_cannot_be_fetched_changes_nothing(linux: WrittenDisk, room: Broadcaster) -> None:
    missing = ConfiguredFile(path="etc/motd", digest="ee" * 32, length=1)
    outcome = await room.configure(linux, FilesStep(system=System.LINUX, files=(missing,)))
    assert "expected digest" in outcome.failure
    with linux.mounted() as folder:
        assert not (folder / "etc/motd").exists()


async def test_a_broadcaster_that_is_away_keeps_nobody_from_finishing(linux: WrittenDisk, room: Broadcaster) -> None:
    room.is_away = True
    outcome = await room.configure(linux, HostnameStep(name="lab-07"))
    assert outcome.is_complete


async def test_a_disk_that_is_gone_is_one_line(tmp_path: Path, room: Broadcaster) -> None:
    outcome = await room.configure(WrittenDisk(tmp_path / "none"), GrowStep())
    assert "none" in outcome.failure
    assert "\n" not in outcome.failure


async def test_cancelling_ends_a_script_and_leaves_nothing(linux: WrittenDisk, room: Broadcaster) -> None:
    script = ScriptStep(file=room.file("hang.sh", b"#!/bin/sh\nsleep 600\n"))
    work = asyncio.create_task(room.configure(linux, script))
    await room.has_fetched.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert run("losetup", "--associated", str(linux.path)) == ""


KILLED = """
import asyncio, os, shutil, sys, time
from pathlib import Path
from protocol.configuration import ConfiguredFile, ScriptStep, SeatConfiguration
from protocol.digests import raw_digest
from receiver.configure import running
from receiver.configure.service import configure

disk, script = map(Path, sys.argv[1:])
wait = running._waited

def waited(child, output, *rest):
    while "setpriv" in child.args[0] and not os.fstat(output.fileno()).st_size:
        time.sleep(0.01)
    if "setpriv" in child.args[0]:
        print("begun", flush=True)
    return wait(child, output, *rest)

async def fetch(digest, destination):
    shutil.copyfile(script, destination)

async def report(step):
    pass

running._waited = waited
content = script.read_bytes()
file = ConfiguredFile(path="hang.sh", digest=raw_digest(content).hex(), length=len(content), mode=0o755)
configuration = SeatConfiguration(tsi="01" * 8, seat="lab-07", steps=(ScriptStep(file=file),))
asyncio.run(configure(disk, configuration, fetch, report))
"""


async def test_killed_it_leaves_no_mount_no_loop_device_and_no_script(linux: WrittenDisk, tmp_path: Path) -> None:
    script = tmp_path / "hang.sh"
    script.write_text("#!/bin/sh\necho begun\nsleep 600\n")
    before, during = await asyncio.to_thread(killed_while_it_runs, linux, script)
    assert during == before, "nobody else sees them"
    wait_until_free(linux.path)
    assert mounts() == before
    with linux.opened() as disk:
        assert disk.table().partitions


def killed_while_it_runs(disk: WrittenDisk, script: Path) -> tuple[str, str]:
    """What is mounted before and during a script, in the middle of which everything is killed."""
    before = mounts()
    command = [sys.executable, "-c", KILLED, str(disk.path), str(script)]
    environment = {**os.environ, "TMPDIR": str(script.parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        assert run("losetup", "--associated", str(disk.path)) != ""
        during = mounts()
        process.kill()
    return before, during


def mounts() -> str:
    return Path("/proc/self/mounts").read_text()
