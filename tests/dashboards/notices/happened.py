"""Events for tests, and certificates for those who receive them on this machine."""

import ipaddress
import ssl
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from dashboards.notices.events import SeatFailed, SessionEnded, Unfinished

LOOPBACK = "127.0.0.1"
AT = 1_790_000_000.0
HOSTILE = "14\r\nBcc: all@example.org\r\n\r\n<script>alert(1)</script>\u202e\x00\ud800"


def ended(number: int = 1) -> SessionEnded:
    return SessionEnded(
        tsi=f"{number:016x}",
        room="Lab",
        image="windows-11",
        version=3,
        at=AT,
        elapsed_seconds=754.2,
        end_reason="all seats have settled",
        seat_count=30,
        verified_count=29,
        unfinished=(Unfinished("14", "failed", "disk error at sector 2048"),),
    )


def failed(seat: str = "14", reason: str = "disk error at sector 2048") -> SeatFailed:
    return SeatFailed("00" * 8, "Lab", "windows-11", "aa:bb:cc:dd:ee:ff", AT, Unfinished(seat, "failed", reason))


def hostile_events() -> tuple[SessionEnded, SeatFailed]:
    unfinished = Unfinished(HOSTILE, HOSTILE, HOSTILE * 1000)
    return (
        replace(ended(), room=HOSTILE, image=HOSTILE, end_reason=HOSTILE, unfinished=(unfinished,)),
        replace(failed(), room=HOSTILE, image=HOSTILE, machine=HOSTILE, failure=unfinished),
    )


def loopback_tls(folder: Path) -> tuple[ssl.SSLContext, bytes]:
    """A context to listen with on this machine, and the PEM of who certified it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    dated = builder.not_valid_before(datetime(2000, 1, 1)).not_valid_after(datetime(9999, 12, 31))
    named = dated.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), False)
    certificate = named.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    pem = certificate.sign(key, SHA256()).public_bytes(Encoding.PEM)
    file = folder / "listener.pem"
    file.write_bytes(pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, pem
