"""Whether the picture can be believed, and what an operator should mend, in words. Pure."""

from typing import Final

from dashboards.fleet.fold import SILENCE
from dashboards.fleet.views import Health
from protocol.operators import HostNews

LITTLE_SPACE: Final = 0.05
"""Share of the library's file system that is free, under which the next image may not fit."""

CLOCKS_APART: Final = 60.0
"""[s] Chosen: times of the broadcaster that are shown beside ours would mislead."""


def health_of(
    host: HostNews | None,
    heard_seconds_ago: float | None,
    *,
    is_broker_connected: bool,
    broker_text: str,
    at: float,
    rejected_count: int = 0,
) -> Health:
    """The health at the time of day ``at``.

    Args:
        host: the last word of the broadcaster.
        heard_seconds_ago: when it came; None when it has not been heard.
        is_broker_connected: whether the console has the broker.
        broker_text: where it is, or why it cannot be reached.
        at: seconds since 1970, when the word would be new.
        rejected_count: messages in the broadcaster's name that it did not sign.
    """
    is_heard = is_broker_connected and heard_seconds_ago is not None and heard_seconds_ago <= SILENCE
    problems = []
    if not is_broker_connected:
        problems.append(
            f"The broker is gone ({broker_text}): start it, or check the network; a cast goes on meanwhile."
        )
    elif heard_seconds_ago is None:
        problems.append("The broadcaster has not been heard: start it, or see whether it has the same broker and keys.")
    elif not is_heard:
        problems.append(f"The broadcaster has been silent for {heard_seconds_ago:.0f} s: see whether it still runs.")
    if rejected_count:
        problems.append(
            f"{rejected_count} messages in the broadcaster's name were not signed by it: somebody else writes to the "
            "broker, or the broadcaster has other keys than this console."
        )
    if host is not None:
        problems += _problems_of(host)
        if is_heard and heard_seconds_ago is not None and abs(at - heard_seconds_ago - host.at) > CLOCKS_APART:
            apart = abs(at - heard_seconds_ago - host.at)
            problems.append(f"The clocks of broadcaster and console are {apart:.0f} s apart: set them by NTP.")
    return Health(is_broker_connected, broker_text, host, heard_seconds_ago, is_heard, tuple(problems))


def _problems_of(host: HostNews) -> list[str]:
    problems = list(host.warnings)
    if not host.is_link_up:
        problems.append(f"The interface {host.interface} has no link: check its cable and the switch.")
    total, free = host.library_bytes_total, host.library_bytes_free
    if total and free < LITTLE_SPACE * total:
        problems.append(
            f"The library is nearly full: {free / 1e9:.1f} GB of {total / 1e9:.0f} GB are free in {host.library_path}; "
            "remove an old version."
        )
    return problems
