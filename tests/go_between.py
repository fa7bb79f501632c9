"""Somebody between a receiver and a broadcaster: with a certificate, a director key and an identity key of its own.

To the receiver it is a broadcaster that takes everybody; to the broadcaster it is a receiver that shows the receiver's
seat. The messages of the token pass through, so both ends hold the same key without knowing of each other.
"""

import hashlib
import secrets
import ssl
from ipaddress import ip_address
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
from aiohttp import web

from broadcaster.http_listener import HttpListener
from broadcaster.keys import KeyStore
from protocol.admission import sign_admission
from protocol.enrolment import (
    ENROLMENT_PATH,
    Hello,
    Refusal,
    Verdict,
    VerdictState,
    decode_confirm,
    decode_hello,
    decode_offer,
    decode_verdict,
    encode,
    sign_confirm,
    sign_transcript,
    transcript_of,
)
from protocol.link.tls import server_context, unproved_context
from protocol.pairing import commitment_to, comparison_words
from protocol.trust import Trust
from receiver.enrolment_link import EnrolmentLink
from receiver.identity import ReceiverIdentity

LOOPBACK = "127.0.0.1"


class GoBetween:
    """Listens at ``port`` while entered.

    Args:
        key_store: its own keys.
        real_port: of the broadcaster's front door.
        shown_trust: what it claims to be; None for what its keys are.
        relays: passes on everything as it is, instead of speaking for itself.
    """

    def __init__(
        self, key_store: KeyStore, real_port: int, *, shown_trust: Trust | None = None, relays: bool = False
    ) -> None:
        self._key_store = key_store
        self._real = f"https://{LOOPBACK}:{real_port}"
        self._link = EnrolmentLink(LOOPBACK, real_port)
        self._shown_trust = shown_trust or key_store.trust
        self._relays = relays
        self._identity = ReceiverIdentity.draw()
        self._random = secrets.token_bytes(32)
        server = key_store.authority.server_identity()
        self._leaf_digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(server.certificate.decode())).digest()
        self._listener = HttpListener(
            ip_address(LOOPBACK), 0, 1, self._answer, tls=server_context(server, client_authority=None)
        )
        self.verdict_of_broadcaster: Verdict | None = None
        self.words_at_broadcaster = ""

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def receiver_id(self) -> str:
        """What the broadcaster knows it as."""
        return self._identity.receiver_id

    async def __aenter__(self) -> Self:
        await self._link.__aenter__()
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=unproved_context()))
        await self._listener.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listener.__aexit__(kind, error, trace)
        await self._http.close()
        await self._link.__aexit__(kind, error, trace)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if self._relays:
            async with self._http.post(self._real + request.path, data=body) as response:
                return web.Response(status=response.status, body=await response.read())
        if request.path == ENROLMENT_PATH:
            return web.Response(body=await self._hello(body))
        return web.Response(body=await self._confirm(body))

    async def _hello(self, body: bytes) -> bytes:
        hello = decode_hello(body)
        self._victim = hello.keys
        keys = self._identity.keys
        ours = encode(
            Hello(
                identity_key=keys.identity_key,
                sealing_key=keys.sealing_key,
                boot_nonce=keys.boot_nonce,
                seat=hello.seat,
                commitment=commitment_to(self._random),
                pairing=hello.pairing,
            )
        )
        theirs = await self._link.hello(ours)
        self._transcript = transcript_of(ours, theirs, self._link.leaf_digest)
        self.words_at_broadcaster = comparison_words(self._transcript, self._random)
        shown = encode(msgspec.structs.replace(decode_offer(theirs), trust=self._shown_trust))
        self._shown_transcript = transcript_of(body, shown, self._leaf_digest)
        return shown

    async def _confirm(self, body: bytes) -> bytes:
        confirm = decode_confirm(body)
        ours = sign_confirm(self._transcript, self._random, confirm.token_proof, self._identity.signing_key)
        answer = await self._link.confirm(self.receiver_id, encode(ours))
        assert answer is not None
        verdict = decode_verdict(answer)
        self.verdict_of_broadcaster = verdict
        director, authority = self._key_store.director, self._key_store.authority
        return encode(
            Verdict(
                state=VerdictState.ADMITTED,
                refusal=Refusal.NONE,
                signature=sign_transcript(self._shown_transcript, director),
                token_proof=verdict.token_proof or (secrets.token_bytes(32) if confirm.token_proof else b""),
                admission=sign_admission(self._victim, director),
                certificate=authority.receiver_certificate(self._victim.identity_key).decode(),
            )
        )
