"""One broadcaster's keys and receivers that it has admitted, for tests that are about something else."""

from functools import cache

from broadcaster.authority import Authority
from broadcaster.credentials import CastCredentials
from protocol.admission import sign_admission
from protocol.link.mqtt import BrokerAddress
from protocol.link.tls import TlsIdentity, server_context
from protocol.manifest import Manifest
from protocol.sealed_box import OpeningKey
from protocol.signing import Purpose, SigningKey
from protocol.trust import Trust
from receiver.enrolment import Enrolment
from receiver.identity import ReceiverIdentity
from tests.sample_messages import DIRECTOR, IMAGE_KEY


@cache
def authority() -> Authority:
    return Authority.create()


def trust() -> Trust:
    return Trust(director_key=DIRECTOR.public, image_keys=(IMAGE_KEY.public,), authority=authority().certificate)


def identity(number: int = 1) -> ReceiverIdentity:
    """The same each time."""
    seed = number.to_bytes(32, "big")
    return ReceiverIdentity(SigningKey(seed), OpeningKey(seed), seed[:16])


def enrolment(receiver: ReceiverIdentity, broker: BrokerAddress) -> Enrolment:
    """As a receiver has it after it was admitted; the broker is one without TLS."""
    certificate = authority().receiver_certificate(receiver.keys.identity_key)
    return Enrolment(
        trust=trust(),
        is_confirmed=False,
        broker=broker,
        broker_tls=None,
        admission=sign_admission(receiver.keys, DIRECTOR),
        certificate=TlsIdentity(certificate, receiver.tls_private_key),
    )


def credentials(manifest: Manifest) -> CastCredentials:
    """As a broadcaster has them that casts this image over a broker without TLS."""
    return CastCredentials(
        director=DIRECTOR,
        image_key=IMAGE_KEY.public,
        image_signature=IMAGE_KEY.sign(Purpose.IMAGE, manifest.digest),
        broker_tls=None,
        lane_tls=server_context(authority().server_identity(), client_authority=authority().certificate),
    )
