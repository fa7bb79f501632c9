import asyncio
import os
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from broadcaster.authority import Authority
from protocol.link import tls
from protocol.link.tls import (
    TlsIdentity,
    is_certificate_refused,
    pinned_context,
    server_context,
    unproved_context,
)
from receiver.identity import ReceiverIdentity
from tests.brokers import receiver_tls_identity

LOOPBACK = "127.0.0.1"
OPEN_FILES = Path("/proc/self/fd")
NO_CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create()


@pytest.fixture(scope="module")
def receiver(authority: Authority) -> TlsIdentity:
    return receiver_tls_identity(ReceiverIdentity.draw(), authority)


def shake_hands(accepting: ssl.SSLContext, connecting: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a handshake in memory, accepting side first. Raises what either end raises."""
    to_accepting, to_connecting = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = accepting.wrap_bio(to_accepting, to_connecting, server_side=True)
    other = connecting.wrap_bio(to_connecting, to_accepting, server_hostname="no.such.name")
    for _ in range(3):
        for end in (other, one):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return one, other


def test_both_sides_are_proved(authority: Authority, receiver: TlsIdentity) -> None:
    accepting = server_context(authority.server_identity(), client_authority=authority.certificate)
    one, other = shake_hands(accepting, pinned_context(authority.certificate, receiver))
    assert one.version() == other.version() == "TLSv1.3"
    assert one.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(receiver.certificate.decode())
    assert other.getpeercert()


def test_receiver_cannot_pass_as_a_broadcaster(authority: Authority, receiver: TlsIdentity) -> None:
    for impostor in (receiver, authority.role_identity("broadcaster")):
        with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
            shake_hands(server_context(impostor, client_authority=None), pinned_context(authority.certificate, None))


def test_broadcaster_of_another_authority_is_not_believed(authority: Authority) -> None:
    other = server_context(Authority.create().server_identity(), client_authority=None)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(other, pinned_context(authority.certificate, None))


def test_only_certificates_of_the_authority_for_that_side_are_accepted(authority: Authority) -> None:
    accepting = server_context(authority.server_identity(), client_authority=authority.certificate)
    for identity in (None, Authority.create().role_identity("broadcaster"), authority.server_identity()):
        with pytest.raises(ssl.SSLError):
            shake_hands(accepting, pinned_context(authority.certificate, identity))


def test_enrolment_takes_whoever_answers_but_not_less_than_tls_1_3() -> None:
    accepting = server_context(Authority.create().server_identity(), client_authority=None)
    _one, other = shake_hands(accepting, unproved_context())
    assert other.getpeercert(binary_form=True)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="PROTOCOL"):
        shake_hands(accepting, old)


@pytest.mark.parametrize("context", ["server", "pinned", "unproved"])
def test_every_context_is_strict(context: str, authority: Authority, receiver: TlsIdentity) -> None:
    made = {
        "server": server_context(authority.server_identity(), client_authority=authority.certificate),
        "pinned": pinned_context(authority.certificate, receiver),
        "unproved": unproved_context(),
    }[context]
    assert made.minimum_version is ssl.TLSVersion.TLSv1_3
    assert made.verify_flags & tls._NO_CHECK_TIME
    assert (made.verify_mode is ssl.CERT_REQUIRED) == (context != "unproved")


@pytest.mark.parametrize("pem", [b"", b"nonsense", NO_CERTIFICATE, b"\xff"])
def test_authority_that_is_none(pem: bytes) -> None:
    with pytest.raises((ssl.SSLError, ValueError)):
        pinned_context(pem, None)


def test_key_of_another_or_none_or_encrypted_is_refused_without_a_question(authority: Authority) -> None:
    own, other = authority.server_identity(), authority.server_identity()
    encrypted = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
    )
    for private_key in (other.private_key, b"", b"nonsense", encrypted):
        with pytest.raises(ssl.SSLError):
            server_context(TlsIdentity(own.certificate, private_key), client_authority=None)


@pytest.mark.parametrize("has_memory_files", [True, False])
def test_private_key_is_left_nowhere(
    has_memory_files: bool, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_memory_files:
        monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    descriptors = len(list(OPEN_FILES.iterdir()))
    identity = authority.server_identity()
    server_context(identity, client_authority=None)
    assert list(tmp_path.iterdir()) == []
    assert len(list(OPEN_FILES.iterdir())) == descriptors
    assert identity.private_key.decode()[30:60] not in repr(identity)


@asynccontextmanager
async def listening(context: ssl.SSLContext | None, *, hangs_up: bool = False) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not hangs_up:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.system
@pytest.mark.asyncio
async def test_refusal_is_told_from_silence(
    authority: Authority, receiver: TlsIdentity, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(tls, "REFUSAL_TIMEOUT", 0.1)
    accepting = server_context(authority.server_identity(), client_authority=authority.certificate)

    async def is_refused(port: int, identity: TlsIdentity | None, by: Authority = authority) -> bool:
        return await asyncio.to_thread(is_certificate_refused, LOOPBACK, port, pinned_context(by.certificate, identity))

    async with listening(accepting) as port:
        assert not await is_refused(port, receiver)  # it waits for us to speak
        assert await is_refused(port, None)
        assert await is_refused(port, Authority.create().role_identity("broadcaster"))
        assert not await is_refused(port, receiver, Authority.create())  # it is we who refuse
    async with listening(None) as port:
        assert not await is_refused(port, receiver)
    assert not await is_refused(unused_tcp_port, receiver)
