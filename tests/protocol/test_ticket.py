"""Each test names one thing that a forger could change; tests/forged_orders does the same a hundred thousand times."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocol import sealed_box, ticket
from protocol.errors import SealError, TicketError
from protocol.fields import MAX_SIGNED_LENGTH
from protocol.messages import Announcement, SignedTicket, decode_message, encode_message, topic_of
from protocol.sealed_box import OpeningKey
from protocol.signing import Purpose, SigningKey, fingerprint
from protocol.ticket import (
    DiskPolicy,
    Order,
    ReceiverKeys,
    Ticket,
    announcement_digest,
    check_image,
    check_ticket,
    sign_ticket,
)
from tests.sample_messages import OTHER_TSI, TSI
from tests.sample_orders import (
    DIRECTOR,
    IMAGE_KEYS,
    OTHER_DIRECTOR,
    OTHER_IMAGE_KEY,
    OTHER_SEAT,
    SEAT,
    SECOND_IMAGE_KEY,
    SECRET,
    Seat,
    judge,
    signed_announcement,
    ticket_for,
)

ANNOUNCED = signed_announcement()
GOOD = ticket_for(SEAT, ANNOUNCED)
BODY = msgspec.json.decode(GOOD.ticket, type=Ticket)
TRUST = json.loads((Path(__file__).parents[1] / "vectors" / "trust.json").read_text(encoding="utf-8"))


def signed(body: bytes, director: SigningKey = DIRECTOR, purpose: Purpose = Purpose.TICKET) -> SignedTicket:
    return msgspec.structs.replace(GOOD, ticket=body, signature=director.sign(purpose, body))


def changed(**changes: Any) -> SignedTicket:
    """A ticket that the director itself has signed, wrong in these fields."""
    return signed(ticket._ENCODER.encode(msgspec.structs.replace(BODY, **changes)))


def test_a_good_ticket_is_an_order_with_its_secret() -> None:
    order = judge(GOOD, ANNOUNCED)
    assert order == Order(ticket=BODY, session_secret=SECRET)
    assert order.ticket.disk == DiskPolicy(
        min_size=ANNOUNCED.image.disk_size, logical_sector_size=ANNOUNCED.image.logical_sector_size
    )
    assert (GOOD.tsi, GOOD.receiver_id) == (TSI, SEAT.keys.receiver_id)


@pytest.mark.parametrize("may_write", [True, False])
def test_whether_it_may_write_is_what_the_director_signed(may_write: bool) -> None:
    signed_one = ticket_for(SEAT, ANNOUNCED, may_write=may_write)
    assert judge(signed_one, ANNOUNCED).ticket.may_write is may_write
    other = signed_one.ticket.replace(str(may_write).lower().encode(), str(not may_write).lower().encode())
    assert other != signed_one.ticket
    with pytest.raises(TicketError, match="not signed by"):
        judge(msgspec.structs.replace(signed_one, ticket=other), ANNOUNCED)


def test_it_is_one_after_its_way_through_the_broker() -> None:
    arrived = decode_message(topic_of(GOOD), encode_message(GOOD))
    announced = decode_message(topic_of(ANNOUNCED), encode_message(ANNOUNCED))
    assert isinstance(arrived, SignedTicket)
    assert isinstance(announced, Announcement)
    assert judge(arrived, announced).session_secret == SECRET


def test_every_image_key_of_the_room_will_do() -> None:
    announced = signed_announcement(SECOND_IMAGE_KEY)
    assert judge(ticket_for(SEAT, announced), announced).session_secret == SECRET


def test_the_secret_is_not_to_be_read_in_it() -> None:
    assert SECRET not in GOOD.ticket
    assert SECRET.hex().encode() not in GOOD.ticket


def test_a_ticket_of_another_director_is_refused() -> None:
    with pytest.raises(TicketError, match=r"not signed by this room's director; .*start this receiver again"):
        judge(ticket_for(SEAT, ANNOUNCED, OTHER_DIRECTOR), ANNOUNCED)


@pytest.mark.parametrize("purpose", set(Purpose) - {Purpose.TICKET})
def test_what_the_director_signed_for_something_else_is_no_order(purpose: Purpose) -> None:
    with pytest.raises(TicketError, match="not signed by"):
        judge(signed(GOOD.ticket, purpose=purpose), ANNOUNCED)


def test_no_byte_of_ticket_or_signature_may_change() -> None:
    for name in ("ticket", "signature"):
        value: bytes = getattr(GOOD, name)
        for place in range(0, len(value), 7):
            bad = value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
            with pytest.raises(TicketError, match="not signed by"):
                judge(msgspec.structs.replace(GOOD, **{name: bad}), ANNOUNCED)


def test_a_ticket_for_another_machine_is_refused() -> None:
    with pytest.raises(TicketError, match="for another machine"):
        judge(ticket_for(OTHER_SEAT, ANNOUNCED), ANNOUNCED)


def test_a_ticket_from_before_a_restart_is_refused_even_if_the_keys_were_kept() -> None:
    for boot in range(2, 10):
        with pytest.raises(TicketError, match="from before this machine's last start; start the cast again"):
            judge(GOOD, ANNOUNCED, Seat.of("seat", boot=boot))


def test_a_ticket_of_another_session_is_refused() -> None:
    with pytest.raises(TicketError, match="for another session"):
        judge(GOOD, signed_announcement(tsi=OTHER_TSI))
    with pytest.raises(TicketError, match="for another session"):
        judge(changed(tsi=OTHER_TSI), ANNOUNCED)


@pytest.mark.parametrize(
    "changes",
    [
        {"group": "239.1.1.1"},
        {"port": 9},
        {"source": "192.0.2.66"},
        {"catch_up_url": "https://192.0.2.66:1"},
        {"manifest_length": 1999},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_announcement_that_was_altered_is_not_the_one_of_the_ticket(changes: dict[str, Any]) -> None:
    with pytest.raises(TicketError, match="for another session"):
        judge(GOOD, msgspec.structs.replace(ANNOUNCED, **changes))


def test_a_ticket_for_another_image_is_refused() -> None:
    with pytest.raises(TicketError, match="for another image"):
        judge(changed(manifest_digest=bytes(32)), ANNOUNCED)


def test_an_image_of_a_foreign_key_is_refused() -> None:
    announced = signed_announcement(OTHER_IMAGE_KEY)
    with pytest.raises(TicketError, match="image classroom is signed by a key that this room does not know"):
        judge(ticket_for(SEAT, announced), announced)


def test_the_director_key_cannot_sign_images() -> None:
    announced = signed_announcement(DIRECTOR)
    with pytest.raises(TicketError, match="does not know; sign it with 'slatecast image sign'"):
        judge(ticket_for(SEAT, announced), announced)


def test_an_image_key_cannot_order() -> None:
    image_key = SECOND_IMAGE_KEY
    with pytest.raises(TicketError, match="not signed by"):
        judge(ticket_for(SEAT, ANNOUNCED, image_key), ANNOUNCED)


@pytest.mark.parametrize(
    "signature",
    [
        SECOND_IMAGE_KEY.sign(Purpose.IMAGE, ANNOUNCED.manifest_digest),
        signed_announcement(manifest_digest=bytes(32)).image_signature,
        bytes(64),
    ],
    ids=["of another key", "of another image", "none"],
)
def test_a_signature_that_is_not_the_images_is_refused(signature: bytes) -> None:
    announced = msgspec.structs.replace(ANNOUNCED, image_signature=signature)
    with pytest.raises(TicketError, match="signature of image classroom does not match its manifest; add the image"):
        judge(ticket_for(SEAT, announced), announced)
    with pytest.raises(TicketError):
        check_image(announced, IMAGE_KEYS)


@pytest.mark.parametrize("purpose", set(Purpose) - {Purpose.IMAGE}, ids=lambda purpose: purpose.name)
def test_what_an_image_key_signed_for_something_else_is_no_image(purpose: Purpose) -> None:
    signature = SECOND_IMAGE_KEY.sign(purpose, ANNOUNCED.manifest_digest)
    announced = msgspec.structs.replace(ANNOUNCED, image_key=SECOND_IMAGE_KEY.public, image_signature=signature)
    with pytest.raises(TicketError, match="does not match its manifest"):
        judge(ticket_for(SEAT, announced), announced)


def test_an_image_is_judged_by_itself() -> None:
    check_image(ANNOUNCED, IMAGE_KEYS)
    with pytest.raises(TicketError):
        check_image(ANNOUNCED, ())


@pytest.mark.parametrize(
    "context",
    [
        ticket._box_context(OTHER_TSI, SEAT.keys),
        ticket._box_context(TSI, OTHER_SEAT.keys),
        ticket._box_context(TSI, Seat.of("seat", boot=2).keys),
        b"",
    ],
    ids=["another session", "another machine", "another boot", "nothing"],
)
def test_a_secret_that_was_sealed_for_something_else_does_not_open(context: bytes) -> None:
    box = sealed_box.seal_to(SEAT.keys.sealing_key, SECRET, context)
    with pytest.raises(TicketError, match="secret that was not sealed to this machine"):
        judge(changed(sealed_secret=box), ANNOUNCED)


def test_a_secret_that_was_sealed_to_another_key_does_not_open() -> None:
    order = ticket_for(OTHER_SEAT, ANNOUNCED)
    box = msgspec.json.decode(order.ticket, type=Ticket).sealed_secret
    with pytest.raises(TicketError, match="not sealed to this machine"):
        judge(changed(sealed_secret=box), ANNOUNCED)


def test_a_ticket_cut_short_is_refused_at_every_length() -> None:
    for length in range(len(GOOD.ticket)):
        with pytest.raises(TicketError, match="malformed"):
            ticket._decode(GOOD.ticket[:length])


def variations() -> dict[str, bytes]:
    """Other texts for what a reader of JSON could take for the same ticket, or for another one."""
    plain: dict[str, Any] = json.loads(GOOD.ticket)
    compact = {"separators": (",", ":")}
    return {
        "spaces": json.dumps(plain).encode(),
        "line feed": GOOD.ticket + b"\n",
        "other order": json.dumps(dict(reversed(plain.items())), **compact).encode(),  # type: ignore[arg-type]  # kwargs
        "key twice": GOOD.ticket[:-1] + b',"tsi":"' + TSI.encode() + b'"}',
        "key twice, other value": b'{"tsi":"' + OTHER_TSI.encode() + b'",' + GOOD.ticket[1:],
        "escapes": GOOD.ticket.replace(b'"tsi"', b'"\\u0074si"'),
        "escaped value": GOOD.ticket.replace(b'"0123', b'"\\u0030123'),
        "float": GOOD.ticket.replace(b'"min_size":', b'"min_size":0.0,"x":'),
        "number as float": GOOD.ticket.replace(b"8388608", b"8388608.0"),
        "number with exponent": GOOD.ticket.replace(b"8388608", b"8388608e0"),
        "number as text": GOOD.ticket.replace(b"8388608", b'"8388608"'),
        "unused bits of base64": GOOD.ticket.replace(b'=",', b'=" ,'),
        "may write as a number": GOOD.ticket.replace(b'"may_write":true', b'"may_write":1'),
        "may write as a text": GOOD.ticket.replace(b'"may_write":true', b'"may_write":"true"'),
        "may write left out": GOOD.ticket.replace(b'"may_write":true,', b""),
        "may write twice": GOOD.ticket[:-1] + b',"may_write":true}',
        "another field": GOOD.ticket[:-1] + b',"extra":1}',
        "field that clears the screen": GOOD.ticket[:-1] + b',"\\u001b[2J\\n":1}',
        "byte order mark": b"\xef\xbb\xbf" + GOOD.ticket,
        "not utf-8": GOOD.ticket.replace(b'"tsi"', b'"ts\xff"'),
        "nothing": b"",
        "null": b"null",
        "array": b"[" + GOOD.ticket + b"]",
        "deep": b"[" * (MAX_SIGNED_LENGTH - 1),
        "nan": GOOD.ticket.replace(b"8388608", b"NaN"),
        "negative": GOOD.ticket.replace(b"8388608", b"-1"),
        "too large": GOOD.ticket.replace(b"8388608", b"1" * 400),
    }


@pytest.mark.parametrize("name", variations())
def test_another_text_of_a_ticket_is_refused_whoever_signed_it(name: str) -> None:
    body = variations()[name]
    assert body != GOOD.ticket
    with pytest.raises(TicketError, match="not signed by"):
        judge(msgspec.structs.replace(GOOD, ticket=body), ANNOUNCED)
    with pytest.raises(TicketError, match="malformed"):
        judge(signed(body), ANNOUNCED)


def test_the_text_of_an_error_is_one_line() -> None:
    for body in variations().values():
        with pytest.raises(TicketError) as caught:
            judge(signed(body), ANNOUNCED)
        assert str(caught.value).isprintable()


def test_nothing_is_ordered_of_a_receiver_whose_key_cannot_be_used() -> None:
    with pytest.raises(SealError):
        sign_ticket(
            ANNOUNCED, msgspec.structs.replace(SEAT.keys, sealing_key=bytes(32)), SECRET, DIRECTOR, may_write=True
        )


def test_an_announcement_has_one_digest() -> None:
    assert announcement_digest(ANNOUNCED) == announcement_digest(signed_announcement())
    assert announcement_digest(ANNOUNCED) != announcement_digest(signed_announcement(port=7071))


def test_the_id_of_a_receiver_is_its_key() -> None:
    assert SEAT.keys.receiver_id == fingerprint(SEAT.signing_key.public).hex()
    assert SEAT.keys.receiver_id == Seat.of("seat", boot=2).keys.receiver_id != OTHER_SEAT.keys.receiver_id


def test_vector_of_a_ticket() -> None:
    vector = TRUST["ticket"]
    announced = decode_message(vector["announcement_topic"], vector["announcement"].encode())
    assert isinstance(announced, Announcement)
    keys = ReceiverKeys(**{name: bytes.fromhex(value) for name, value in vector["receiver"].items()})
    order = check_ticket(
        SignedTicket(
            tsi=announced.tsi,
            receiver_id=keys.receiver_id,
            ticket=vector["ticket"].encode(),
            signature=bytes.fromhex(vector["signature"]),
        ),
        announced,
        receiver=keys,
        opening_key=OpeningKey(bytes.fromhex(vector["opening_key"])),
        director_key=bytes.fromhex(vector["director_key"]),
        image_keys=[announced.image_key],
    )
    assert order.session_secret.hex() == vector["session_secret"]
    assert ticket._ENCODER.encode(order.ticket).decode() == vector["ticket"]
