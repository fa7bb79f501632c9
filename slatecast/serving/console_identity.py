"""The certificate that browsers are shown: kept from start to start, so that one that was accepted stays accepted.

Everywhere else a new certificate at each start costs nothing, since our own side pins the authority. A browser that was
not told of the authority asks its user once for each certificate.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from broadcaster.authority import Authority
from dashboards.access.private_files import read_private, write_private
from protocol.link.tls import TlsIdentity

IDENTITY_FILE: Final = "https.pem"
"""In the state folder, 0600: private key and certificate."""

_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"


def console_identity(state: Path, authority: Authority, hosts: tuple[str, ...]) -> TlsIdentity:
    """The one in the state folder, or a new one if that is not for these hosts or not of this authority.

    Raises:
        ConfigError: the folder cannot be read or written.
    """
    path = state / IDENTITY_FILE
    kept = _parse(read_private(path) or b"")
    if kept is not None and _is_good(kept, authority, hosts):
        return kept
    drawn = authority.server_identity(hosts)
    write_private(path, drawn.private_key + drawn.certificate)
    return drawn


def _parse(pem: bytes) -> TlsIdentity | None:
    key, mark, certificate = pem.partition(_CERTIFICATE)
    return TlsIdentity(mark + certificate, key) if mark else None


def _is_good(identity: TlsIdentity, authority: Authority, hosts: tuple[str, ...]) -> bool:
    """Whether it is whole, of this authority, and for these hosts; a damaged one is replaced like an old one."""
    try:
        certificate = x509.load_pem_x509_certificate(identity.certificate)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        key = load_pem_private_key(identity.private_key, password=None)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    known = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    known |= set(names.get_values_for_type(x509.DNSName))
    return key.public_key() == certificate.public_key() and known >= {_canonical(host) for host in hosts}


def _canonical(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        return host
