"""TLS contexts, for every connection of slatecast: version 1.3 only, one pinned authority, no host names, no clock.

A lab has no names to check: what counts is who issued a certificate, and for which side of a connection (OpenSSL holds
extendedKeyUsage against it, so that a receiver's certificate never passes as a broadcaster's). A PC that is imaged may
believe any date, so none is looked at: certificates hold for as long as their authority is trusted. Nothing is resumed
by a ticket either; each connection shows its certificate.

``ssl`` takes private keys from files only. Ours is one without a name, in memory where the system has such files.
"""

import os
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

REFUSAL_TIMEOUT: Final = 1.0
"""[s] How long somebody on the LAN who does not accept a certificate may take to say so."""

_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, X509_VERIFY_PARAM_set_flags(3); Python has no name for it."""


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """What one side of a connection shows and proves."""

    certificate: bytes
    """in PEM"""
    private_key: bytes = field(repr=False)
    """in PEM (PKCS 8), not encrypted"""


def server_context(identity: TlsIdentity, *, client_authority: bytes | None) -> ssl.SSLContext:
    """For whoever accepts connections.

    Args:
        identity: what to show.
        client_authority: PEM of who must have issued the certificate of whoever connects; None asks for none.

    Raises:
        ssl.SSLError: no certificates, or the key is another one's.
        ValueError: the PEM is none.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    if client_authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _trust_only(context, client_authority)
    _show(context, identity)
    return context


def pinned_context(authority: bytes, identity: TlsIdentity | None) -> ssl.SSLContext:
    """For whoever connects, to one that the authority certified for that side, under whatever name.

    Args:
        authority: PEM of who must have issued the other side's certificate.
        identity: what to show when asked; None shows nothing.

    Raises:
        ssl.SSLError: no certificates, or the key is another one's.
        ValueError: the PEM is none.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    _trust_only(context, authority)
    if identity is not None:
        _show(context, identity)
    return context


def unproved_context() -> ssl.SSLContext:
    """For enrolment only: connects to whoever answers, and the caller proves over the connection who that is."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def is_certificate_refused(host: str, port: int, tls: ssl.SSLContext) -> bool:
    """Whether whoever listens there completes a handshake and then hangs up, unheard, on what we show; blocks.

    In TLS 1.3 a certificate is refused after the handshake (RFC 8446 section 4.4.2.4), by an alert or without a word.
    For protocols in which the side that connects speaks first; False where nothing can be found out.
    """
    try:
        with (
            socket.create_connection((host, port), REFUSAL_TIMEOUT) as plain,
            tls.wrap_socket(plain, server_hostname=host) as connection,
        ):
            return not connection.recv(1)
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except ConnectionResetError:
        return True
    except OSError:
        return False


def _context(side: int) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    return context


def _trust_only(context: ssl.SSLContext, authority: bytes) -> None:
    context.load_verify_locations(cadata=authority.decode("ascii"))


def _show(context: ssl.SSLContext, identity: TlsIdentity) -> None:
    with _unnamed_file(identity.certificate) as certificate, _unnamed_file(identity.private_key) as private_key:
        # The password is never asked for; without it OpenSSL would ask the terminal about an encrypted key.
        context.load_cert_chain(certificate, private_key, password="")


@contextmanager
def _unnamed_file(content: bytes) -> Iterator[str]:
    """A path to these bytes for as long as it is entered, for this process alone."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("tls"), "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile() as file:  # made with O_EXCL and mode 0600, removed at the end
            file.write(content)
            file.flush()
            yield file.name
