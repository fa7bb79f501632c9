import pytest

from protocol.errors import ConfigError
from protocol.link.front_door_address import DEFAULT_FRONT_DOOR_PORT, FrontDoorAddress


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.1", "10.0.0.1", DEFAULT_FRONT_DOOR_PORT),
        ("lab-server:9000", "lab-server", 9000),
        ("[fd00::1]", "fd00::1", DEFAULT_FRONT_DOOR_PORT),
        ("[fd00::1]:9000", "fd00::1", 9000),
    ],
)
def test_what_people_write(text: str, host: str, port: int) -> None:
    address = FrontDoorAddress.parse(text)
    assert address == (host, port)
    assert FrontDoorAddress.parse(str(address)) == address


@pytest.mark.parametrize(
    "text", ["", ":9000", "host:0", "host:65536", "host:port", "a:b:c", "mqtt://host", "host/path", "me@host", "a b"]
)
def test_anything_else_is_one_clear_line(text: str) -> None:
    with pytest.raises(ConfigError, match="write host:port") as raised:
        FrontDoorAddress.parse(text)
    assert len(str(raised.value).splitlines()) == 1
