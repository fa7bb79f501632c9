"""Fixtures: a real broker on a free loopback port, either the embedded amqtt or Mosquitto.

A test that takes ``broker`` runs once against each; ``mosquitto`` makes one that the test configures further. Both can
be stopped, started again on the same port, and frozen, which is what a pulled network cable looks like. ``secured`` is
each of them as rooms use it, with TLS and rules of access.
"""

import asyncio
import contextlib
import getpass
import os
import shutil
import signal
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio

from broadcaster.authority import Authority
from broadcaster.broker import LOOPBACK, BrokerTls, EmbeddedBroker
from broadcaster.mosquitto import CONFIGURATION, write_configuration
from protocol.disk.system_tools import find_tool
from protocol.link.mqtt import BrokerAddress
from protocol.link.tls import TlsIdentity, pinned_context
from receiver.identity import ReceiverIdentity

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

    def __init__(self, tls: BrokerTls | None = None) -> None:
        self._tls = tls
        self._broker = EmbeddedBroker(port=0, tls=tls)

    @property
    def address(self) -> BrokerAddress:
        return self._broker.address

    @property
    def pid(self) -> int | None:
        return self._broker.pid

    async def start(self) -> None:
        self._broker = EmbeddedBroker(port=self._broker.port, tls=self._tls)
        await self._broker.__aenter__()

    async def stop(self) -> None:
        await self._broker.__aexit__(None, None, None)


class MosquittoProcess:
    """A Mosquitto of the test's own, on loopback, with the given configuration."""

    def __init__(self, configuration: Path, address: BrokerAddress) -> None:
        self.address = address
        self._configuration = configuration
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        assert MOSQUITTO is not None
        self._process = await asyncio.create_subprocess_exec(
            MOSQUITTO, "-c", self._configuration, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
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


class Mosquitto(MosquittoProcess):
    """One with nothing kept on disk; ``settings`` are lines of its file."""

    def __init__(self, folder: Path, *settings: str, tls: bool = False) -> None:
        port = _free_port()
        configuration = folder / f"mosquitto-{port}.conf"
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
        configuration.write_text("\n".join(lines) + "\n")
        super().__init__(configuration, BrokerAddress(LOOPBACK, port, tls=tls))


class SecuredBroker:
    """A broker of one authority's rooms, and the certificates to use it with."""

    def __init__(self, running: RunningBroker, authority: Authority) -> None:
        self.running = running
        self.authority = authority

    @property
    def address(self) -> BrokerAddress:
        return self.running.address

    def role(self, name: str = "broadcaster") -> TlsIdentity:
        return self.authority.role_identity(name)

    def tls(self, identity: TlsIdentity | None, authority: Authority | None = None) -> ssl.SSLContext:
        """How to connect as ``identity``, believing ``authority``, this broker's own if none is given."""
        return pinned_context((authority or self.authority).certificate, identity)


def receiver_tls_identity(receiver: ReceiverIdentity, authority: Authority) -> TlsIdentity:
    """What a receiver has once it was let in."""
    return TlsIdentity(authority.receiver_certificate(receiver.keys.identity_key), receiver.tls_private_key)


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


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


@pytest_asyncio.fixture(params=["amqtt", "mosquitto"])
async def secured(request: pytest.FixtureRequest) -> AsyncIterator[SecuredBroker]:
    """A started broker of each kind in turn, as ``slatecast`` sets it up: exactly the files that it writes."""
    if request.param == "mosquitto" and MOSQUITTO is None:
        pytest.skip("needs Mosquitto: apt-get install mosquitto")
    authority = Authority.create()
    with contextlib.ExitStack() as stack:
        if request.param == "amqtt":
            running: RunningBroker = Amqtt(BrokerTls(authority.server_identity(), authority.certificate))
        else:
            running = configured_mosquitto(authority, stack)
        await running.start()
        yield SecuredBroker(running, authority)
        await running.stop()


def configured_mosquitto(authority: Authority, stack: contextlib.ExitStack) -> MosquittoProcess:
    """One with exactly the files that ``slatecast keys mosquitto`` writes; they go with ``stack``."""
    # Not in the test's own folder: started by root, Mosquitto becomes a user who may not go there.
    parent = Path(tempfile.mkdtemp(prefix="slatecast-mosquitto-"))
    stack.callback(shutil.rmtree, parent)
    parent.chmod(0o755)
    port = _free_port()
    write_configuration(parent / "configuration", authority, port=port, address=LOOPBACK)
    return MosquittoProcess(parent / "configuration" / CONFIGURATION, BrokerAddress(LOOPBACK, port, tls=True))


def freeze(broker: RunningBroker) -> None:
    """Let the broker's connections stand while nothing answers on them."""
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)


def thaw(broker: RunningBroker) -> None:
    """Let it answer again."""
    if broker.pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(broker.pid, signal.SIGCONT)
