"""``slatecast capture`` as a process, against a front door, a seat API and a library that are the real ones."""

import asyncio
import filecmp
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from broadcaster.captures import capture as capture_module
from broadcaster.captures.intake import CaptureIntake
from broadcaster.front_door import FrontDoor
from broadcaster.keys import KeyStore
from broadcaster.library.exporting import export_image
from broadcaster.library.library import Library
from broadcaster.seat_api.api import SeatApi
from protocol.capture import CaptureState, CaptureStep
from protocol.link.interfaces import resolve_interface
from protocol.link.mqtt import BrokerAddress
from protocol.link.tls import server_context
from protocol.manifest import CHUNK_SIZE
from tests.broadcaster.captures.played import Room
from tests.receiver.capture.reference_disk import noise, put

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.asyncio]

TOKEN = "february blanket raccoon response"
PATIENCE = 60.0


class Broadcaster:
    """What a machine with a disk to capture finds on the network."""

    def __init__(self, folder: Path) -> None:
        self.library = Library.open_or_create(folder / "library")
        self.keys = KeyStore.open_or_create(folder / "keys")
        self.intake = CaptureIntake(
            self.library,
            self.keys.image,
            Room(),
            kept_for=lambda _machine: 3,
            on_change=lambda: None,
            on_image=lambda: None,
            write_down=lambda _event, _fields: None,
            utc_now=lambda: "2026-11-21T20:00:00Z",
        )
        self.bodies = 0
        self.may_take = asyncio.Event()
        self.may_take.set()
        self.has_taken = asyncio.Event()
        self._chunks = self.intake.chunks

    async def chunks(self, *given: Any) -> CaptureState | None:
        """As the intake, but only the first body for as long as ``may_take`` is not set."""
        if self.bodies:
            await self.may_take.wait()
        self.bodies += 1
        state = await self._chunks(*given)
        self.has_taken.set()
        return state

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        self.intake.chunks = self.chunks  # type: ignore[method-assign,assignment]  # the real one is called by it
        host = ip_address("127.0.0.1")
        authority = self.keys.authority
        tls = server_context(authority.server_identity(), client_authority=authority.certificate)
        async with (
            self.intake,
            SeatApi(host, 0, 0, tls=tls, captures=self.intake) as api,
            FrontDoor(
                host,
                0,
                resolve_interface("lo").index,
                key_store=self.keys,
                broker=BrokerAddress.parse("mqtts://127.0.0.1:1"),
                broker_authority=authority.certificate,
                token=TOKEN,
                on_event=lambda _event: None,
                seat_api=api.url,
            ) as door,
        ):
            self.port = door.port
            yield

    async def allow(self) -> str:
        """Allow the next wish; its capture_id."""
        while True:
            for news in self.intake.desk.news():
                if news.step is CaptureStep.ASKED:
                    self.intake.desk.decide(news.capture_id, "anna", (), is_allowed=True)
                    return news.capture_id
            await asyncio.sleep(0.05)

    async def start(self, disk: Path) -> asyncio.subprocess.Process:
        where = ("--server", f"127.0.0.1:{self.port}", "--interface", "lo", "--token", TOKEN, "--seat", "desk")
        command = (sys.executable, "-m", "slatecast", "capture", "--name", "lab", "--target", str(disk), *where)
        environment = {**os.environ, "TMPDIR": str(disk.parent)}  # whoever is killed leaves a folder
        return await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE, env=environment)


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, list[str]]:
    """Its exit code, and what it said."""
    async with asyncio.timeout(PATIENCE):
        _, said = await process.communicate()
    return process.returncode, said.decode().splitlines()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return put(tmp_path, "disk.img", noise(100 * CHUNK_SIZE) + bytes(20 * CHUNK_SIZE))


async def test_a_disk_becomes_an_image_once_an_operator_allows_it(tmp_path: Path, disk: Path) -> None:
    broadcaster = Broadcaster(tmp_path)
    async with broadcaster.open():
        process = await broadcaster.start(disk)
        async with asyncio.timeout(PATIENCE):
            await broadcaster.allow()
        code, said = await ended(process)
        assert code == 0, said
        assert said[-1].startswith("captured as lab@1: ")
        assert "waiting: an operator must allow the capture of lab" in said
        process = await broadcaster.start(disk)
        async with asyncio.timeout(PATIENCE):
            await broadcaster.allow()
        code, said = await ended(process)
        assert "the same as lab@1" in said[-1], said
    export_image(broadcaster.library, broadcaster.library.load("lab"), tmp_path / "out.img")
    assert filecmp.cmp(tmp_path / "out.img", disk, shallow=False)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
async def test_what_was_interrupted_goes_on(
    tmp_path: Path, disk: Path, how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_module, "TAKEOVER_SILENCE", 0.1)
    broadcaster = Broadcaster(tmp_path)
    broadcaster.may_take.clear()
    async with broadcaster.open():
        process = await broadcaster.start(disk)
        async with asyncio.timeout(PATIENCE):
            capture_id = await broadcaster.allow()
            await broadcaster.has_taken.wait()
        process.send_signal(how)
        code, said = await ended(process)
        assert code == (130 if how is signal.SIGINT else -signal.SIGKILL), said
        if how is signal.SIGINT:
            assert said[-1] == "interrupted: the library keeps what it has; the same command sends the rest"
        broadcaster.may_take.set()
        first = broadcaster.bodies
        code, said = await ended(await broadcaster.start(disk))
        assert code == 0, said
        assert first < broadcaster.bodies
        assert broadcaster.intake.desk.step_of(capture_id)[0] is CaptureStep.DONE, "the same capture went on"
        sent = next(line for line in said if line.startswith("captured as lab@1"))
        assert "31.5 MB read" in sent
        assert "26" not in sent.split("read, ")[1], "less than all of it was sent"
