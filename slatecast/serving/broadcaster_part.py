"""The broadcaster as a part of the service."""

from collections.abc import Callable

from broadcaster.control_side import ControlSetting
from broadcaster.host.config import HostConfig
from broadcaster.host.service import SessionHost
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from protocol.errors import SlatecastError
from protocol.link.interfaces import resolve_interface
from slatecast.serving.handover import BroadcasterHandover, decode_handover


async def work(handover: bytes, on_ready: Callable[[str], None]) -> None:
    """Host sessions until cancelled; running ones are then suspended.

    Raises:
        SlatecastError: keys, library, interface, broker or a port cannot be used.
    """
    given = decode_handover(handover, BroadcasterHandover)
    keys = KeyStore.open(given.keys)
    library = Library.open_or_create(given.library)
    try:
        async with SessionHost(library, keys, host_config(given)) as host:
            on_ready(str(host.door))
            await host.run()
    except BaseExceptionGroup as group:
        ours, others = group.split(SlatecastError)
        if ours is None or others is not None:
            raise
        raise _first(ours) from None


def host_config(given: BroadcasterHandover) -> HostConfig:
    """What the host is set up with.

    Raises:
        TransportError: the interface cannot be used any more.
    """
    return HostConfig(
        interface=resolve_interface(given.interface),
        control=ControlSetting(given.token, given.broker, given.ca_file, given.port),
        rate_bits_per_second=given.rate_bits_per_second,
        max_rate_bits_per_second=given.max_rate_bits_per_second,
        metrics_port=given.metrics_port,
        metrics_host=given.metrics_host,
    )


def _first(group: BaseExceptionGroup[SlatecastError]) -> SlatecastError:
    """An error of a group, however deep it lies."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
