import asyncio
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from broadcaster.netboot import dnsmasq as module
from broadcaster.netboot.dnsmasq import Dnsmasq
from protocol.errors import TransportError

SERVES = 'echo "dnsmasq-tftp[1]: TFTP root is /x" >&2\n'


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a script in dnsmasq's place."""

    def put(script: str) -> Path:
        program = tmp_path / "dnsmasq"
        program.write_text(f"#!/bin/sh\n{script}")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return tmp_path

    return put


def deaf() -> Dnsmasq:
    return Dnsmasq(Path("x"), left_alone=lambda _: None, served=lambda _: None)


@pytest.mark.system
def test_one_that_does_not_start_says_its_own_words(fake: Callable[[str], Path]) -> None:
    fake('echo "dnsmasq: failed to bind DHCP server socket: in use" >&2; exit 2')
    with pytest.raises(TransportError, match=r"dnsmasq died \(status 2\): dnsmasq: failed to bind DHCP server socket"):
        asyncio.run(deaf().keep(print))


@pytest.mark.system
def test_one_that_dies_is_started_again_until_it_is_hopeless(
    fake: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_RESTART_SECONDS", 0.0)
    folder = fake(SERVES + 'echo start >>"$(dirname "$0")/starts"; exit 1')
    with pytest.raises(TransportError, match=r"dnsmasq died \(status 1\)"):
        asyncio.run(deaf().keep(lambda: None))
    assert (folder / "starts").read_text().count("start") == module.MOST_STARTS


@pytest.mark.system
def test_one_that_says_nothing_is_given_up(fake: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READY_SECONDS", 0.05)
    fake("exec sleep 60")
    with pytest.raises(TransportError, match="does not serve"):
        asyncio.run(deaf().keep(print))


@pytest.mark.system
def test_it_is_heard_told_to_read_again_and_ended(fake: Callable[[str], Path]) -> None:
    folder = fake(
        """trap 'echo again >&2; echo "dnsmasq-dhcp[1]: DHCPACK(eth0) 10.0.0.1 52:54:00:00:00:02" >&2' HUP
echo $$ >"$(dirname "$0")/pid"
echo "dnsmasq-dhcp[1]: PXE(eth0) 52:54:00:00:00:01 proxy-ignored" >&2
echo "dnsmasq-dhcp[1]: PXE(eth0) 52:54:00:00:00:03 proxy" >&2
"""
        + SERVES
        + "while :; do sleep 0.02; done"
    )
    told: list[str] = []

    async def run() -> None:
        ready, heard = asyncio.Event(), asyncio.Event()

        def served(address: str) -> None:
            told.append(address)
            if address.endswith("02"):
                heard.set()

        dnsmasq = Dnsmasq(Path("x"), left_alone=lambda mac: told.append(f"left {mac}"), served=served)
        keeping = asyncio.create_task(dnsmasq.keep(ready.set))
        async with asyncio.timeout(10):
            await ready.wait()
            dnsmasq.reload()
            await heard.wait()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    asyncio.run(run())
    assert told == ["left 52:54:00:00:00:01", "52:54:00:00:00:03", "52:54:00:00:00:02"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), signal.SIGCONT)
