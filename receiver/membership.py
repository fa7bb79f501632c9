"""Keeps a receiver in its session's group: asks again when nothing comes, stays away while it would only be flooded.

A switch that restarts, or that snoops without a querier, forgets who is in a group; only a new join reminds it
(RFC 3376 section 5.1). Leaving and joining a healthy group would interrupt it, so that is done in silence only.
"""

import logging
from typing import Final

from protocol.errors import TransportError
from protocol.link.multicast import MulticastReceiver

REJOIN_SILENCE: Final = 5.0
"""[s] Without a datagram for so long, the group is joined again, and as often; a healthy sender is rarely silent."""

_logger = logging.getLogger(__name__)


class Membership:
    """Decides when the socket of one session leaves its group and joins it again."""

    def __init__(self, socket: MulticastReceiver, now: float) -> None:
        self._socket = socket
        self._reminded_at = now
        self._trouble = ""

    def received(self, now: float) -> None:
        """Something of the session came by multicast."""
        self._reminded_at = now

    def keep(self, now: float, *, must_leave: bool) -> None:
        """Leave, join or ask again, whatever is due; a link that is down now is tried again later."""
        try:
            if must_leave:
                self._socket.leave()
            elif not self._socket.is_member or now - self._reminded_at >= REJOIN_SILENCE:
                self._reminded_at = now
                self._socket.rejoin()
                self._trouble = ""
        except TransportError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                _logger.warning("%s; trying again", error)
