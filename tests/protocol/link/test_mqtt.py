import asyncio
import contextlib
import gc
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import aiomqtt
import pytest

from broadcaster.authority import Authority
from broadcaster.broker import BrokerTls, EmbeddedBroker
from protocol.disk.system_tools import find_tool
from protocol.errors import ConfigError, SessionStateError, TransportError
from protocol.link import mqtt
from protocol.link.backlog import MESSAGE_OVERHEAD
from protocol.link.mqtt import BrokerAddress, LastWill, MqttLink
from protocol.link.tls import pinned_context
from tests.brokers import Mosquitto, RunningBroker, SecuredBroker, freeze, thaw

LOOPBACK = "127.0.0.1"

# MQTT 3.1.1 sections 3.2, 3.9: control packet type, remaining length, then the acknowledgement itself.
CONNECTION_ACCEPTED = b"\x20\x02\x00\x00"
SUBSCRIPTION_HEADER = b"\x90\x03"
SUBSCRIPTION_REFUSED = b"\x80"

HOLD_A_CONNECTION = """
import asyncio, sys
from protocol.link.mqtt import BrokerAddress, LastWill, MqttLink
from protocol.link.tls import pinned_context

async def main(address, client_id, topic):
    async with MqttLink(BrokerAddress.parse(address), client_id, will=LastWill(topic, b"dead")):
        print("connected", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("lab", BrokerAddress("lab")),
        ("lab:1884", BrokerAddress("lab", 1884)),
        ("10.0.0.1:1884", BrokerAddress("10.0.0.1", 1884)),
        ("[fe80::1]:1884", BrokerAddress("fe80::1", 1884)),
        ("mqtt://lab", BrokerAddress("lab")),
        ("mqtts://lab/", BrokerAddress("lab", 8883, tls=True)),
        ("mqtts://ada:p%40ss%2F@lab:99", BrokerAddress("lab", 99, "ada", "p@ss/", tls=True)),
        ("mqtt://ada@lab", BrokerAddress("lab", username="ada")),
    ],
)
def test_address_is_parsed(text: str, address: BrokerAddress) -> None:
    assert BrokerAddress.parse(text) == address
    assert BrokerAddress.parse(str(address)) == BrokerAddress(
        address.host, address.port, address.username, None, tls=address.tls
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":1883",
        "mqtt://",
        "http://lab",
        "lab:0",
        "lab:65536",
        "lab:port",
        "fe80::1",
        "[fe80::1",
        "[not-ipv6]:1883",
        "lab/topic",
        "lab?x=1",
        "lab#x",
        "two words",
        "mqtt://ada:secret@",
        "http://ada:secret@lab",
        "ada:secret@lab:x",
    ],
)
def test_address_that_is_none_is_refused_without_telling_the_password(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        BrokerAddress.parse(text)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_password_is_never_shown() -> None:
    address = BrokerAddress.parse("mqtt://ada:secret@lab")
    assert "secret" not in f"{address} {address!r}"


@pytest.mark.parametrize("topic", ["", "a/#", "a/+/b"])
@pytest.mark.asyncio
async def test_topic_that_cannot_be_published_on_is_our_own_misuse(topic: str) -> None:
    with pytest.raises(SessionStateError):
        MqttLink(BrokerAddress("lab"), "ada").publish(topic, b"")


@pytest.mark.system
@pytest.mark.asyncio
async def test_messages_arrive_once_and_in_order(broker: RunningBroker) -> None:
    async with MqttLink(broker.address, "ada") as ada, MqttLink(broker.address, "bob") as bob:
        await ada.subscribe("room/#")
        payloads = [b"%d " % number + bytes(32 * 1024) for number in range(50)]
        for payload in payloads:
            bob.publish("room/1", payload)
        received = [message async for message in _first(ada, len(payloads))]
        assert received == [("room/1", payload) for payload in payloads]
        bob.publish("room/2", b"", qos=0)
        assert [message async for message in _first(ada, 1)] == [("room/2", b"")]
        await ada.unsubscribe("room/#")
        await ada.subscribe("other")
        bob.publish("room/3", b"unheard")
        bob.publish("other", b"heard")
        assert [message async for message in _first(ada, 1)] == [("other", b"heard")]
        assert ada.dropped_count == bob.dropped_count == 0


@pytest.mark.system
@pytest.mark.asyncio
async def test_retained_state_greets_late_subscribers_until_it_is_cleared(broker: RunningBroker) -> None:
    async with MqttLink(broker.address, "ada") as ada:
        ada.publish("state", b"old", retain=True)
        ada.publish("state", b"new", retain=True)
        await ada.flush()
        async with MqttLink(broker.address, "bob") as bob:
            await bob.subscribe("state")
            assert [message async for message in _first(bob, 1)] == [("state", b"new")]
        ada.publish("state", b"", retain=True)
        await ada.flush()
        async with MqttLink(broker.address, "eve") as eve:
            await eve.subscribe("state")
            await eve.subscribe("mark")
            eve.publish("mark", b"end")
            assert [message async for message in _first(eve, 1)] == [("mark", b"end")]


@pytest.mark.system
@pytest.mark.asyncio
async def test_will_is_published_after_a_death_but_not_after_a_farewell(broker: RunningBroker) -> None:
    async with MqttLink(broker.address, "ada") as ada:
        await ada.subscribe("presence/#")
        async with MqttLink(broker.address, "bob", will=LastWill("presence/bob", b"dead")) as bob:
            bob.publish("presence/bob", b"left", retain=True)
        assert [message async for message in _first(ada, 1)] == [("presence/bob", b"left")]
        async with _machine(broker.address, "eve", "presence/eve") as eve:
            eve.kill()
            assert [message async for message in _first(ada, 1)] == [("presence/eve", b"dead")]
        async with MqttLink(broker.address, "late") as late:
            await late.subscribe("presence/eve")
            assert [message async for message in _first(late, 1)] == [("presence/eve", b"dead")]


@pytest.mark.system
@pytest.mark.asyncio
async def test_machine_that_comes_again_is_not_declared_dead_by_its_old_connection(broker: RunningBroker) -> None:
    async with MqttLink(broker.address, "ada") as ada, _machine(broker.address, "bob", "presence/bob") as old:
        old.send_signal(signal.SIGSTOP)
        async with MqttLink(broker.address, "bob", will=LastWill("presence/bob", b"dead")) as bob:
            bob.publish("presence/bob", b"alive", retain=True)
            await bob.flush()
            old.kill()
            await old.wait()
            bob.publish("mark", b"after the old connection ended", retain=True)
            await bob.flush()
            await ada.subscribe("presence/bob")
            await ada.subscribe("mark")
            assert [message async for message in _first(ada, 2)] == [
                ("presence/bob", b"alive"),
                ("mark", b"after the old connection ended"),
            ]
            assert (bob.is_connected, bob.reconnect_count) == (True, 0)


@pytest.mark.system
@pytest.mark.asyncio
async def test_link_survives_a_restarted_broker(broker: RunningBroker) -> None:
    returned = asyncio.Event()
    changes: list[str] = []

    def come_back() -> None:
        changes.append("back")
        returned.set()

    async with MqttLink(
        broker.address, "ada", on_reconnect=come_back, on_disconnect=lambda: changes.append("lost")
    ) as ada:
        await ada.subscribe("room/#")
        await broker.stop()
        async with asyncio.timeout(10):
            await _until(lambda: not ada.is_connected)
        assert changes == ["lost"]
        ada.publish("room/1", b"superseded while the broker was away", supersedes=True)
        ada.publish("room/1", b"published while the broker was away", supersedes=True)
        assert not returned.is_set()
        await broker.start()
        async with asyncio.timeout(15):
            await returned.wait()
            assert [message async for message in _first(ada, 1)] == [("room/1", b"published while the broker was away")]
        assert (ada.is_connected, ada.reconnect_count) == (True, 1)
    assert changes == ["lost", "back"]


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.asyncio
async def test_sixty_receivers_are_back_within_five_seconds_of_a_restart(broker: RunningBroker) -> None:
    async with contextlib.AsyncExitStack() as room:
        back: asyncio.Queue[None] = asyncio.Queue()
        seats = [
            MqttLink(broker.address, f"seat{number}", on_reconnect=lambda: back.put_nowait(None))
            for number in range(60)
        ]
        for seat in seats:
            await room.enter_async_context(seat)
            await seat.subscribe("down")
        await broker.stop()
        async with asyncio.timeout(10):
            await _until(lambda: not any(seat.is_connected for seat in seats))
        await asyncio.sleep(2)  # so that every link waits as long as it ever does
        await broker.start()
        async with asyncio.timeout(5):
            for _ in seats:
                await back.get()
        seats[0].publish("down", b"to all")
        for seat in seats:
            assert [message async for message in _first(seat, 1)] == [("down", b"to all")]


@pytest.mark.system
@pytest.mark.asyncio
async def test_flood_of_one_sender_pushes_out_nobody_else(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "MAX_BACKLOG", 20 * MESSAGE_OVERHEAD)
    asked: list[str] = []

    def admit(topic: str) -> bool:
        asked.append(topic)
        return topic != "up/eve"

    async with MqttLink(broker.address, "head", admit=admit) as head, MqttLink(broker.address, "eve") as eve:
        await head.subscribe("up/#")
        eve.publish("up/ada", b"first")
        for _ in range(100):
            eve.publish("up/eve", b"flood")
        eve.publish("up/ada", b"last")
        await eve.flush()
        assert [message async for message in _first(head, 2)] == [("up/ada", b"first"), ("up/ada", b"last")]
        assert asked == ["up/ada", *["up/eve"] * 100, "up/ada"]
        assert head.dropped_count == 0


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.parametrize("broker", ["amqtt"], indirect=True)
@pytest.mark.asyncio
async def test_frozen_broker_is_noticed_in_time_and_stalls_nothing(broker: RunningBroker) -> None:
    changes: asyncio.Queue[str] = asyncio.Queue()
    async with MqttLink(
        broker.address,
        "ada",
        on_disconnect=lambda: changes.put_nowait("lost"),
        on_reconnect=lambda: changes.put_nowait("back"),
    ) as ada:
        loop = asyncio.get_running_loop()
        freeze(broker)
        frozen_at = loop.time()
        async with watched_loop() as stalls:
            async with asyncio.timeout(12):
                assert await changes.get() == "lost"
            assert loop.time() - frozen_at > mqtt.KEEPALIVE / 2
            assert not ada.is_connected
            await asyncio.sleep(mqtt.ANSWER_TIMEOUT / 2)  # it tries to connect meanwhile
            thaw(broker)
            async with asyncio.timeout(mqtt.ANSWER_TIMEOUT + mqtt.LONGEST_BACKOFF + 1):
                assert await changes.get() == "back"
        assert stalls.worst <= 0.1, stalls


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.asyncio
async def test_half_open_connection_is_noticed_within_two_keepalives(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mqtt.KEEPALIVE <= 5
    monkeypatch.setattr(mqtt, "KEEPALIVE", 1)
    monkeypatch.setattr(mqtt, "ANSWER_TIMEOUT", 1)
    async with MqttLink(broker.address, "ada") as ada:
        freeze(broker)
        async with asyncio.timeout(2 * mqtt.KEEPALIVE + 2):
            await _until(lambda: not ada.is_connected)


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.asyncio
async def test_idle_link_stays_connected_beyond_its_keepalive(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "KEEPALIVE", 1)
    async with MqttLink(broker.address, "ada") as ada:
        await asyncio.sleep(3.5)
        assert (ada.is_connected, ada.reconnect_count) == (True, 0)


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.asyncio
async def test_sixty_receivers_are_heard_and_hear(broker: RunningBroker) -> None:
    async with contextlib.AsyncExitStack() as room:
        head = await room.enter_async_context(MqttLink(broker.address, "head"))
        await head.subscribe("up/#")
        head.publish("announcement", bytes(110_000), retain=True)
        await head.flush()
        seats = [MqttLink(broker.address, f"seat{number}") for number in range(60)]

        async def join(number: int, seat: MqttLink) -> None:
            await room.enter_async_context(seat)
            await seat.subscribe("announcement")
            await seat.subscribe("down")
            for repetition in range(5):
                seat.publish(f"up/{number}", b"%d" % repetition)

        await asyncio.gather(*(join(number, seat) for number, seat in enumerate(seats)))
        received = [message async for message in _first(head, 300)]
        for number in range(60):
            assert [payload for topic, payload in received if topic == f"up/{number}"] == [b"0", b"1", b"2", b"3", b"4"]
        head.publish("down", b"to all")
        for seat in seats:
            assert [message async for message in _first(seat, 2)] == [
                ("announcement", bytes(110_000)),
                ("down", b"to all"),
            ]


@pytest.mark.system
@pytest.mark.asyncio
async def test_messages_end_when_the_link_is_closed(broker: RunningBroker) -> None:
    async with MqttLink(broker.address, "ada") as ada:
        consumer = asyncio.create_task(_count(ada))
    assert await consumer == 0
    assert not ada.is_connected


@pytest.mark.system
@pytest.mark.asyncio
async def test_cancelled_link_closes_in_good_order(broker: RunningBroker) -> None:
    entered = asyncio.Event()

    async def hold() -> None:
        async with MqttLink(broker.address, "ada"):
            entered.set()
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    await entered.wait()
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    assert [task for task in asyncio.all_tasks() if "mqtt link" in task.get_name()] == []


@pytest.mark.system
@pytest.mark.asyncio
async def test_closing_while_the_broker_is_away_is_quick(broker: RunningBroker) -> None:
    async with MqttLink(broker.address, "ada") as ada:
        await broker.stop()
        ada.publish("room/1", b"never sent")
        async with asyncio.timeout(10):
            await _until(lambda: not ada.is_connected)
        closing = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - closing < mqtt.FAREWELL_TIMEOUT + 1


@pytest.mark.asyncio
async def test_broker_that_is_not_there_is_told(unused_tcp_port: int) -> None:
    await _assert_refused(BrokerAddress(LOOPBACK, unused_tcp_port), "nothing listens there")


@pytest.mark.asyncio
async def test_unknown_host_is_told() -> None:
    await _assert_refused(BrokerAddress("no-such-host.invalid"), "host name")


@pytest.mark.asyncio
async def test_host_without_a_route_is_told() -> None:
    # 240.0.0.0/4 is reserved (RFC 1112 section 4): the kernel has no route, or no host answers.
    await _assert_refused(BrokerAddress("255.255.255.255"), "cannot be reached")


@pytest.mark.asyncio
async def test_silent_host_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "ANSWER_TIMEOUT", 0.1)
    with socket.create_server((LOOPBACK, 0)) as silent:
        await _assert_refused(BrokerAddress(LOOPBACK, silent.getsockname()[1]), "does not answer in MQTT")


@pytest.mark.system
@pytest.mark.asyncio
async def test_wrong_password_is_told(mosquitto: Callable[..., Mosquitto], tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    mosquitto_passwd = find_tool("mosquitto_passwd")
    assert mosquitto_passwd is not None
    hashing = await asyncio.create_subprocess_exec(mosquitto_passwd, "-b", "-c", passwords, "ada", "secret")
    assert await hashing.wait() == 0
    broker = mosquitto("allow_anonymous false", f"password_file {passwords}")
    await broker.start()
    host, port = broker.address.host, broker.address.port
    async with MqttLink(BrokerAddress(host, port, "ada", "secret"), "ada") as ada:
        assert ada.is_connected
    for address in (BrokerAddress(host, port, "ada", "wrong"), BrokerAddress(host, port)):
        await _assert_refused(address, "check user name and password")


@pytest.mark.asyncio
async def test_broker_that_hangs_up_after_we_did_is_no_complaint(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mqtt, "ANSWER_TIMEOUT", 0.2)
    taken: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CONNECTION_ACCEPTED)
        taken.put_nowait(writer)

    server = await asyncio.start_server(take, LOOPBACK, 0)
    address = BrokerAddress(*server.sockets[0].getsockname())
    async with server, asyncio.timeout(10), MqttLink(address, "ada") as ada:
        first = await taken.get()
        ada.publish("room/ada", b"never acknowledged")
        (await taken.get()).close()  # the link has done with the first connection, and just made the second
        first.close()
        (await taken.get()).close()
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


@pytest.mark.asyncio
async def test_refused_subscription_is_told() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"ada")
        writer.write(CONNECTION_ACCEPTED)
        subscription = await reader.readuntil(b"room/1\x01")
        writer.write(SUBSCRIPTION_HEADER + subscription[2:4] + SUBSCRIPTION_REFUSED)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(refuse, LOOPBACK)
    async with server, MqttLink(BrokerAddress(*server.sockets[0].getsockname()), "ada") as ada:
        with pytest.raises(TransportError, match="refuses the subscription to room/1"):
            await ada.subscribe("room/1")


@pytest.mark.parametrize("topic_filter", ["", "a/#/b", "a+"])
@pytest.mark.system
@pytest.mark.asyncio
async def test_filter_that_is_none_is_our_own_misuse(broker: RunningBroker, topic_filter: str) -> None:
    async with MqttLink(broker.address, "ada") as ada:
        with pytest.raises(SessionStateError):
            await ada.subscribe(topic_filter)
        assert ada.is_connected


@pytest.mark.system
@pytest.mark.asyncio
async def test_tls_is_spoken_with_a_trusted_broker_only(secured: SecuredBroker) -> None:
    async with MqttLink(secured.address, "broadcaster", tls=secured.tls(secured.role())) as link:
        await link.subscribe("slatecast/v1/#")
        link.publish("slatecast/v1/room", bytes(100_000))
        assert [message async for message in _first(link, 1)] == [("slatecast/v1/room", bytes(100_000))]
    for tls in (None, secured.tls(secured.role(), authority=Authority.create())):
        await _assert_refused(secured.address, "certificate that is not trusted", tls)


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.asyncio
async def test_certificate_that_the_broker_does_not_take_is_told(
    secured: SecuredBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "ANSWER_TIMEOUT", 0.5)
    for identity in (None, Authority.create().role_identity("broadcaster")):
        await _assert_refused(secured.address, "does not accept our certificate: enrol", secured.tls(identity))


@pytest.mark.system
@pytest.mark.asyncio
async def test_certificate_that_allows_nothing_is_told() -> None:
    authority = Authority.create()
    async with EmbeddedBroker(port=0, tls=BrokerTls(authority.server_identity(), authority.certificate)) as broker:
        tls = pinned_context(authority.certificate, authority.role_identity("stranger"))
        await _assert_refused(broker.address, "whether our certificate is for this", tls)


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.asyncio
async def test_tls_to_a_plain_broker_is_told(broker: RunningBroker) -> None:
    tls = pinned_context(Authority.create().certificate, None)
    await _assert_refused(BrokerAddress(broker.address.host, broker.address.port, tls=True), "check", tls)


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.asyncio
async def test_plain_mqtt_to_a_broker_with_tls_is_told(secured: SecuredBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "ANSWER_TIMEOUT", 0.5)
    await _assert_refused(BrokerAddress(secured.address.host, secured.address.port), "check scheme")


@pytest.mark.asyncio
async def test_link_that_is_closed_while_the_broker_dies_is_closed() -> None:
    class DyingClient:
        """Ends with an error when it is cancelled, as a connection that breaks at that moment."""

        @property
        async def messages(self) -> AsyncIterator[aiomqtt.Message]:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise aiomqtt.MqttError("gone") from None
            yield aiomqtt.Message("never", b"", 0, False, 0, None)

    link = MqttLink(BrokerAddress("lab"), "ada")
    exchange = asyncio.create_task(link._exchange(DyingClient()))  # type: ignore[arg-type] # what is used of it
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    link._is_closing = True
    exchange.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange


async def _assert_refused(address: BrokerAddress, reason: str, tls: ssl.SSLContext | None = None) -> None:
    with pytest.raises(TransportError, match=reason) as caught:
        await MqttLink(address, "ada", tls=tls).__aenter__()
    assert str(address) in str(caught.value)
    assert "\n" not in str(caught.value)


async def _first(link: MqttLink, count: int) -> AsyncIterator[tuple[str, bytes]]:
    async with asyncio.timeout(20):
        messages = link.messages()
        for _ in range(count):
            yield await anext(messages)


async def _count(link: MqttLink) -> int:
    return len([message async for message in link.messages()])


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the link tells its state to whoever asks, there is no event to await
        await asyncio.sleep(0.02)


class Stalls:
    """How long the event loop did nothing, beyond what the machine kept a plain thread waiting meanwhile."""

    def __init__(self) -> None:
        self.worst = 0.0
        self.machine_worst = 0.0

    def __repr__(self) -> str:
        return f"loop {self.worst:.3f} s beyond the machine's {self.machine_worst:.3f} s"


@contextlib.asynccontextmanager
async def watched_loop(tick: float = 0.01) -> AsyncIterator[Stalls]:
    stalls = Stalls()
    done = threading.Event()
    beats = [time.monotonic()]

    def beat() -> None:
        while not done.wait(tick):
            beats.append(time.monotonic())

    async def listen() -> None:
        while True:
            began, heard = time.monotonic(), len(beats)
            await asyncio.sleep(tick)
            pauses = [later - earlier for earlier, later in pairwise([*beats[heard - 1 :], time.monotonic()])]
            machine = max(pauses, default=0.0)
            stalls.machine_worst = max(stalls.machine_worst, machine)
            stalls.worst = max(stalls.worst, time.monotonic() - began - tick - machine)

    watcher = threading.Thread(target=beat)
    watcher.start()
    listener = asyncio.create_task(listen())
    try:
        yield stalls
    finally:
        listener.cancel()
        done.set()
        watcher.join()


@contextlib.asynccontextmanager
async def _machine(
    address: BrokerAddress, client_id: str, will_topic: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that holds a connection with the last will ``dead``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD_A_CONNECTION, str(address), client_id, will_topic, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"connected\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
