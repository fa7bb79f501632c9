"""Looks who else sends to the group, when a seat was lied to: the watching beside ``poison``, which judges."""

import asyncio
import logging
import time
from collections import Counter
from typing import Final

from protocol.errors import TransportError
from protocol.link.sender_watch import SenderWatch, neighbour_mac
from receiver.poison import SAMPLE_SECONDS, PoisonWatch, Sender, liars_among

POLL_SECONDS: Final = 0.2
"""[s] How soon a look that is due begins: the next lie may follow soon."""

CROWD_SECONDS: Final = 0.5
"""[s] In which everybody is looked at; then it is known who the broadcaster is, and only the others are."""

READ_SECONDS: Final = 0.02
"""[s] Between two reads while looking: 25,000 headers a second at most, a fifth of a core for half a second."""

_logger = logging.getLogger(__name__)


async def watch_senders(poison: PoisonWatch, interface_name: str, group: str, source: str) -> None:
    """Look whenever ``poison`` has reason to, until cancelled; ``source`` is the broadcaster's address or empty."""
    while True:
        await asyncio.sleep(POLL_SECONDS)
        if poison.is_look_due(time.monotonic()):
            poison.looking(time.monotonic())
            try:
                heard, source_mac = await look(interface_name, group, source)
            except TransportError as error:
                _logger.info("%s", error)
                poison.cannot_look()
            else:
                poison.looked(heard, source, source_mac)
            _logger.warning("%s", poison.alarm)


async def look(
    interface_name: str, group: str, source: str, seconds: float = SAMPLE_SECONDS
) -> tuple[Counter[Sender], str | None]:
    """Who sends to the group within ``seconds``, and the broadcaster's MAC as far as the neighbour table knows it.

    It ends sooner when somebody besides the broadcaster is heard.

    Raises:
        TransportError: not permitted, or the interface is gone.
    """
    source_mac = neighbour_mac(source, interface_name) if source else None
    heard: Counter[Sender] = Counter()
    ends_at = time.monotonic() + seconds
    crowd_ends_at = time.monotonic() + CROWD_SECONDS
    is_crowd_known = False
    with SenderWatch(interface_name, group) as watch:
        while (now := time.monotonic()) < ends_at:
            await asyncio.sleep(READ_SECONDS)
            heard.update({Sender(mac, ip): count for (mac, ip), count in watch.read().items()})
            if now < crowd_ends_at:
                continue
            if liars_among(heard, source, source_mac):
                break
            if not is_crowd_known and heard:
                is_crowd_known = True
                watch.ignore(heard.most_common(1)[0][0].mac)  # the only one
    return heard, source_mac
