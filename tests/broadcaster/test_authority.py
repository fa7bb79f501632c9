import base64
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broadcaster.authority import Authority
from protocol.errors import ConfigError, SessionStateError
from protocol.signing import fingerprint
from receiver.identity import ReceiverIdentity


def read(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def name_of(certificate: x509.Certificate) -> str:
    (attribute,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attribute.value)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create()


def test_authority_signs_certificates_and_nothing_else(authority: Authority) -> None:
    own = read(authority.certificate)
    assert isinstance(own.public_key(), ec.EllipticCurvePublicKey)
    own.verify_directly_issued_by(own)
    constraints = own.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    usage = own.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.digital_signature, usage.crl_sign) == (True, False, False)


def test_each_authority_has_a_name_of_its_own(authority: Authority) -> None:
    assert read(authority.certificate).subject != read(Authority.create().certificate).subject


def test_browsers_find_what_they_look_for(authority: Authority) -> None:
    certificate = read(authority.server_identity(["10.0.4.2", "fd00::2", "lab.example"]).certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(map(str, names.get_values_for_type(x509.IPAddress))) == ["10.0.4.2", "fd00::2"]
    assert names.get_values_for_type(x509.DNSName) == ["lab.example"]


def test_certificates_are_for_one_side(authority: Authority) -> None:
    receiver = ReceiverIdentity.draw()
    issued = [
        (authority.server_identity().certificate, ExtendedKeyUsageOID.SERVER_AUTH, "slatecast"),
        (authority.role_identity("broadcaster").certificate, ExtendedKeyUsageOID.CLIENT_AUTH, "broadcaster"),
        (
            authority.receiver_certificate(receiver.keys.identity_key),
            ExtendedKeyUsageOID.CLIENT_AUTH,
            receiver.receiver_id,
        ),
    ]
    for pem, side, name in issued:
        certificate = read(pem)
        certificate.verify_directly_issued_by(read(authority.certificate))
        assert name_of(certificate) == name
        assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [side]
        assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        assert (usage.digital_signature, usage.key_cert_sign) == (True, False)


def test_receiver_certificate_holds_its_own_key(authority: Authority) -> None:
    keys = ReceiverIdentity.draw().keys
    certificate = read(authority.receiver_certificate(keys.identity_key))
    public = certificate.public_key()
    assert isinstance(public, Ed25519PublicKey)
    assert public.public_bytes_raw() == keys.identity_key
    assert name_of(certificate) == fingerprint(keys.identity_key).hex() == keys.receiver_id


def test_no_clock_is_outside_the_dates(authority: Authority) -> None:
    for pem in (authority.certificate, authority.server_identity().certificate):
        certificate = read(pem)
        assert certificate.not_valid_before_utc == datetime(1970, 1, 1, tzinfo=UTC)
        assert certificate.not_valid_after_utc == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_identities_have_keys_that_fit_and_differ(authority: Authority) -> None:
    one, other = authority.server_identity(), authority.server_identity()
    assert one.private_key != other.private_key
    for identity in (one, other, authority.role_identity("console")):
        key = load_pem_private_key(identity.private_key, None)
        assert key.public_key() == read(identity.certificate).public_key()


def test_it_comes_back_and_goes_on(authority: Authority) -> None:
    again = Authority.load(authority.certificate, authority.private_key)
    assert (again.certificate, again.private_key) == (authority.certificate, authority.private_key)
    read(again.server_identity().certificate).verify_directly_issued_by(read(authority.certificate))


def test_what_does_not_fit_is_refused(authority: Authority) -> None:
    other = Authority.create()
    receiver = ReceiverIdentity.draw()
    for certificate, private_key in (
        (authority.certificate, other.private_key),
        (authority.certificate, b""),
        (authority.certificate, b"\xff" * 100),
        (authority.certificate, authority.certificate),
        (b"", authority.private_key),
        (authority.certificate[:-100], authority.private_key),
        (authority.receiver_certificate(receiver.keys.identity_key), receiver.tls_private_key),
    ):
        with pytest.raises(ConfigError, match="restore both") as caught:
            Authority.load(certificate, private_key)
        assert "\n" not in str(caught.value)


def test_a_certificate_of_a_version_that_there_is_not_is_damaged(authority: Authority) -> None:
    version = b"\xa0\x03\x02\x01\x02"  # [0] INTEGER 2, which is version 3 (RFC 5280 section 4.1.2.1)
    encoded = read(authority.certificate).public_bytes(Encoding.DER)
    assert encoded.count(version) == 1
    mutated = base64.encodebytes(encoded.replace(version, version[:-1] + b"\x05"))
    pem = b"-----BEGIN CERTIFICATE-----\n" + mutated + b"-----END CERTIFICATE-----\n"
    with pytest.raises(ConfigError, match="damaged: restore both"):
        Authority.load(pem, authority.private_key)


@pytest.mark.parametrize("name", ["", "Broadcaster", "a b", "ab" * 16, "broadcaster\n", "é"])
def test_role_that_could_be_taken_for_another_is_our_own_misuse(authority: Authority, name: str) -> None:
    with pytest.raises(SessionStateError):
        authority.role_identity(name)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_key_that_is_none_is_our_own_misuse(authority: Authority, length: int) -> None:
    with pytest.raises(SessionStateError):
        authority.receiver_certificate(bytes(length))


def test_nothing_secret_is_shown(authority: Authority) -> None:
    shown = f"{authority!r} {authority} {authority.server_identity()!r}"
    assert "PRIVATE" not in shown
    assert "slatecast authority" in shown
