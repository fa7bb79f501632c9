import json
from pathlib import Path

import msgspec
import pytest

from protocol.admission import admitted_keys, check_admission, sign_admission
from protocol.errors import SignatureError
from protocol.messages import Presence
from protocol.signing import Purpose, SigningKey
from protocol.ticket import ReceiverKeys
from tests.sample_orders import DIRECTOR, OTHER_DIRECTOR, OTHER_SEAT, SEAT, Seat

TRUST = json.loads((Path(__file__).parents[1] / "vectors" / "trust.json").read_text(encoding="utf-8"))
ADMISSION = sign_admission(SEAT.keys, DIRECTOR)


def presence(keys: ReceiverKeys = SEAT.keys, admission: bytes = ADMISSION) -> Presence:
    return Presence(
        receiver_id=keys.receiver_id,
        machine="machine",
        seat="seat",
        is_online=True,
        identity_key=keys.identity_key,
        sealing_key=keys.sealing_key,
        boot_nonce=keys.boot_nonce,
        admission=admission,
        metrics="",
    )


def test_who_was_admitted_is_known_by_its_presence() -> None:
    check_admission(SEAT.keys, ADMISSION, DIRECTOR.public)
    assert admitted_keys(presence(), DIRECTOR.public) == SEAT.keys


def test_who_was_not_admitted_is_refused() -> None:
    with pytest.raises(SignatureError, match="admission signature"):
        admitted_keys(presence(OTHER_SEAT.keys), DIRECTOR.public)


@pytest.mark.parametrize("name", ["identity_key", "sealing_key", "boot_nonce"])
def test_an_admission_is_for_these_keys_and_this_boot(name: str) -> None:
    keys = msgspec.structs.replace(SEAT.keys, **{name: getattr(Seat.of("third", boot=7).keys, name)})
    with pytest.raises(SignatureError, match="admission signature"):
        admitted_keys(presence(keys), DIRECTOR.public)


def test_another_directors_admission_does_not_do() -> None:
    with pytest.raises(SignatureError):
        admitted_keys(presence(admission=sign_admission(SEAT.keys, OTHER_DIRECTOR)), DIRECTOR.public)


@pytest.mark.parametrize("purpose", set(Purpose) - {Purpose.ADMISSION}, ids=lambda purpose: purpose.name)
def test_what_the_director_signed_for_something_else_admits_nobody(purpose: Purpose) -> None:
    keys = SEAT.keys
    signature = DIRECTOR.sign(purpose, keys.identity_key + keys.sealing_key + keys.boot_nonce)
    with pytest.raises(SignatureError):
        check_admission(keys, signature, DIRECTOR.public)


def test_nobody_speaks_under_an_id_that_is_not_its_keys() -> None:
    stolen = msgspec.structs.replace(presence(), receiver_id=OTHER_SEAT.keys.receiver_id)
    with pytest.raises(SignatureError, match="not the fingerprint of its key"):
        admitted_keys(stolen, DIRECTOR.public)


def test_vector_of_an_admission() -> None:
    # Ed25519 is deterministic: this is the only signature of these bytes.
    vector = TRUST["admission"]
    keys = ReceiverKeys(**{name: bytes.fromhex(value) for name, value in vector["receiver"].items()})
    director = SigningKey(bytes.fromhex(TRUST["director_seed"]))
    assert sign_admission(keys, director).hex() == vector["admission"]
    assert keys.receiver_id == vector["receiver_id"]
    check_admission(keys, bytes.fromhex(vector["admission"]), bytes.fromhex(vector["director_key"]))
