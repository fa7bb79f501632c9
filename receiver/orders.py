"""Which session this receiver may take part in: announcements and tickets in, orders out. Sans-I/O.

Both arrive in any order, repeatedly, and from anybody who can write to the broker. Only a ticket that ``check_ticket``
finds good becomes an order: once for each session that may be written, and once before that for one that is only
planned. What is said of a plan when its session may be written changes nothing.
"""

from collections.abc import Collection
from typing import Final, NamedTuple, TypeVar

from protocol import PROTOCOL_VERSION
from protocol.errors import TicketError
from protocol.messages import Announcement, SignedTicket
from protocol.sealed_box import OpeningKey
from protocol.ticket import Order, ReceiverKeys, check_ticket

MAX_WAITING: Final = 64
"""[sessions] announced or ordered at once that one receiver keeps: stops a peer from filling its memory."""


Kept = TypeVar("Kept")


class AnnouncedOrder(NamedTuple):
    """A session, and the order to take part in it."""

    announcement: Announcement
    order: Order


class Orders:
    """What this receiver was told of sessions that it has not begun."""

    def __init__(
        self,
        receiver: ReceiverKeys,
        opening_key: OpeningKey,
        *,
        director_key: bytes,
        image_keys: Collection[bytes],
    ) -> None:
        self._receiver = receiver
        self._opening_key = opening_key
        self._director_key = director_key
        self._image_keys = image_keys
        self._announced: dict[str, Announcement] = {}
        self._tickets: dict[str, SignedTicket] = {}
        self._planned: dict[str, AnnouncedOrder] = {}
        """sessions that were ordered, and may not be written yet"""
        self._begun: set[str] = set()
        """sessions that were ordered, planned ones too"""
        self._may_write: set[str] = set()
        """of all that were ever ordered, the ones that may be written"""
        self._ended: set[str] = set()

    @property
    def lacks_ticket(self) -> bool:
        """Whether a session is announced that we were given no good ticket for yet."""
        return bool(self.lacking)

    @property
    def lacking(self) -> frozenset[str]:
        """The sessions that are announced and that we were given no good ticket for yet."""
        return frozenset(self._announced)

    def announced(self, announcement: Announcement) -> AnnouncedOrder | None:
        """Take an announcement that the director has signed; the order, if its ticket was there before.

        Raises:
            TicketError: the ticket that was there must not be acted on; the announcement is kept for a better one.
        """
        tsi = announcement.tsi
        if tsi in self._begun or tsi in self._ended or announcement.protocol_version != PROTOCOL_VERSION:
            return None
        _put(self._announced, tsi, announcement)
        ticket = self._tickets.pop(tsi, None)
        return None if ticket is None else self.ticket(ticket)

    def ticket(self, signed: SignedTicket) -> AnnouncedOrder | None:
        """Take a ticket of any origin; the order, if its session is announced and not begun, or was only planned until
        now and may be written.

        Raises:
            TicketError: it must not be acted on.
        """
        tsi = signed.tsi
        planned = self._planned.get(tsi)
        if tsi in self._ended or (tsi in self._begun and planned is None):
            return None
        announcement = self._announced.get(tsi) if planned is None else planned.announcement
        if announcement is None:
            _put(self._tickets, tsi, signed)
            return None
        order = self._checked(signed, announcement)
        may_write = order.ticket.may_write
        if not may_write and (planned is not None or tsi in self._may_write):
            return None
        if planned is not None and not _is_same(planned.order, order):
            raise TicketError("the order to write is not for the session that was planned")
        ordered = AnnouncedOrder(announcement, order)
        if may_write:
            self._planned.pop(tsi, None)
            self._may_write.add(tsi)
        else:
            _put(self._planned, tsi, ordered)
        self._begun.add(tsi)
        self._announced.pop(tsi, None)
        return ordered

    def _checked(self, signed: SignedTicket, announcement: Announcement) -> Order:
        return check_ticket(
            signed,
            announcement,
            receiver=self._receiver,
            opening_key=self._opening_key,
            director_key=self._director_key,
            image_keys=self._image_keys,
        )

    def ended(self, tsi: str) -> None:
        """The director says that the session is over: whatever is repeated of it later is void."""
        self._ended.add(tsi)
        self._announced.pop(tsi, None)
        self._tickets.pop(tsi, None)
        self._planned.pop(tsi, None)

    def has_ended(self, tsi: str) -> bool:
        """Whether the director said that this session is over."""
        return tsi in self._ended

    def may_begin_again(self, tsi: str) -> None:
        """The broadcaster of a session that was begun is gone: join it again when it is back."""
        self._begun.discard(tsi)
        self._planned.pop(tsi, None)


def _is_same(planned: Order, order: Order) -> bool:
    """Whether both orders are for one session with one secret and one demand on the disk."""
    return planned.session_secret == order.session_secret and planned.ticket.disk == order.ticket.disk


def _put(store: dict[str, Kept], tsi: str, value: Kept) -> None:
    if tsi not in store and len(store) >= MAX_WAITING:
        del store[next(iter(store))]
    store[tsi] = value
