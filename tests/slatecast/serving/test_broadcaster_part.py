import asyncio
from pathlib import Path
from typing import Any, Self

import pytest

from broadcaster.keys import KeyStore
from protocol.errors import ConfigError, TransportError
from protocol.link.mqtt import BrokerAddress
from slatecast.serving import broadcaster_part
from slatecast.serving.broadcaster_part import host_config, work
from slatecast.serving.handover import BroadcasterHandover, encode_handover


def given(folder: Path, interface: str = "lo") -> BroadcasterHandover:
    return BroadcasterHandover(
        library=folder / "library",
        keys=folder / "keys",
        interface=interface,
        broker=BrokerAddress("127.0.0.1", 1, tls=True),
        ca_file=Path("/ca.pem"),
        port=1234,
        token="four words",
        rate_bits_per_second=900,
        max_rate_bits_per_second=2000,
        metrics_port=9101,
        metrics_host="192.0.2.7",
    )


def test_the_host_is_set_up_as_was_handed_over(tmp_path: Path) -> None:
    config = host_config(given(tmp_path))
    assert (config.interface.name, config.control.token, config.control.port) == ("lo", "four words", 1234)
    assert (config.control.broker, config.control.ca_file) == (given(tmp_path).broker, Path("/ca.pem"))
    assert (config.rate_bits_per_second, config.max_rate_bits_per_second) == (900, 2000)
    assert (config.metrics_port, config.metrics_host) == (9101, "192.0.2.7")


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no keys in"):
        asyncio.run(work(encode_handover(given(tmp_path)), lambda _: None))
    KeyStore.open_or_create(tmp_path / "keys")
    with pytest.raises(TransportError, match="no interface has the name"):
        asyncio.run(work(encode_handover(given(tmp_path, "nope")), lambda _: None))


@pytest.mark.parametrize(
    ("errors", "raised"),
    [([TransportError("gone")], TransportError), ([TransportError("gone"), ZeroDivisionError()], ExceptionGroup)],
)
def test_an_error_in_a_task_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errors: list[Exception], raised: type[Exception]
) -> None:
    class Host:
        door = "127.0.0.1:1234"

        def __init__(self, *_: Any) -> None: ...

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def run(self) -> None:
            raise ExceptionGroup("tasks", [ExceptionGroup("deeper", errors)])

    monkeypatch.setattr(broadcaster_part, "SessionHost", Host)
    KeyStore.open_or_create(tmp_path / "keys")
    found: list[str] = []
    with pytest.raises(raised):
        asyncio.run(work(encode_handover(given(tmp_path)), found.append))
    assert found == ["127.0.0.1:1234"]
