from protocol.link.interfaces import InterfaceInfo
from receiver.config import DEFAULT_COUNTDOWN, ReceiverConfig
from receiver.session import DEFAULT_BUFFER_LIMIT

LOOPBACK = InterfaceInfo("lo", 1, "127.0.0.1", "::1", 65_536, None, is_loopback=True, is_wireless=False)


def test_what_is_not_said_keeps_what_the_disk_holds_within_the_usual_memory_and_counts_down() -> None:
    config = ReceiverConfig("seat-1", "/dev/sda", LOOPBACK)
    assert (config.is_delta, config.buffer_limit) == (True, DEFAULT_BUFFER_LIMIT)
    assert config.countdown_seconds == DEFAULT_COUNTDOWN == 10.0
