import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from broadcaster.netboot.config import Dhcp, NetbootConfig
from protocol.errors import ConfigError, TransportError
from slatecast.__main__ import slatecast
from slatecast.cli import boot_serve


class Fake:
    """Is told to end as soon as it is ready."""

    given: NetbootConfig
    number = signal.SIGTERM

    def __init__(self, config: NetbootConfig, _say: Callable[[str], object]) -> None:
        Fake.given = config

    async def run(self, on_ready: Callable[[str], object]) -> None:
        on_ready("lo, 127.0.0.1")
        os.kill(os.getpid(), self.number)
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot_serve, "Netboot", Fake)
    monkeypatch.setattr(Fake, "number", signal.SIGTERM)


def run(*argv: str) -> str:
    result = CliRunner().invoke(slatecast, ["boot", "serve", "--interface", "lo", *argv], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.output


def test_it_serves_this_machines_room_unless_told_otherwise(tmp_path: Path) -> None:
    assert "ready on lo, 127.0.0.1" in run("--folder", str(tmp_path))
    assert Fake.given.environment == tmp_path
    assert Fake.given.server == "127.0.0.1:8884"
    assert Fake.given.dhcp is Dhcp.PROXY
    assert Fake.given.orders.name == "boot-orders.json"
    assert not Fake.given.everyone


def test_it_passes_on_what_it_was_told() -> None:
    run("--dhcp", "full", "--range", "127.0.0.3-127.0.0.9", "--everyone", "--answer-all", "--server", "lab.example")
    assert (Fake.given.addresses, Fake.given.everyone, Fake.given.answers_all) == ("127.0.0.3-127.0.0.9", True, True)
    assert Fake.given.server == "lab.example:8884"
    run("--machine", "52-54-00-AA-bb-cc", "--machine", "52:54:00:00:00:01")
    assert Fake.given.machines == ("52:54:00:aa:bb:cc", "52:54:00:00:00:01")


def test_what_is_no_address_is_said() -> None:
    with pytest.raises(ConfigError, match="is no MAC address: write one like"):
        run("--machine", "PC-01")


def test_ctrl_c_is_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fake, "number", signal.SIGINT)
    with pytest.raises(click.Abort):  # what click makes of KeyboardInterrupt
        run()


def test_what_ends_it_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run_into_trouble(_self: Fake, _on_ready: Callable[[str], object]) -> None:
        raise TransportError("UDP port 67 is taken")

    monkeypatch.setattr(Fake, "run", run_into_trouble)
    with pytest.raises(TransportError, match="UDP port 67 is taken"):
        run()
