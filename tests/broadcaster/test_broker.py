import asyncio
import importlib.util
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from broadcaster.authority import Authority
from broadcaster.broker import ALL_INTERFACES, LOOPBACK, BrokerTls, EmbeddedBroker
from protocol.errors import ConfigError, TransportError
from protocol.link.mqtt import BrokerAddress, MqttLink
from protocol.link.tls import pinned_context

START_AND_WAIT = """
import asyncio
from broadcaster.broker import EmbeddedBroker

async def main():
    async with EmbeddedBroker(port=0) as broker:
        print(broker.pid, broker.port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def seen_by_others(pid: int) -> bytes:
    """A process's arguments and environment."""
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


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
@pytest.mark.slow
@pytest.mark.asyncio
async def test_dead_child_is_replaced_on_the_same_port_within_a_second(caplog: pytest.LogCaptureFixture) -> None:
    back = asyncio.Event()
    async with (
        EmbeddedBroker(port=0) as broker,
        MqttLink(broker.address, "ada", on_reconnect=back.set) as ada,
    ):
        await ada.subscribe("room")
        for count in (1, 2):
            address, pid = broker.address, broker.pid
            assert pid is not None
            back.clear()
            os.kill(pid, signal.SIGKILL)
            killed_at = time.monotonic()
            await back.wait()
            assert time.monotonic() - killed_at < 2  # measured 0.4 s; on an idle machine a second is never reached
            assert (broker.address, broker.restart_count) == (address, count)
            assert broker.pid not in (None, pid)
            ada.publish("room", b"heard")
            assert await anext(ada.messages()) == ("room", b"heard")
    lines = [record.getMessage() for record in caplog.records if record.name == "broadcaster.broker"]
    assert lines[0] == f"the embedded broker died (status -9); starting it again on port {broker.port}"
    assert len(lines) == 2


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.asyncio
async def test_child_that_dies_again_and_again_is_started_with_growing_pauses(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with EmbeddedBroker(port=0) as broker:
        monkeypatch.setattr(sys, "executable", "/bin/false")
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGKILL)
        while len(caplog.records) < 5:  # noqa: ASYNC110 - the log is what an operator has as well
            await asyncio.sleep(0.01)
        monkeypatch.undo()
        while broker.pid is None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        async with MqttLink(broker.address, "ada") as ada:
            assert ada.is_connected
    assert [record.getMessage().rpartition(" in ")[2] for record in caplog.records[1:5]] == [
        "0.1 s",  # 0.05 s
        "0.1 s",
        "0.2 s",
        "0.4 s",
    ]


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.asyncio
async def test_child_is_given_its_key_where_nobody_else_reads_it_each_time_that_it_starts() -> None:
    authority = Authority.create()
    server = authority.server_identity()
    tls = pinned_context(authority.certificate, authority.role_identity("broadcaster"))
    back = asyncio.Event()
    async with EmbeddedBroker(port=0, tls=BrokerTls(server, authority.certificate)) as broker:
        assert broker.address.tls
        async with MqttLink(broker.address, "broadcaster", tls=tls, on_reconnect=back.set):
            for _ in range(2):
                assert broker.pid is not None
                assert b"BEGIN" not in seen_by_others(broker.pid)
                back.clear()
                os.kill(broker.pid, signal.SIGKILL)
                async with asyncio.timeout(10):
                    await back.wait()
    assert server.private_key.decode() not in repr(BrokerTls(server, authority.certificate))


@pytest.mark.system
@pytest.mark.asyncio
async def test_broker_that_hangs_can_be_stopped() -> None:
    async with EmbeddedBroker(port=0) as broker:
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGSTOP)
    assert broker.pid is None


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.parametrize("is_stopped", [False, True])
@pytest.mark.asyncio
async def test_port_is_free_again_at_once_after_its_owner_was_killed(is_stopped: bool) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", START_AND_WAIT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert parent.stdout is not None
    pid, port = map(int, (await parent.stdout.readline()).split())
    async with MqttLink(BrokerAddress(LOOPBACK, port), "ada") as ada:
        if is_stopped:
            os.kill(pid, signal.SIGSTOP)
        parent.kill()
        killed_at = time.monotonic()
        async with EmbeddedBroker(port=port, port_timeout=0.5) as broker:
            assert time.monotonic() - killed_at < 5
            assert broker.port == port
            async with asyncio.timeout(10):
                while ada.reconnect_count == 0:  # noqa: ASYNC110 - the link tells its state to whoever asks
                    await asyncio.sleep(0.01)
        await parent.wait()


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
    broker = os.pidfd_open(int((await parent.stdout.readline()).split()[0]))
    try:
        parent.send_signal(signal_number)
        await parent.wait()
        readable, _, _ = select.select([broker], [], [], 10)
        assert readable == [broker]
    finally:
        os.close(broker)
