import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import enrolment, pairing
from protocol.admission import check_admission
from protocol.enrolment import (
    MAX_ANSWER_LENGTH,
    MAX_REQUEST_LENGTH,
    Confirm,
    EnrolmentMessage,
    Refusal,
    VerdictState,
    check_confirm,
    check_verdict,
    decode_confirm,
    decode_hello,
    decode_offer,
    decode_verdict,
    encode,
    sign_confirm,
    sign_transcript,
    transcript_of,
)
from protocol.errors import MessageError, SignatureError
from protocol.signing import SigningKey

VECTOR: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "enrolment.json").read_text(encoding="utf-8")
)
DECODERS: dict[str, Callable[[bytes], EnrolmentMessage]] = {
    "hello": decode_hello,
    "offer": decode_offer,
    "confirm": decode_confirm,
    "verdict": decode_verdict,
}
NAMES = sorted(DECODERS)
IDENTITY = SigningKey(bytes(range(32, 64)))
DIRECTOR = SigningKey(bytes(range(32)))
TRANSCRIPT = bytes.fromhex(VECTOR["transcript"])
RANDOM = bytes.fromhex(VECTOR["receiver_random"])


def body(name: str) -> bytes:
    text: str = VECTOR["messages"][name]["body"]
    return text.encode()


def decoded_with(name: str, **changes: object) -> EnrolmentMessage:
    """The message of the vector after some of its fields were changed or, with ``...``, removed."""
    fields = {**VECTOR["messages"][name]["fields"], **changes}
    return DECODERS[name](json.dumps({key: value for key, value in fields.items() if value is not ...}).encode())


class TestVector:
    @pytest.mark.parametrize("name", NAMES)
    def test_messages_read_and_write_the_same(self, name: str) -> None:
        assert encode(DECODERS[name](body(name))) == body(name)

    @pytest.mark.parametrize("name", NAMES)
    def test_cut_at_any_length_they_are_malformed(self, name: str) -> None:
        for length in range(len(body(name))):
            with pytest.raises(MessageError):
                DECODERS[name](body(name)[:length])
        for trailing in (b"}", b"0", b"\0", body(name)):
            with pytest.raises(MessageError):
                DECODERS[name](body(name) + trailing)

    @pytest.mark.parametrize("name", NAMES)
    def test_no_field_may_be_absent_or_unknown(self, name: str) -> None:
        for field in VECTOR["messages"][name]["fields"].keys() - {"type"}:
            with pytest.raises(MessageError):
                decoded_with(name, **{field: ...})
        with pytest.raises(MessageError):
            decoded_with(name, surprise=1)

    @pytest.mark.parametrize("name", NAMES)
    def test_no_message_passes_for_another(self, name: str) -> None:
        for other in set(NAMES) - {name}:
            with pytest.raises(MessageError):
                DECODERS[other](body(name))

    def test_the_transcript(self) -> None:
        assert transcript_of(body("hello"), body("offer"), bytes.fromhex(VECTOR["leaf_digest"])) == TRANSCRIPT

    def test_the_words(self) -> None:
        assert pairing.comparison_words(TRANSCRIPT, RANDOM) == VECTOR["words"]

    def test_the_commitment(self) -> None:
        assert pairing.commitment_to(RANDOM) == decode_hello(body("hello")).commitment

    def test_the_token(self) -> None:
        token = pairing.normalized_token(VECTOR["token"])
        receiver = pairing.ReceiverPairing(token, bytes.fromhex(VECTOR["receiver_seed"]))
        broadcaster = pairing.BroadcasterPairing(token, bytes.fromhex(VECTOR["broadcaster_seed"]))
        assert receiver.message == decode_hello(body("hello")).pairing
        assert broadcaster.message == decode_offer(body("offer")).pairing
        key = broadcaster.key(receiver.message)
        assert key.receiver_proof(TRANSCRIPT) == decode_confirm(body("confirm")).token_proof
        assert key.broadcaster_proof(TRANSCRIPT) == decode_verdict(body("verdict")).token_proof

    def test_what_is_signed(self) -> None:
        hello, confirm, verdict = (
            decode_hello(body("hello")),
            decode_confirm(body("confirm")),
            decode_verdict(body("verdict")),
        )
        assert sign_confirm(TRANSCRIPT, RANDOM, confirm.token_proof, IDENTITY) == confirm
        check_confirm(confirm, TRANSCRIPT, hello.identity_key)
        assert sign_transcript(TRANSCRIPT, DIRECTOR) == verdict.signature
        check_verdict(verdict, TRANSCRIPT, decode_offer(body("offer")).trust.director_key)
        check_admission(hello.keys, verdict.admission, DIRECTOR.public)


class TestTranscript:
    def test_it_holds_every_part_at_its_place(self) -> None:
        hello, offer, leaf = b"hello", b"offer", bytes(32)
        transcripts = {transcript_of(hello, offer, leaf)}
        changes: list[Callable[[bytes], bytes]] = [
            lambda part: part + b"x",
            lambda part: part[:-1],
            lambda part: part[:-1] + b"!",
        ]
        for change in changes:
            transcripts.add(transcript_of(change(hello), offer, leaf))
            transcripts.add(transcript_of(hello, change(offer), leaf))
            transcripts.add(transcript_of(hello, offer, change(leaf)))
        transcripts.add(transcript_of(b"hellooffer", b"", bytes(32)))
        transcripts.add(transcript_of(b"offer", b"hello", bytes(32)))
        assert len(transcripts) == 12

    def test_a_confirm_of_another_exchange_is_not_signed(self) -> None:
        confirm = sign_confirm(TRANSCRIPT, RANDOM, b"", IDENTITY)
        check_confirm(confirm, TRANSCRIPT, IDENTITY.public)
        other = SigningKey(bytes(32)).public
        for changed, transcript, key in (
            (confirm, bytes(32), IDENTITY.public),
            (confirm, TRANSCRIPT, other),
            (msgspec.structs.replace(confirm, receiver_random=bytes(32)), TRANSCRIPT, IDENTITY.public),
            (msgspec.structs.replace(confirm, token_proof=bytes(32)), TRANSCRIPT, IDENTITY.public),
        ):
            with pytest.raises(SignatureError):
                check_confirm(changed, transcript, key)

    def test_a_directors_word_is_no_receivers(self) -> None:
        signature = sign_transcript(TRANSCRIPT, IDENTITY)
        with pytest.raises(SignatureError):
            check_confirm(
                Confirm(receiver_random=RANDOM, token_proof=b"", signature=signature), TRANSCRIPT, IDENTITY.public
            )


class TestBounds:
    @pytest.mark.parametrize(
        ("name", "changes"),
        [
            ("hello", {"identity_key": "AAAA"}),
            ("hello", {"sealing_key": ""}),
            ("hello", {"boot_nonce": "AAAA"}),
            ("hello", {"seat": "x" * 65}),
            ("hello", {"seat": None}),
            ("hello", {"commitment": "AAAA"}),
            ("hello", {"pairing": "AAAA"}),
            ("hello", {"pairing": "A" * 48}),
            ("offer", {"broker": ""}),
            ("offer", {"broker": "http://host"}),
            ("offer", {"broker": "mqtt://user:password@host"}),
            ("offer", {"broker": "mqtt://ho st"}),
            ("offer", {"broker": "mqtt://h\x1b[2J"}),
            ("offer", {"broker": "mqtt://" + "h" * 300}),
            ("offer", {"broker_authority": "x" * 9000}),
            ("offer", {"broadcaster_random": ""}),
            ("offer", {"pairing": "AAAA"}),
            ("offer", {"trust": {}}),
            ("offer", {"trust": {**VECTOR["messages"]["offer"]["fields"]["trust"], "authority": "AAAA"}}),
            ("confirm", {"receiver_random": "AAAA"}),
            ("confirm", {"token_proof": "AAAA"}),
            ("confirm", {"signature": ""}),
            ("verdict", {"state": "perhaps"}),
            ("verdict", {"state": "pending"}),
            ("verdict", {"state": "refused"}),
            ("verdict", {"refusal": "token"}),
            ("verdict", {"refusal": "because"}),
            ("verdict", {"signature": ""}),
            ("verdict", {"token_proof": "AAAA"}),
            ("verdict", {"admission": ""}),
            ("verdict", {"admission": "AAAA"}),
            ("verdict", {"certificate": ""}),
            ("verdict", {"state": "refused", "admission": "", "certificate": ""}),
            ("verdict", {"state": "pending", "refusal": "operator", "admission": "", "certificate": ""}),
        ],
        ids=lambda value: repr(value)[:60],
    )
    def test_what_is_out_of_bounds_is_malformed(self, name: str, changes: dict[str, object]) -> None:
        with pytest.raises(MessageError):
            decoded_with(name, **changes)

    def test_a_refusal_has_its_reason(self) -> None:
        verdict = decoded_with("verdict", state="refused", refusal="operator", admission="", certificate="")
        assert isinstance(verdict, enrolment.Verdict)
        assert (verdict.state, verdict.refusal) == (VerdictState.REFUSED, Refusal.OPERATOR)

    @pytest.mark.parametrize(
        ("name", "longest"),
        [
            ("hello", MAX_REQUEST_LENGTH),
            ("confirm", MAX_REQUEST_LENGTH),
            ("offer", MAX_ANSWER_LENGTH),
            ("verdict", MAX_ANSWER_LENGTH),
        ],
    )
    def test_what_is_too_long_is_not_even_parsed(self, name: str, longest: int) -> None:
        assert DECODERS[name](body(name) + b" " * (longest - len(body(name))))
        with pytest.raises(MessageError, match="is over"):
            DECODERS[name](body(name) + b" " * (longest + 1 - len(body(name))))

    @pytest.mark.parametrize(
        ("seat", "shown"),
        [
            ("row 3\x1b[2J\r\n", "row 3�[2J��"),
            ("<script>alert(1)</script>", "<script>alert(1)</script>"),
            ("\u202egnp.exe", "�gnp.exe"),
            ("a\0b", "a�b"),
        ],
    )
    def test_a_seat_is_printable(self, seat: str, shown: str) -> None:
        hello = decoded_with("hello", seat=seat)
        assert isinstance(hello, enrolment.Hello)
        assert hello.seat == shown

    @given(st.text(max_size=64))
    def test_any_seat_of_64_characters_is_taken_and_printable(self, seat: str) -> None:
        hello = decoded_with("hello", seat=seat)
        assert isinstance(hello, enrolment.Hello)
        assert hello.seat.isprintable()
        assert len(hello.seat) == len(seat)


class TestHostile:
    @given(st.sampled_from(NAMES), st.binary(max_size=300))
    def test_any_bytes_are_malformed(self, name: str, payload: bytes) -> None:
        with pytest.raises(MessageError):
            DECODERS[name](payload)

    @given(st.sampled_from(NAMES), st.integers(0, 1 << 32))
    def test_mutated_messages_are_read_or_malformed(self, name: str, seed: int) -> None:
        chance = random.Random(seed)
        payload = bytearray(body(name))
        for _ in range(chance.randint(1, 6)):
            start = chance.randrange(len(payload))
            stop = min(len(payload), start + chance.randint(0, 8))
            payload[start:stop] = chance.randbytes(chance.randint(0, 8))
        try:
            DECODERS[name](bytes(payload))
        except MessageError:
            return

    @given(
        st.sampled_from(NAMES),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=9),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
            max_leaves=6,
        ),
        st.data(),
    )
    def test_any_json_in_any_field_is_read_or_malformed(self, name: str, value: object, data: st.DataObject) -> None:
        field = data.draw(st.sampled_from(sorted(VECTOR["messages"][name]["fields"])))
        try:
            decoded_with(name, **{field: value})
        except MessageError:
            return
