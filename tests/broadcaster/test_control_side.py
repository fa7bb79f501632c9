import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broadcaster.broker import LOOPBACK
from broadcaster.control_side import BROADCASTER, BrokerInUse, Control, ControlSetting
from broadcaster.keys import KeyStore
from broadcaster.library.image_signature import sign_digest
from protocol.errors import ConfigError, TransportError
from protocol.link import mqtt
from protocol.link.front_door_address import DEFAULT_FRONT_DOOR_PORT
from protocol.link.interfaces import resolve_interface
from protocol.link.mqtt import DEFAULT_TLS_PORT, BrokerAddress, MqttLink
from protocol.link.tls import pinned_context
from receiver.enrolment import enrol
from receiver.identity import ReceiverIdentity
from tests.certificates import certificate
from tests.end_to_end.room import free_port

pytestmark = pytest.mark.asyncio

LO = resolve_interface("lo")
TOKEN = "legal-winner-thank-year"
TOPIC = "slatecast/v1/receivers/00000000000000000000000000000000/ticket"


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore.open_or_create(tmp_path / "keys")


@contextmanager
def taken(port: int = 0) -> Iterator[int]:
    """A port that is used: by this test, or by another program already, which is as good."""
    try:
        listener = socket.create_server((LOOPBACK, port))
    except OSError:
        listener = socket.socket()
    with listener:
        yield port or listener.getsockname()[1]


def control(
    keys: KeyStore,
    *,
    broker: str | None = None,
    ca_file: Path | None = None,
    port: int | None = 0,
    broker_port: int | None = 0,
) -> Control:
    address = None if broker is None else BrokerAddress.parse(broker)
    return Control(LO, keys, ControlSetting(TOKEN, address, ca_file, port, broker_port))


# --- the broker ------------------------------------------------------------------------------------------------------


@pytest.mark.system
@pytest.mark.slow
class TestEmbeddedBroker:
    """It is started anew by each test."""

    async def test_we_may_speak_on_it_and_strangers_may_not_even_connect(
        self, keys: KeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with control(keys).broker(None) as broker:
            assert broker.authority == keys.authority.certificate
            assert broker.address.tls
            async with MqttLink(broker.address, BROADCASTER, tls=broker.tls) as link:
                await link.subscribe(TOPIC)
                link.publish(TOPIC, b"order")
                assert await anext(aiter(link.messages())) == (TOPIC, b"order")
            monkeypatch.setattr(mqtt, "ANSWER_TIMEOUT", 0.5)
            stranger = KeyStore.open_or_create(tmp_path / "other-keys").authority
            for identity in (None, stranger.role_identity(BROADCASTER)):
                tls = pinned_context(keys.authority.certificate, identity)
                with pytest.raises(TransportError, match="does not accept our certificate"):
                    async with MqttLink(broker.address, "stranger", tls=tls):
                        pass

    async def test_it_listens_where_it_is_told(self, keys: KeyStore) -> None:
        port = free_port()
        async with control(keys, broker_port=port).broker(None) as broker:
            assert (broker.address.host, broker.address.port) == (LOOPBACK, port)

    async def test_where_the_standard_port_is_taken_another_one_does(self, keys: KeyStore) -> None:
        with taken(DEFAULT_TLS_PORT):
            async with control(keys, broker_port=None).broker(None) as broker:
                assert broker.address.port not in (0, DEFAULT_TLS_PORT)

    async def test_a_port_that_was_asked_for_and_is_taken_is_an_error(self, keys: KeyStore) -> None:
        with taken() as port, pytest.raises(TransportError, match="Address already in use"):
            async with control(keys, broker_port=port).broker(None):
                pass

    async def test_a_cast_that_is_resumed_finds_its_port_again(self, keys: KeyStore) -> None:
        port = free_port()
        async with control(keys, broker_port=None).broker(port) as broker:
            assert broker.address.port == port


@pytest.mark.parametrize("with_ca_file", [True, False])
async def test_another_broker_must_have_a_certificate_of_the_authority_that_is_named_or_ours(
    keys: KeyStore, tmp_path: Path, with_ca_file: bool
) -> None:
    ca_file, theirs = tmp_path / "ca.pem", certificate()
    ca_file.write_bytes(theirs)
    one = control(keys, broker="mqtts://broker.example", ca_file=ca_file if with_ca_file else None)
    async with one.broker(None) as broker:
        assert broker.address == BrokerAddress.parse("mqtts://broker.example")
        assert broker.tls is not None
        assert broker.authority == (theirs if with_ca_file else keys.authority.certificate)


async def test_another_broker_without_tls_is_warned_of(keys: KeyStore, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with control(keys, broker="mqtt://broker.example").broker(None) as broker:
            assert broker == BrokerInUse(BrokerAddress.parse("mqtt://broker.example"), None, None)
    assert "broker mqtt://broker.example:1883 has no TLS" in caplog.text
    assert "'slatecast keys mosquitto' makes a configuration that is safe" in caplog.text


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
async def test_a_ca_file_that_is_none(keys: KeyStore, tmp_path: Path, content: bytes | None) -> None:
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_bytes(content)
    with pytest.raises(ConfigError, match="name a PEM file of certificates") as raised:
        async with control(keys, broker="mqtts://broker.example", ca_file=ca_file).broker(None):
            pass
    assert str(ca_file) in str(raised.value)
    assert "\n" not in str(raised.value)


# --- the front door --------------------------------------------------------------------------------------------------

BROKER = BrokerInUse(BrokerAddress("192.0.2.1", 8883, tls=True), None, certificate())


@pytest.mark.system
async def test_whoever_has_the_token_is_let_in_and_told_of_the_broker(keys: KeyStore) -> None:
    events: list[object] = []
    async with control(keys).front_door(BROKER, events.append) as door:
        enrolled = await enrol(
            LOOPBACK,
            door.port,
            ReceiverIdentity.draw(),
            seat="row-2",
            token=TOKEN,
            trust=None,
            on_words=lambda _: None,
            confirm=None,
        )
    assert enrolled.trust == keys.trust
    assert enrolled.broker == BROKER.address
    assert len(events) == 1


@pytest.mark.system
async def test_the_door_is_where_it_is_told(keys: KeyStore) -> None:
    port = free_port()
    async with control(keys, port=port).front_door(BROKER, lambda _: None) as door:
        assert door.port == port


@pytest.mark.system
async def test_where_the_standard_door_is_taken_another_one_does(keys: KeyStore) -> None:
    with taken(DEFAULT_FRONT_DOOR_PORT):
        async with control(keys, port=None).front_door(BROKER, lambda _: None) as door:
            assert door.port not in (0, DEFAULT_FRONT_DOOR_PORT)


@pytest.mark.system
async def test_a_door_that_was_asked_for_and_is_taken_is_an_error(keys: KeyStore) -> None:
    with taken() as port, pytest.raises(TransportError, match="Address already in use"):
        async with control(keys, port=port).front_door(BROKER, lambda _: None):
            pass


# --- credentials -----------------------------------------------------------------------------------------------------


async def test_a_cast_speaks_with_the_directors_key_and_serves_with_tls(keys: KeyStore) -> None:
    assert keys.image is not None
    signature = sign_digest(bytes(32), keys.image)
    made = control(keys).credentials(BROKER, signature)
    assert made.director is keys.director
    assert (made.image_key, made.image_signature) == (signature.key, signature.signature)
    assert made.broker_tls is BROKER.tls
    assert made.lane_tls is not None
