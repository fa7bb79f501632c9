"""The certificate authority of one broadcaster: it vouches, within TLS, for who is who in its rooms.

    authority     ECDSA P-256, self-signed, may sign certificates and nothing else
    broadcaster   ECDSA P-256, for the side that accepts connections; made anew at each start
    role          ECDSA P-256, for the side that connects, under a name that the broker's access rules know
    receiver      the receiver's own Ed25519 key, for the side that connects; its name is its receiver_id

A certificate is for one side only, so that no receiver can pass as the broadcaster. Receivers are known by identities
that end with their start, so nothing here expires or is revoked: the dates span all that a clock can show.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from protocol.errors import ConfigError, SessionStateError
from protocol.link.tls import TlsIdentity
from protocol.signing import fingerprint

FIRST_DATE: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The earliest date that a clock can show; one without a battery shows it."""

LAST_DATE: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""What RFC 5280 section 4.1.2.5 has for certificates without an end."""

BROADCASTER_NAME: Final = "slatecast"
"""Common name of whoever accepts connections; nobody checks it, the side that the certificate is for counts."""

_ROLE_NAME_LENGTHS: Final = range(1, 25)
"""[characters] shorter than the 32 of a receiver_id, so that no role can be taken for a receiver"""


class Authority:
    """Issues certificates; its private key leaves it only as ``private_key``, for the key store to keep."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        """Use ``create`` or ``load``."""
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls) -> "Authority":
        """A new one, with a key that was never used."""
        key = ec.generate_private_key(ec.SECP256R1())
        # Named after its key, so that with the certificates of two labs it is told which one is the wrong one.
        digest = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        name = _named(f"slatecast authority {digest.digest.hex()[:16]}")
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), FIRST_DATE, LAST_DATE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(digest, critical=False)
            .sign(key, SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, certificate: bytes, private_key: bytes) -> "Authority":
        """One that was created earlier, from its PEM files.

        Raises:
            ConfigError: one of them is not what it should be, or they do not belong together.
        """
        try:
            key = load_pem_private_key(private_key, password=None)
            own = x509.load_pem_x509_certificate(certificate)
            public = own.public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):  # TypeError: the key is encrypted
            raise ConfigError("the authority's key or certificate is damaged: restore both from a backup") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or public != key.public_key():
            raise ConfigError("the authority's key is not that of its certificate: restore both from the same backup")
        return cls(own, key)

    @property
    def certificate(self) -> bytes:
        """In PEM; what everybody else pins."""
        return self._certificate.public_bytes(Encoding.PEM)

    @property
    def private_key(self) -> bytes:
        """In PEM (PKCS 8), not encrypted: for a file that only its owner can read."""
        return _private_bytes(self._key)

    def server_identity(self, hosts: Sequence[str] = ()) -> TlsIdentity:
        """For a broker, a front door or a catch-up lane; another key each time.

        ``hosts`` are addresses and names that browsers look for in it; our own side looks for none.
        """
        return self._identity(BROADCASTER_NAME, ExtendedKeyUsageOID.SERVER_AUTH, hosts)

    def role_identity(self, name: str) -> TlsIdentity:
        """For a part of the broadcaster that connects to its broker, known there as ``name``; another key each time.

        Raises:
            SessionStateError: the name is empty, long, or not lower-case letters.
        """
        if len(name) not in _ROLE_NAME_LENGTHS or not (name.isascii() and name.isalpha() and name.islower()):
            raise SessionStateError(f"{name!r} is no name of a role")
        return self._identity(name, ExtendedKeyUsageOID.CLIENT_AUTH)

    def receiver_certificate(self, identity_key: bytes) -> bytes:
        """The PEM with which the holder of an Ed25519 key (32 bytes) connects as the receiver that it is.

        Raises:
            SessionStateError: the key is not 32 bytes long.
        """
        try:
            key = Ed25519PublicKey.from_public_bytes(identity_key)
        except ValueError:
            raise SessionStateError(f"an identity key of {len(identity_key)} bytes") from None
        return self._issue(fingerprint(identity_key).hex(), key, ExtendedKeyUsageOID.CLIENT_AUTH)

    def __repr__(self) -> str:
        """Nothing secret: its name."""
        return f"Authority({self._certificate.subject.rfc4514_string()})"

    def _identity(self, name: str, side: ObjectIdentifier, hosts: Sequence[str] = ()) -> TlsIdentity:
        key = ec.generate_private_key(ec.SECP256R1())
        return TlsIdentity(self._issue(name, key.public_key(), side, hosts), _private_bytes(key))

    def _issue(
        self,
        name: str,
        key: ec.EllipticCurvePublicKey | Ed25519PublicKey,
        side: ObjectIdentifier,
        hosts: Sequence[str] = (),
    ) -> bytes:
        own_key = self._key.public_key()
        certificate = (
            x509.CertificateBuilder(
                self._certificate.subject, _named(name), key, x509.random_serial_number(), FIRST_DATE, LAST_DATE
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([side]), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own_key), critical=False)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            certificate = certificate.add_extension(names, critical=False)
        return certificate.sign(self._key, SHA256()).public_bytes(Encoding.PEM)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
