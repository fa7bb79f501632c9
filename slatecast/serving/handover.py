"""What the parts of the service are told by their supervisor, as one line of JSON."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from broadcaster.netboot.config import NetbootConfig
from dashboards.config import ConsoleConfig
from protocol.link.mqtt import BrokerAddress

Handover = TypeVar("Handover", "BroadcasterHandover", ConsoleConfig, NetbootConfig)


@dataclass(frozen=True, slots=True)
class BroadcasterHandover:
    """All that the broadcaster needs; it opens library and keys by itself."""

    library: Path
    keys: Path
    interface: str
    """name"""
    broker: BrokerAddress
    ca_file: Path | None
    port: int
    """of the front door"""
    token: str | None = field(repr=False)
    rate_bits_per_second: int | None = None
    max_rate_bits_per_second: int | None = None
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"


def encode_handover(handover: BroadcasterHandover | ConsoleConfig | NetbootConfig) -> bytes:
    """One line, without the end of it."""
    return msgspec.json.encode(handover, enc_hook=_plain)


def decode_handover(line: bytes, kind: type[Handover]) -> Handover:
    """What was encoded; it comes from our own process, so what it is not is a bug."""
    return msgspec.json.decode(line, type=kind, dec_hook=lambda wanted, value: wanted(value))


def _plain(value: Any) -> str:
    assert isinstance(value, Path)
    return str(value)
