import asyncio
import importlib.util
import os
import select
import signal
import socket
import sys

import pytest

from broadcaster.broker import ALL_INTERFACES, LOOPBACK, EmbeddedBroker
from protocol.errors import ConfigError, SessionStateError, TransportError
from protocol.link.mqtt import BrokerAddress, MqttLink

START_AND_WAIT = """
import asyncio
from broadcaster.broker import EmbeddedBroker

async def main():
    async with EmbeddedBroker(port=0) as broker:
        print(broker.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.system
@pytest.mark.asyncio
async def test_brokers_on_free_ports_do_not_disturb_each_other() -> None:
    async with EmbeddedBroker(port=0) as one, EmbeddedBroker(port=0) as other:
        assert one.port != other.port
        for broker in (one, other):
            async with MqttLink(broker.address, "ada") as ada:
                assert ada.is_connected


@pytest.mark.system
@pytest.mark.asyncio
async def test_all_interfaces_are_ipv4_and_ipv6() -> None:
    async with EmbeddedBroker(ALL_INTERFACES, port=0) as broker:
        assert broker.address == BrokerAddress(LOOPBACK, broker.port)
        hosts = [LOOPBACK, "::1"] if socket.has_dualstack_ipv6() else [LOOPBACK]
        for host in hosts:
            async with MqttLink(BrokerAddress(host, broker.port), "ada") as ada:
                assert ada.is_connected


@pytest.mark.system
@pytest.mark.asyncio
async def test_stopped_broker_frees_its_port() -> None:
    async with EmbeddedBroker(port=0) as broker:
        assert broker.pid is not None
    assert broker.pid is None
    async with EmbeddedBroker(port=broker.port):
        pass


@pytest.mark.asyncio
async def test_taken_port_is_told_in_one_line() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TransportError, match=rf"^the broker cannot listen on {LOOPBACK} port {port}: .*in use.*$"):
            await EmbeddedBroker(port=port).__aenter__()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
@pytest.mark.asyncio
async def test_foreign_address_is_told(host: str) -> None:
    with pytest.raises(TransportError, match="choose an address of this machine"):
        await EmbeddedBroker(host, port=0).__aenter__()


@pytest.mark.asyncio
async def test_missing_amqtt_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'slatecast\[server\]'"):
        await EmbeddedBroker(port=0).__aenter__()


@pytest.mark.system
@pytest.mark.asyncio
async def test_child_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(TransportError, match="did not start"):
        await EmbeddedBroker(port=0).__aenter__()


@pytest.mark.system
@pytest.mark.asyncio
async def test_broker_that_ends_by_itself_is_noticed() -> None:
    async with EmbeddedBroker(port=0) as broker:
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGKILL)
        assert await broker.wait() == -signal.SIGKILL
        assert broker.pid is None


@pytest.mark.asyncio
async def test_waiting_for_a_broker_that_was_not_started_is_misuse() -> None:
    with pytest.raises(SessionStateError):
        await EmbeddedBroker().wait()


@pytest.mark.system
@pytest.mark.asyncio
async def test_terminal_interrupt_does_not_reach_the_broker() -> None:
    async with EmbeddedBroker(port=0) as broker:
        assert broker.pid is not None
        assert os.getpgid(broker.pid) != os.getpgid(0)


@pytest.mark.system
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.asyncio
async def test_broker_dies_with_its_parent(signal_number: signal.Signals) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", START_AND_WAIT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert parent.stdout is not None
    broker = os.pidfd_open(int(await parent.stdout.readline()))
    try:
        parent.send_signal(signal_number)
        await parent.wait()
        readable, _, _ = select.select([broker], [], [], 10)
        assert readable == [broker]
    finally:
        os.close(broker)
