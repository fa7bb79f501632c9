from protocol.link.interfaces import InterfaceInfo
from protocol.link.mqtt import BrokerAddress
from receiver.config import ReceiverConfig
from receiver.session import DEFAULT_BUFFER_LIMIT

LOOPBACK = InterfaceInfo("lo", 1, "127.0.0.1", "::1", 65_536, None, is_loopback=True, is_wireless=False)


def config() -> ReceiverConfig:
    return ReceiverConfig("seat-1", "/dev/sda", LOOPBACK, BrokerAddress("broker", 1883, "room", "geheim"))


def test_what_is_not_said_keeps_what_the_disk_holds_within_the_usual_memory() -> None:
    assert (config().is_delta, config().buffer_limit, config().ca_file) == (True, DEFAULT_BUFFER_LIMIT, None)


def test_a_config_in_a_log_does_not_tell_the_brokers_password() -> None:
    assert "geheim" not in repr(config())
