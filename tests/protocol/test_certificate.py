import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.certificate import (
    Certificate,
    certificate_digest,
    check_certificate,
    plain_text,
    read_certificate,
    sign_certificate,
)
from protocol.errors import MessageError, SignatureError
from protocol.fields import MAX_SIGNED_LENGTH
from protocol.messages import SignedCertificate, decode_message, encode_message, topic_of
from protocol.signing import Purpose, SigningKey
from tests.certified import certificate, signed_certificate, signer
from tests.sample_messages import OTHER_TSI

FILE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "certificate.json").read_text(encoding="utf-8")
)
KEYS = signer(1).keys


@pytest.mark.parametrize("vector", FILE["certificates"], ids=["plain", "no serial"])
def test_it_matches_the_golden_vector(vector: dict[str, Any]) -> None:
    fields = vector["fields"]
    binary = ("identity_key", "sealing_key", "boot_nonce", "manifest_digest")
    made = Certificate(**{**fields, **{name: base64.b64decode(fields[name]) for name in binary}})
    signed = sign_certificate(made, SigningKey(bytes.fromhex(FILE["seed"])))
    assert signed.certificate.decode() == vector["certificate"]
    assert (signed.receiver_id, signed.signature.hex()) == (vector["receiver_id"], vector["signature"])
    assert check_certificate(signed, keys=made.keys) == made


def test_it_comes_back_from_its_message() -> None:
    signed = signed_certificate()
    heard = decode_message(topic_of(signed), encode_message(signed))
    assert isinstance(heard, SignedCertificate)
    assert check_certificate(heard, keys=KEYS) == certificate()


def test_the_longest_fits_its_message() -> None:
    text = "\N{GRINNING FACE}" * 64
    signed = signed_certificate(
        seat=text, image=text, target=text, serial=text, version=1 << 62, disk_size=1 << 62, verified_bytes=1 << 62
    )
    assert len(signed.certificate) < MAX_SIGNED_LENGTH
    assert check_certificate(signed, keys=KEYS).seat == text


@given(data=st.data())
def test_any_altered_byte_is_refused(data: st.DataObject) -> None:
    signed = signed_certificate()
    name = data.draw(st.sampled_from(["certificate", "signature"]))
    altered = bytearray(getattr(signed, name))
    altered[data.draw(st.integers(0, len(altered) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SignatureError):
        check_certificate(msgspec.structs.replace(signed, **{name: bytes(altered)}), keys=KEYS)


@given(body=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(MessageError):
        read_certificate(body)


@pytest.mark.parametrize(
    "changes",
    [
        {"identity_key": signer(2).key.public},
        {"sealing_key": bytes(32)},
        {"boot_nonce": b"x" * 16},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_one_that_names_other_keys_is_refused(changes: dict[str, bytes]) -> None:
    made = sign_certificate(certificate(1, None, **changes), signer(1).key)
    signed = msgspec.structs.replace(made, receiver_id=KEYS.receiver_id)
    with pytest.raises(SignatureError, match="other keys"):
        check_certificate(signed, keys=KEYS)


def test_one_of_another_receiver_is_refused() -> None:
    with pytest.raises(SignatureError):
        check_certificate(signed_certificate(2), keys=KEYS)


@pytest.mark.parametrize("changes", [{"tsi": OTHER_TSI}, {"receiver_id": signer(2).receiver_id}], ids=["tsi", "id"])
def test_one_that_contradicts_its_message_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(MessageError, match="than its message"):
        check_certificate(msgspec.structs.replace(signed_certificate(), **changes), keys=KEYS)


def test_a_signature_for_another_purpose_is_refused() -> None:
    signed = signed_certificate()
    other = signer(1).key.sign(Purpose.CONTROL, signed.certificate)
    with pytest.raises(SignatureError):
        check_certificate(msgspec.structs.replace(signed, signature=other), keys=KEYS)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"null",
        b'{"tsi":"0123456789abcdef"}',
        signed_certificate().certificate[:-1] + b',"more":1}',
        signed_certificate().certificate.replace(b'"seat":', b'"seat": '),
        signed_certificate().certificate.replace(b"seat-1", b"se\\u0061t-1"),
        signed_certificate().certificate.replace(b"seat-1", b"seat\\n1"),
        signed_certificate().certificate.replace(b"seat-1", "\N{RIGHT-TO-LEFT OVERRIDE}".encode()),
        signed_certificate().certificate.replace(b"seat-1", b"\xff"),
    ],
)
def test_what_is_no_certificate_is_refused_even_if_it_is_signed(body: bytes) -> None:
    signed = SignedCertificate(
        tsi=certificate().tsi,
        receiver_id=KEYS.receiver_id,
        certificate=body,
        signature=signer(1).key.sign(Purpose.CERTIFICATE, body),
    )
    with pytest.raises(MessageError, match="malformed"):
        check_certificate(signed, keys=KEYS)


@given(text=st.text() | st.sampled_from(["\udc80" * 70, "\0" * 100, "\u202e"]))
def test_any_text_can_be_certified(text: str) -> None:
    signed = signed_certificate(seat=plain_text(text), target=plain_text(text))
    assert check_certificate(signed, keys=KEYS).seat == plain_text(text)


def test_of_a_long_path_the_end_is_kept() -> None:
    assert plain_text("/a" * 50 + "/disk").endswith("/a/disk")
    assert len(plain_text("/a" * 50)) == 64


def test_a_digest_stands_for_it() -> None:
    assert certificate_digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
