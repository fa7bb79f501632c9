import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import envelope
from protocol.envelope import OVERHEAD, open_payload, signed_payload
from protocol.errors import MessageError, SignatureError
from protocol.messages import Message, SessionStatus, encode_message, topic_of
from protocol.signing import Purpose, SigningKey
from tests.sample_messages import OTHER_TSI, announcement, receiver_id, report, status
from tests.sample_orders import DIRECTOR, OTHER_DIRECTOR, SEAT, ticket_for

TRUST = json.loads((Path(__file__).parents[1] / "vectors" / "trust.json").read_text(encoding="utf-8"))
STATUS = status()
TOPIC = topic_of(STATUS)
PAYLOAD = signed_payload(STATUS, DIRECTOR)


def directors(_: Message) -> bytes:
    return DIRECTOR.public


def nobody(_: Message) -> None:
    return None


@pytest.mark.parametrize(
    "message", [STATUS, announcement(), ticket_for(), report()], ids=lambda one: type(one).__name__
)
def test_what_was_signed_is_opened(message: Message) -> None:
    payload = signed_payload(message, DIRECTOR)
    assert len(payload) == len(encode_message(message)) + OVERHEAD
    assert open_payload(topic_of(message), payload, directors) == message


def test_the_key_is_asked_for_by_message() -> None:
    said = report()
    asked: list[Message] = []

    def key_for(message: Message) -> bytes:
        asked.append(message)
        return SEAT.signing_key.public

    assert open_payload(topic_of(said), signed_payload(said, SEAT.signing_key), key_for) == said
    assert asked == [said]


def test_who_may_not_speak_is_not_heard() -> None:
    with pytest.raises(SignatureError, match="SessionStatus of somebody who was not admitted"):
        open_payload(TOPIC, PAYLOAD, nobody)


def test_another_key_does_not_do() -> None:
    with pytest.raises(SignatureError, match="control signature does not match"):
        open_payload(TOPIC, signed_payload(STATUS, OTHER_DIRECTOR), directors)


@pytest.mark.parametrize("purpose", set(Purpose) - {Purpose.CONTROL}, ids=lambda purpose: purpose.name)
def test_what_was_signed_for_something_else_is_not_said(purpose: Purpose) -> None:
    body = encode_message(STATUS)
    signature = DIRECTOR.sign(purpose, envelope._signed_bytes(TOPIC, body))
    with pytest.raises(SignatureError):
        open_payload(TOPIC, body + b"\n" + base64.b64encode(signature), directors)


def test_a_payload_moved_to_another_topic_is_refused() -> None:
    # The receiver id or session inside would give it away as well; the signature does not rely on that.
    body, signature = PAYLOAD[:-OVERHEAD], PAYLOAD[-OVERHEAD:]
    moved = body.replace(STATUS.tsi.encode(), OTHER_TSI.encode()) + signature
    with pytest.raises(SignatureError):
        open_payload(TOPIC.replace(STATUS.tsi, OTHER_TSI), moved, directors)
    with pytest.raises(MessageError, match="another session than its topic"):
        open_payload(TOPIC.replace(STATUS.tsi, OTHER_TSI), PAYLOAD, directors)


def test_no_bit_may_flip() -> None:
    for bit in range(8 * len(PAYLOAD)):
        flipped = bytearray(PAYLOAD)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises((SignatureError, MessageError)):
            open_payload(TOPIC, bytes(flipped), directors)


@pytest.mark.parametrize("length", [0, 1, OVERHEAD - 1, OVERHEAD, OVERHEAD + 1, len(PAYLOAD) - 1])
def test_a_payload_cut_short_is_refused(length: int) -> None:
    for part in (PAYLOAD[:length], PAYLOAD[len(PAYLOAD) - length :]):
        with pytest.raises((SignatureError, MessageError)):
            open_payload(TOPIC, part, directors)


def test_more_behind_is_refused() -> None:
    for tail in (b"\n", b" ", b"=", PAYLOAD):
        with pytest.raises((SignatureError, MessageError)):
            open_payload(TOPIC, PAYLOAD + tail, directors)


def test_a_message_without_a_signature_is_refused() -> None:
    with pytest.raises(SignatureError, match="payload without a signature"):
        open_payload(TOPIC, encode_message(STATUS), directors)


@pytest.mark.parametrize(
    "encoded",
    [b"!" * 88, b"=" * 88, b"A" * 87 + b"\n", b"A" * 84 + b"A===", b"\xff" * 88],
    ids=["not base64", "padding", "line feed", "padding of one", "not ascii"],
)
def test_what_is_no_base64_is_no_signature(encoded: bytes) -> None:
    with pytest.raises(SignatureError, match="payload without a signature"):
        open_payload(TOPIC, encode_message(STATUS) + b"\n" + encoded, directors)


@pytest.mark.parametrize("encoded", [b"A" * 88, b"A" * 87 + b"="], ids=["66 bytes", "65 bytes"])
def test_a_signature_of_another_length_is_refused(encoded: bytes) -> None:
    with pytest.raises(SignatureError):
        open_payload(TOPIC, encode_message(STATUS) + b"\n" + encoded, directors)


def test_a_signature_has_one_encoding() -> None:
    # The last letter before the padding carries two bits of the signature and four of nothing.
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    place = letters.index(PAYLOAD[-3:-2])
    for other in range(place + 1, place + 16):
        with pytest.raises(SignatureError):
            open_payload(TOPIC, PAYLOAD[:-3] + letters[other : other + 1] + b"==", directors)


def test_a_malformed_message_is_a_message_error() -> None:
    body = b'{"type":"status"}'
    signature = base64.b64encode(DIRECTOR.sign(Purpose.CONTROL, envelope._signed_bytes(TOPIC, body)))
    with pytest.raises(MessageError):
        open_payload(TOPIC, body + b"\n" + signature, directors)


def test_a_message_on_a_topic_that_is_none_is_a_message_error() -> None:
    with pytest.raises(MessageError):
        open_payload("slatecast/v1/elsewhere", PAYLOAD, directors)


@given(st.text(max_size=60) | st.just(TOPIC), st.binary(max_size=300))
def test_fuzz_any_payload_is_refused(topic: str, payload: bytes) -> None:
    for hostile in (payload, payload + PAYLOAD[-OVERHEAD:], encode_message(STATUS) + b"\n" + payload):
        with pytest.raises((SignatureError, MessageError)):
            open_payload(topic, hostile, directors)


def test_nobody_else_says_a_receivers_words() -> None:
    said = report(2)
    assert said.receiver_id == receiver_id(2)
    with pytest.raises(SignatureError):
        open_payload(topic_of(said), signed_payload(said, OTHER_DIRECTOR), lambda _: SEAT.signing_key.public)


def test_vector_of_a_payload() -> None:
    vector = TRUST["envelope"]
    message = open_payload(vector["topic"], vector["payload"].encode(), lambda _: bytes.fromhex(vector["director_key"]))
    assert isinstance(message, SessionStatus)
    assert message.sequence == 12884901929
    # Ed25519 is deterministic, so this is the only payload of this message and key.
    director = SigningKey(bytes.fromhex(TRUST["director_seed"]))
    assert signed_payload(message, director).decode() == vector["payload"]
