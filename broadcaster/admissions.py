"""Who was let into this room: which key speaks for which receiver, proved by the director's admission. Sans-I/O.

A broadcaster that was restarted learns its room anew from the presences, so nothing here is kept on disk.
"""

from typing import Final

from protocol.admission import admitted_keys
from protocol.errors import SignatureError
from protocol.fields import MAX_SEATS
from protocol.messages import Message, Presence, SignedTicket
from protocol.ticket import ReceiverKeys

MAX_ADMITTED: Final = 2 * MAX_SEATS
"""[receivers] remembered at once, those that have left included; each start of a machine is one."""


class Admissions:
    """The admitted receivers that were heard, by receiver id."""

    def __init__(self, director_key: bytes) -> None:
        self._director_key = director_key
        self._keys: dict[str, ReceiverKeys] = {}

    def key_for(self, message: Message) -> bytes | None:
        """The key that must have signed ``message``; None when its sender was not admitted, or it is our own word."""
        if isinstance(message, Presence):
            keys = self._learn(message)
            return None if keys is None else keys.identity_key
        receiver_id = getattr(message, "receiver_id", None)
        known = None if isinstance(message, SignedTicket) or receiver_id is None else self._keys.get(receiver_id)
        return None if known is None else known.identity_key

    def keys_of(self, receiver_id: str) -> ReceiverKeys | None:
        """The keys of an admitted receiver that was heard."""
        return self._keys.get(receiver_id)

    def _learn(self, presence: Presence) -> ReceiverKeys | None:
        """The admission is the director's own signature, so it may be believed before the rest is proved."""
        try:
            keys = admitted_keys(presence, self._director_key)
        except SignatureError:
            return None
        if keys.receiver_id not in self._keys and len(self._keys) >= MAX_ADMITTED:
            del self._keys[next(iter(self._keys))]
        self._keys[keys.receiver_id] = keys
        return keys
