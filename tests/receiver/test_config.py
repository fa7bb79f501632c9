from dataclasses import replace

import pytest

from protocol.link.interfaces import InterfaceInfo
from receiver.config import DEFAULT_COUNTDOWN, ReceiverConfig
from receiver.session import DEFAULT_BUFFER_LIMIT

LOOPBACK = InterfaceInfo("lo", 1, "127.0.0.1", "::1", 65_536, None, is_loopback=True, is_wireless=False)


def test_what_is_not_said_keeps_what_the_disk_holds_within_the_usual_memory_and_counts_down() -> None:
    config = ReceiverConfig("seat-1", "/dev/sda", LOOPBACK)
    assert (config.is_delta, config.buffer_limit) == (True, DEFAULT_BUFFER_LIMIT)
    assert config.countdown_seconds == DEFAULT_COUNTDOWN == 10.0


@pytest.mark.parametrize(
    ("interface", "port", "address"),
    [
        (LOOPBACK, 9101, "127.0.0.1:9101"),
        (replace(LOOPBACK, ipv4=None), 9101, "[::1]:9101"),
        (LOOPBACK, None, ""),
    ],
)
def test_where_prometheus_finds_the_exporter(interface: InterfaceInfo, port: int | None, address: str) -> None:
    assert ReceiverConfig("seat-1", "/dev/sda", interface, metrics_port=port).metrics_address == address
