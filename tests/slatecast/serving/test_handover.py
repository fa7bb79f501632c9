from pathlib import Path

from dashboards.config import BrokerAccess, ConsoleConfig, MailConfig, NoticesConfig
from protocol.link.mqtt import BrokerAddress
from protocol.link.tls import TlsIdentity
from slatecast.serving.handover import BroadcasterHandover, decode_handover, encode_handover

BROKER = BrokerAddress("10.0.4.2", 8883, username="ada", password="word", tls=True)
BROADCASTER = BroadcasterHandover(
    library=Path("/library"),
    keys=Path("/keys"),
    interface="lo",
    broker=BROKER,
    ca_file=None,
    port=8884,
    token="four words of it",
    rate_bits_per_second=10**9,
)
CONSOLE = ConsoleConfig(
    broker=BrokerAccess(BROKER, b"PEM", TlsIdentity(b"PEM\n", b"KEY\n")),
    director_key=bytes(range(32)),
    signing_seed=bytes(32),
    state=Path("/state"),
    host="127.0.0.1",
    port=8443,
    https=None,
    authority=b"PEM",
    notices=NoticesConfig(("https://hook",), MailConfig("mail", 25, "a@b", ("c@d",)), b"word", b"PEM"),
)


def test_a_part_gets_what_it_is_given() -> None:
    assert decode_handover(encode_handover(BROADCASTER), BroadcasterHandover) == BROADCASTER
    assert decode_handover(encode_handover(CONSOLE), ConsoleConfig) == CONSOLE


def test_it_is_one_line() -> None:
    assert b"\n" not in encode_handover(BROADCASTER) + encode_handover(CONSOLE)


def test_the_token_is_not_shown() -> None:
    assert "four words" not in repr(BROADCASTER)
