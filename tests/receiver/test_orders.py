import msgspec
import pytest

from protocol.errors import TicketError
from protocol.messages import Announcement, SignedTicket
from protocol.sealed_box import OpeningKey
from protocol.signing import SigningKey
from protocol.ticket import ReceiverKeys, sign_ticket
from receiver.orders import MAX_WAITING, AnnouncedOrder, Orders
from tests.sample_messages import DIRECTOR, IMAGE_KEY, OTHER_TSI, announcement

IDENTITY = SigningKey(b"r" * 32)
OPENING_KEY = OpeningKey(b"o" * 32)
KEYS = ReceiverKeys(identity_key=IDENTITY.public, sealing_key=OPENING_KEY.public, boot_nonce=b"n" * 16)
SECRET = b"s" * 32


@pytest.fixture
def orders() -> Orders:
    return Orders(KEYS, OPENING_KEY, director_key=DIRECTOR.public, image_keys=(IMAGE_KEY.public,))


def ticket(announced: Announcement, director: SigningKey = DIRECTOR) -> SignedTicket:
    return sign_ticket(announced, KEYS, SECRET, director, may_write=True)


@pytest.mark.parametrize("is_ticket_first", [True, False])
def test_announcement_and_ticket_make_an_order_in_any_order_and_once(orders: Orders, is_ticket_first: bool) -> None:
    announced = announcement()

    def announce() -> AnnouncedOrder | None:
        return orders.announced(announced)

    def give_ticket() -> AnnouncedOrder | None:
        return orders.ticket(ticket(announced))

    first, second = (give_ticket, announce) if is_ticket_first else (announce, give_ticket)
    assert first() is None
    order = second()
    assert order is not None
    assert (order.announcement, order.order.session_secret) == (announced, SECRET)
    assert not orders.lacks_ticket
    assert (first(), second()) == (None, None)


def test_a_bad_ticket_leaves_room_for_a_good_one(orders: Orders) -> None:
    announced = announcement()
    orders.announced(announced)
    with pytest.raises(TicketError):
        orders.ticket(ticket(announced, SigningKey(b"x" * 32)))
    assert orders.lacks_ticket
    assert orders.ticket(ticket(announced)) is not None


def test_a_bad_ticket_that_came_first_is_refused_with_the_announcement(orders: Orders) -> None:
    announced = announcement()
    assert orders.ticket(ticket(announced, SigningKey(b"x" * 32))) is None
    with pytest.raises(TicketError):
        orders.announced(announced)
    assert orders.ticket(ticket(announced)) is not None


def test_another_protocol_version_is_not_for_us(orders: Orders) -> None:
    orders.announced(announcement(protocol_version=2))
    assert not orders.lacks_ticket


def test_a_session_whose_broadcaster_was_lost_is_joined_again(orders: Orders) -> None:
    announced = announcement()
    orders.announced(announced)
    orders.ticket(ticket(announced))
    orders.may_begin_again(announced.tsi)
    assert orders.announced(announced) is None
    assert orders.lacks_ticket
    assert orders.ticket(ticket(announced)) is not None


def test_a_session_that_ended_without_us_is_forgotten(orders: Orders) -> None:
    announced = announcement()
    orders.announced(announced)
    orders.ticket(ticket(announcement(tsi=OTHER_TSI)))
    for tsi in (announced.tsi, OTHER_TSI):
        orders.ended(tsi)
        assert orders.has_ended(tsi)
    assert not orders.lacks_ticket
    for again in (announced, announcement(tsi=OTHER_TSI)):
        assert orders.announced(again) is None
        assert orders.ticket(ticket(again)) is None
    assert not orders.lacks_ticket


def test_the_memory_is_bounded(orders: Orders) -> None:
    for number in range(2 * MAX_WAITING):
        orders.announced(announcement(tsi=f"{number:016x}"))
        orders.ticket(msgspec.structs.replace(ticket(announcement()), tsi=f"{1 << 20 | number:016x}"))
    assert (len(orders._announced), len(orders._tickets)) == (MAX_WAITING, MAX_WAITING)
