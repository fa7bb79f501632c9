"""Carries out what a seat is told to do to its disk: step by step, each reported when it begins and when it has ended.

    fetch the step's files -> run it in a thread -> report done, skipped or failed -> the next one, or stop

A step that fails leaves its file systems unmounted and its files whole; whether the steps behind it are run it says
itself. Cancelling ends the running step, with the programs that it has started, before it returns; killed, it leaves no
mount, no loop device and no script. A report that does not arrive changes nothing for the disk.
"""

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocol.configuration import (
    AnyStep,
    BeaconStep,
    BootStep,
    ConfiguredFile,
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
    WindowsStep,
    files_of,
    name_of,
)
from protocol.disk.private_mounts import Check, in_private_mounts
from protocol.errors import SlatecastError
from protocol.fields import MAX_LONG_TEXT
from receiver.configure.beacon import place_beacon
from receiver.configure.booting import repair_boot
from receiver.configure.files import copy_drivers, matching, write_files
from receiver.configure.growing import grow
from receiver.configure.identities import renew_identities
from receiver.configure.linux_identity import renew_host_keys, set_hostname, set_machine_id
from receiver.configure.outcome import Outcome
from receiver.configure.place import Machine, Place
from receiver.configure.running import Stopping
from receiver.configure.scripts import run_script
from receiver.configure.target_disk import TargetDisk
from receiver.configure.windows import answer_setup

FetchFile = Callable[[bytes, Path], Awaitable[None]]
"""puts the file of a digest at a path that does not exist; raises SlatecastError or OSError"""

Report = Callable[[StepReport], Awaitable[None]]
"""tells the broadcaster, and the seat's screen"""

FETCHES_AT_ONCE: Final = 4
"""Files of drivers are many and small; more at once would only wait for each other."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConfigureOutcome:
    """What became of the steps."""

    reports: tuple[StepReport, ...]
    """the last one of each step that was begun"""
    is_complete: bool
    """whether no step failed that the rest needs; a failed one with on_error "continue" does not count"""
    restart: Restart
    """what the machine is to do now; STAY where it is not complete, so that somebody can look"""

    @property
    def failure(self) -> str:
        """Why it failed, in one line: the step that it stopped at, else the first one; empty where nothing did."""
        failed = [each for each in self.reports if each.state is StepState.FAILED]
        if not failed:
            return ""
        told = failed[0] if self.is_complete else failed[-1]
        return f"{told.name}: {told.text}"


async def configure(
    disk: str | Path,
    configuration: SeatConfiguration,
    fetch_file: FetchFile,
    report: Report,
    machine: Machine | None = None,
) -> ConfigureOutcome:
    """Run every step on ``disk``, a block device or, for tests, a file that holds a disk; needs root.

    What goes wrong is reported and in the outcome, never raised. ``machine`` is this one unless it is given.
    """
    found = await asyncio.to_thread(Machine.here) if machine is None else machine
    runner = _Runner(str(disk), configuration, fetch_file, report, found)
    reports: list[StepReport] = []
    for index, step in enumerate(configuration.steps):
        ended = await runner.carry_out(index, step)
        reports.append(ended)
        if ended.state is StepState.FAILED and step.on_error is OnError.STOP:
            return ConfigureOutcome(tuple(reports), False, Restart.STAY)
    return ConfigureOutcome(tuple(reports), True, configuration.restart)


class _Runner:
    """One run of the steps."""

    def __init__(
        self, disk: str, configuration: SeatConfiguration, fetch_file: FetchFile, report: Report, machine: Machine
    ) -> None:
        self._disk = disk
        self._configuration = configuration
        self._fetch_file = fetch_file
        self._report = report
        self._machine = machine

    async def carry_out(self, index: int, step: AnyStep) -> StepReport:
        """One step, reported twice; gives the second report."""
        running = StepReport(name=name_of(step), index=index, state=StepState.RUNNING)
        await self._tell(running)
        try:
            state, text = await self._in_thread(step)
        except (SlatecastError, OSError) as error:
            state, text = StepState.FAILED, str(error)
        except Exception:
            _logger.exception("step %s failed", running.name)
            state, text = StepState.FAILED, "that went wrong inside the program: its log says how"
        line = " ".join(text.split())
        ended = StepReport(name=running.name, index=index, state=state, text=line[:MAX_LONG_TEXT])
        await self._tell(ended)
        return ended

    async def _in_thread(self, step: AnyStep) -> Outcome:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slatecast-files-")))
            files = await self._fetched(step, folder)
            stopping = Stopping()
            work = asyncio.create_task(asyncio.to_thread(self._run, step, files, stopping))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                stopping.stop()
                await asyncio.wait([work])
                raise

    def _run(self, step: AnyStep, files: dict[str, Path], stopping: Stopping) -> Outcome:
        def work(_check: Check) -> Outcome:
            with TargetDisk.opened(self._disk, stopping) as disk:
                place = Place(disk, self._configuration.seat, self._machine, self._configuration.beacon, files)
                return _carry_out(step, place)

        return in_private_mounts(work)

    async def _fetched(self, step: AnyStep, folder: Path) -> dict[str, Path]:
        """The files of a step, by digest; of drivers, those of this machine."""
        wanted = {file.digest: folder / file.digest for file in _needed(step, self._machine)}
        slots = asyncio.Semaphore(FETCHES_AT_ONCE)

        async def fetch(digest: str, path: Path) -> None:
            async with slots:
                await self._fetch_file(bytes.fromhex(digest), path)

        try:
            async with asyncio.TaskGroup() as tasks:
                for digest, path in wanted.items():
                    tasks.create_task(fetch(digest, path))
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        return wanted

    async def _tell(self, report: StepReport) -> None:
        try:
            await self._report(report)
        except (SlatecastError, OSError) as error:
            _logger.warning("the broadcaster was not told of step %s: %s", report.name, error)


def _needed(step: AnyStep, machine: Machine) -> tuple[ConfiguredFile, ...]:
    if isinstance(step, DriversStep):
        return tuple(file for each in matching(step, machine) for file in each.files)
    return files_of(step)


def _carry_out(step: AnyStep, place: Place) -> Outcome:  # noqa: PLR0911 - one line for each step
    match step:
        case GrowStep():
            return grow(place.disk, step)
        case IdentitiesStep():
            return renew_identities(place.disk, step)
        case HostnameStep():
            return set_hostname(place.disk, step)
        case MachineIdStep():
            return set_machine_id(place.disk, step)
        case SshHostKeysStep():
            return renew_host_keys(place.disk, step)
        case WindowsStep():
            return answer_setup(place, step)
        case FilesStep():
            return write_files(place, step)
        case DriversStep():
            return copy_drivers(place, step)
        case ScriptStep():
            return run_script(place, step)
        case BootStep():
            return repair_boot(place, step)
        case BeaconStep():
            return place_beacon(place, step)
