import msgspec

from broadcaster.admissions import MAX_ADMITTED, Admissions
from protocol.admission import sign_admission
from protocol.messages import Presence, SignedTicket
from protocol.signing import SigningKey
from protocol.ticket import ReceiverKeys
from tests.sample_messages import DIRECTOR, TSI, announcement, report, status


def keys(number: int) -> ReceiverKeys:
    return ReceiverKeys(
        identity_key=SigningKey(number.to_bytes(32, "big")).public, sealing_key=bytes(32), boot_nonce=bytes(16)
    )


def presence(receiver: ReceiverKeys, director: SigningKey = DIRECTOR) -> Presence:
    return Presence(
        receiver_id=receiver.receiver_id,
        machine="machine",
        seat="seat",
        is_online=True,
        identity_key=receiver.identity_key,
        sealing_key=receiver.sealing_key,
        boot_nonce=receiver.boot_nonce,
        admission=sign_admission(receiver, director),
        metrics="",
    )


def test_whoever_was_admitted_speaks_with_its_own_key() -> None:
    admissions = Admissions(DIRECTOR.public)
    assert admissions.key_for(presence(keys(1))) == keys(1).identity_key
    said = msgspec.structs.replace(report(), receiver_id=keys(1).receiver_id)
    assert admissions.key_for(said) == keys(1).identity_key
    assert admissions.keys_of(keys(1).receiver_id) == keys(1)


def test_nobody_else_speaks() -> None:
    admissions = Admissions(DIRECTOR.public)
    assert admissions.key_for(presence(keys(1), SigningKey(b"x" * 32))) is None
    moved = msgspec.structs.replace(presence(keys(1)), receiver_id=keys(2).receiver_id)
    assert admissions.key_for(moved) is None
    restarted = msgspec.structs.replace(presence(keys(1)), boot_nonce=b"n" * 16)
    assert admissions.key_for(restarted) is None
    assert admissions.key_for(msgspec.structs.replace(report(), receiver_id=keys(1).receiver_id)) is None
    assert admissions.keys_of(keys(1).receiver_id) is None


def test_what_only_we_say_is_believed_from_nobody() -> None:
    admissions = Admissions(DIRECTOR.public)
    admissions.key_for(presence(keys(1)))
    ticket = SignedTicket(tsi=TSI, receiver_id=keys(1).receiver_id, ticket=b"", signature=bytes(64))
    assert [admissions.key_for(message) for message in (announcement(), status(), ticket)] == [None, None, None]


def test_the_memory_is_bounded() -> None:
    admissions = Admissions(DIRECTOR.public)
    first = keys(0)
    admissions.key_for(presence(first))
    admissions._keys |= {f"{number:032x}": first for number in range(MAX_ADMITTED - 1)}
    admissions.key_for(presence(keys(1)))
    assert len(admissions._keys) == MAX_ADMITTED
    assert admissions.keys_of(first.receiver_id) is None
    assert admissions.keys_of(keys(1).receiver_id) == keys(1)
