"""Fixtures: a real broker on a free loopback port, either the embedded amqtt or Mosquitto.

A test that takes ``broker`` runs once against each; ``mosquitto`` makes one that the test configures further. Both can
be stopped, started again on the same port, and frozen, which is what a pulled network cable looks like.
"""

import asyncio
import contextlib
import getpass
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio

from broadcaster.broker import LOOPBACK, EmbeddedBroker
from broadcaster.library.system_tools import find_tool
from protocol.link.mqtt import BrokerAddress

MOSQUITTO = find_tool("mosquitto")


class RunningBroker(Protocol):
    """A broker process under a test's control."""

    @property
    def address(self) -> BrokerAddress: ...

    @property
    def pid(self) -> int | None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Amqtt:
    """The embedded broker, which keeps its port when it starts again."""

    def __init__(self) -> None:
        self._broker = EmbeddedBroker(port=0)

    @property
    def address(self) -> BrokerAddress:
        return self._broker.address

    @property
    def pid(self) -> int | None:
        return self._broker.pid

    async def start(self) -> None:
        self._broker = EmbeddedBroker(port=self._broker.port)
        await self._broker.__aenter__()

    async def stop(self) -> None:
        await self._broker.__aexit__(None, None, None)


class Mosquitto:
    """A Mosquitto of the test's own, on loopback, with nothing kept on disk; ``settings`` are lines of its file."""

    def __init__(self, folder: Path, *settings: str, tls: bool = False) -> None:
        with socket.create_server((LOOPBACK, 0)) as probe:
            port = probe.getsockname()[1]
        self.address = BrokerAddress(LOOPBACK, port, tls=tls)
        self._process: asyncio.subprocess.Process | None = None
        self._settings = folder / f"mosquitto-{port}.conf"
        lines = [
            "per_listener_settings false",
            *([] if any(line.startswith("allow_anonymous") for line in settings) else ["allow_anonymous true"]),
            "persistence false",
            f"user {getpass.getuser()}",  # as root it would otherwise become a user who may not read the test's folder
            "log_dest stderr",
            "log_type information",
            f"listener {port} {LOOPBACK}",
            *settings,
        ]
        self._settings.write_text("\n".join(lines) + "\n")

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        assert MOSQUITTO is not None
        self._process = await asyncio.create_subprocess_exec(
            MOSQUITTO, "-c", self._settings, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        assert self._process.stderr is not None
        log = ""
        async with asyncio.timeout(10):
            while not log.endswith("running\n"):
                line = (await self._process.stderr.readline()).decode()
                assert line, f"Mosquitto did not start: {log}"
                log += line

    async def stop(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None


@pytest_asyncio.fixture
async def mosquitto(tmp_path: Path) -> AsyncIterator[Callable[..., Mosquitto]]:
    """Makes Mosquittos that are stopped after the test: ``mosquitto(*settings, tls=False)``, then ``start``."""
    if MOSQUITTO is None:
        pytest.skip("needs Mosquitto: apt-get install mosquitto")
    made: list[Mosquitto] = []

    def make(*settings: str, tls: bool = False) -> Mosquitto:
        made.append(Mosquitto(tmp_path, *settings, tls=tls))
        return made[-1]

    yield make
    for broker in made:
        thaw(broker)
        await broker.stop()


@pytest_asyncio.fixture(params=["amqtt", "mosquitto"])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningBroker]:
    """A started broker of each kind in turn."""
    if request.param == "mosquitto" and MOSQUITTO is None:
        pytest.skip("needs Mosquitto: apt-get install mosquitto")
    running: RunningBroker = Amqtt() if request.param == "amqtt" else Mosquitto(tmp_path)
    await running.start()
    yield running
    thaw(running)
    await running.stop()


def freeze(broker: RunningBroker) -> None:
    """Let the broker's connections stand while nothing answers on them."""
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)


def thaw(broker: RunningBroker) -> None:
    """Let it answer again."""
    if broker.pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(broker.pid, signal.SIGCONT)
