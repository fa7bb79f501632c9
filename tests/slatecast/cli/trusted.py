"""The public side of keys that only tests know."""

import datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from protocol.signing import SigningKey
from protocol.trust import Trust
from tests.sample_messages import IMAGE_KEY


@cache
def _authority() -> bytes:
    """Some certificate: what it is good for is tested where it is made."""
    key = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC),
        not_valid_after=datetime.datetime(9999, 1, 1, tzinfo=datetime.UTC),
    )
    return builder.sign(key, None).public_bytes(Encoding.PEM)


def trust_of(director: SigningKey) -> Trust:
    return Trust(director_key=director.public, image_keys=(IMAGE_KEY.public,), authority=_authority())
