import msgspec
import pytest

from broadcaster import certificates
from broadcaster.certificates import Certificates
from protocol.errors import MessageError, SignatureError
from protocol.messages import SignedCertificate
from protocol.ticket import ReceiverKeys
from tests.certified import signed_certificate, signer
from tests.sample_messages import OTHER_TSI, announcement

ADMITTED = {signer(number).receiver_id: signer(number).keys for number in (1, 2)}


def collected(*signed: SignedCertificate) -> Certificates:
    collection = Certificates(announcement(), ADMITTED.get)
    for each in signed:
        collection.receive(each)
    return collection


def test_those_of_admitted_receivers_are_kept() -> None:
    one, two = signed_certificate(1), signed_certificate(2)
    collection = collected(one, two)
    assert collection.get(signer(1).receiver_id) == one
    assert collection.all() == (one, two)
    assert collection.keys_of(signer(2).receiver_id) == signer(2).keys


def test_the_first_of_a_receiver_stays() -> None:
    first = signed_certificate(1)
    assert collected(first, signed_certificate(1, serial="other")).all() == (first,)


def test_one_of_another_session_is_ignored() -> None:
    assert collected(signed_certificate(1, announcement(tsi=OTHER_TSI))).all() == ()


def test_one_of_a_stranger_is_refused() -> None:
    with pytest.raises(SignatureError, match="not admitted"):
        collected(signed_certificate(3))


def test_one_that_another_receiver_signed_is_refused() -> None:
    forged = msgspec.structs.replace(signed_certificate(1), receiver_id=signer(2).receiver_id)
    with pytest.raises(SignatureError):
        collected(forged)


@pytest.mark.parametrize(
    "changes", [{"image": "library"}, {"version": 4}, {"disk_size": 1}, {"manifest_digest": bytes(32)}]
)
def test_one_for_another_image_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(MessageError, match="another image"):
        collected(signed_certificate(1, None, **changes))


def test_a_session_that_is_taken_up_again_keeps_them() -> None:
    nobody: dict[str, ReceiverKeys] = {}
    collection = Certificates(announcement(), nobody.get)
    collection.restore(collected(signed_certificate(1)).all())
    assert collection.get(signer(1).receiver_id) == signed_certificate(1)
    assert collection.keys_of(signer(1).receiver_id) == signer(1).keys
    assert collection.keys_of(signer(2).receiver_id) is None


def test_there_is_no_room_for_more_than_a_session_has_seats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "MAX_SEATS", 1)
    assert len(collected(signed_certificate(1), signed_certificate(2)).all()) == 1
