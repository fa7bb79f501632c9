"""Enrolment at the receiver: from an address that the network gave us to a broadcaster that we have reason to obey.

    Hello -> Offer, Confirm -> Verdict, the Confirm again once a second while the operator makes up his mind

It connects to whoever answers and believes nothing until one of three things has proved it: the token, a trust that we
knew before, or the person at this seat who compares the words. All are over a transcript that holds the certificate of
the TLS connection that carried the answers, so a go-between has another transcript on each side and is found.
"""

import asyncio
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from protocol.admission import check_admission
from protocol.enrolment import (
    MAX_SEAT_LENGTH,
    Hello,
    Offer,
    Refusal,
    Verdict,
    VerdictState,
    check_verdict,
    decode_offer,
    decode_verdict,
    encode,
    sign_confirm,
    transcript_of,
)
from protocol.errors import ConfigError, MessageError, RefusedError, SignatureError, TransportError
from protocol.link.mqtt import BrokerAddress
from protocol.link.tls import TlsIdentity, pinned_context
from protocol.pairing import (
    PAIRING_SEED_LENGTH,
    RANDOM_LENGTH,
    PairingKey,
    ReceiverPairing,
    commitment_to,
    comparison_words,
    is_same,
    normalized_token,
)
from protocol.trust import Trust, follows
from receiver.enrolment_link import EnrolmentLink
from receiver.identity import ReceiverIdentity

POLL_PERIOD: Final = 1.0
"""[s] between two questions whether the operator has decided: what a person does not notice as a delay"""

POLL_PATIENCE: Final = 10.0
"""[s] for which a pending receiver asks on although nobody answers; less than the broadcaster's 15 to forget it"""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a receiver has when it was let in, by a broadcaster that it trusts."""

    trust: Trust
    """whom to obey; newer than the one it was started with, if keys were changed since"""
    is_confirmed: bool
    """a person at this seat has just compared the words: ``trust`` may be remembered"""
    broker: BrokerAddress
    broker_tls: ssl.SSLContext | None
    """None for a broker without TLS"""
    admission: bytes
    """of the director, for the receiver's presence"""
    certificate: TlsIdentity = field(repr=False)
    """proves the receiver to broker, catch-up lane and seat API"""
    seat_api: str = ""
    """https://address:port of the seat API, whose certificate ``trust.authority`` issued; empty where there is none"""


async def enrol(
    host: str,
    port: int,
    identity: ReceiverIdentity,
    *,
    seat: str,
    token: str | None,
    trust: Trust | None,
    on_words: Callable[[str], object],
    confirm: Callable[[str], Awaitable[bool]] | None,
    remembered: Collection[Trust] = (),
) -> Enrolment:
    """Be let in by the broadcaster whose front door is at ``host`` and ``port``.

    Args:
        host: name or address.
        port: of the front door.
        identity: this start's keys.
        seat: what the operator calls this place; at most MAX_SEAT_LENGTH characters.
        token: the word on the operator's screen, as somebody typed it.
        trust: the broadcaster that it must be; one whose keys follow these is taken too.
        on_words: told the four words, once, when the operator has to decide; they stand on his screen as well.
        confirm: asks the person at this seat whether the same words stand on the operator's screen; None if nobody
            is there. It is cancelled when there is nothing more to confirm.
        remembered: broadcasters that need no words; any other one is as good as unknown.

    Raises:
        ConfigError: the token or the address is none, or the seat's name is too long.
        RefusedError: by the operator; or the broadcaster is none, another one, or not proved. Nothing was told to it.
        TransportError: nobody answers, or it was restarted meanwhile: try again, with the same identity.
    """
    if len(seat) > MAX_SEAT_LENGTH:
        raise ConfigError(f"a seat's name of {len(seat)} characters: give one of at most {MAX_SEAT_LENGTH}")
    plain_token = None if token is None else normalized_token(token)
    if plain_token is None and trust is None and not remembered and confirm is None:
        raise RefusedError(
            "nothing proves which broadcaster this is: give the token on the operator's screen with --token, "
            "or its keys with --trust FILE, or start this receiver where somebody can compare words"
        )
    async with EnrolmentLink(host, port) as link:
        enrolling = _Enrolling(link, identity, seat, on_words, confirm)
        await enrolling.begin(plain_token, trust, remembered)
        return await enrolling.finish()


class _Enrolling:
    """One exchange."""

    def __init__(
        self,
        link: EnrolmentLink,
        identity: ReceiverIdentity,
        seat: str,
        on_words: Callable[[str], object],
        confirm: Callable[[str], Awaitable[bool]] | None,
    ) -> None:
        self._link = link
        self._identity = identity
        self._seat = seat
        self._on_words = on_words
        self._confirm = confirm
        self._random = secrets.token_bytes(RANDOM_LENGTH)
        self._key: PairingKey | None = None
        self._is_known = False
        self._has_shown_words = False
        self._asking: asyncio.Future[bool] | None = None

    async def begin(self, token: str | None, trust: Trust | None, remembered: Collection[Trust]) -> None:
        """Hello and Offer; refuses what cannot be proved later."""
        pairing = None
        if token is not None:
            pairing = await asyncio.to_thread(ReceiverPairing, token, secrets.token_bytes(PAIRING_SEED_LENGTH))
        keys = self._identity.keys
        hello = encode(
            Hello(
                identity_key=keys.identity_key,
                sealing_key=keys.sealing_key,
                boot_nonce=keys.boot_nonce,
                seat=self._seat,
                commitment=commitment_to(self._random),
                pairing=b"" if pairing is None else pairing.message,
            )
        )
        answer = await self._link.hello(hello)
        self._offer = self._decoded_offer(answer)
        self._transcript = transcript_of(hello, answer, self._link.leaf_digest)
        self._words = comparison_words(self._transcript, self._random)
        if trust is not None and not follows(self._offer.trust, trust):
            raise RefusedError(
                f"the broadcaster at {self._link.place} has other keys than this receiver was told to trust: "
                "if that is the right broadcaster, give the file of its present keys with --trust"
            )
        self._is_known = trust is not None or any(follows(self._offer.trust, known) for known in remembered)
        if pairing is not None and self._offer.pairing:
            try:
                self._key = await asyncio.to_thread(pairing.key, self._offer.pairing)
            except MessageError as error:
                raise self._link.stranger(str(error)) from error
        if not self._is_known and self._key is None and self._confirm is None:
            raise RefusedError(
                f"the broadcaster at {self._link.place} uses no token, and nothing else proves it: start it with "
                "--token, or give its keys with --trust FILE"
                if token is not None
                else f"the broadcaster at {self._link.place} is not one that this receiver knows: give the token on "
                "the operator's screen with --token, or its keys with --trust FILE"
            )

    async def finish(self) -> Enrolment:
        """Confirm and Verdict, until the operator and, where it takes one, the person at the seat have decided."""
        proof = b"" if self._key is None else self._key.receiver_proof(self._transcript)
        confirm = encode(sign_confirm(self._transcript, self._random, proof, self._identity.signing_key))
        try:
            while True:
                verdict = await self._ask(confirm)
                if verdict.state is VerdictState.ADMITTED:
                    return await self._admitted(verdict)
                self._show_words()
                if not self._is_known and self._key is None:
                    self._ask_person()
                await self._pause()
        finally:
            if self._asking is not None:
                self._asking.cancel()

    async def _ask(self, confirm: bytes) -> Verdict:
        """The verdict as it stands, proved to be the director's."""
        deadline = time.monotonic() + POLL_PATIENCE
        while True:
            try:
                answer = await self._link.confirm(self._identity.receiver_id, confirm)
                break
            except TransportError:
                if time.monotonic() > deadline:
                    raise
                await self._pause()
        if answer is None:
            raise TransportError(
                f"the broadcaster at {self._link.place} was started anew, or another one answers: enrol again"
            )
        try:
            verdict = decode_verdict(answer)
            check_verdict(verdict, self._transcript, self._offer.trust.director_key)
        except MessageError as error:
            raise self._link.stranger(str(error)) from error
        except SignatureError:
            raise RefusedError(
                f"who answers at {self._link.place} does not hold the keys that it shows: somebody sits in between; "
                "look who has that address"
            ) from None
        if verdict.refusal is Refusal.TOKEN:
            raise self._wrong_token()
        if verdict.state is VerdictState.REFUSED:
            raise RefusedError("the operator has refused this receiver: to ask again, start it again")
        return verdict

    async def _admitted(self, verdict: Verdict) -> Enrolment:
        """What we have, once the broadcaster is proved by one of the three ways."""
        is_confirmed = False
        if self._key is not None:
            if not is_same(verdict.token_proof, self._key.broadcaster_proof(self._transcript)):
                raise self._wrong_token()
        elif not self._is_known:
            self._show_words()
            self._ask_person()
            is_confirmed = self._asking is not None and await self._asking
            if not is_confirmed:
                raise self._not_confirmed()
        try:
            check_admission(self._identity.keys, verdict.admission, self._offer.trust.director_key)
        except SignatureError as error:
            raise self._link.stranger(str(error)) from error
        certificate = TlsIdentity(certificate=verdict.certificate.encode(), private_key=self._identity.tls_private_key)
        return Enrolment(
            trust=self._offer.trust,
            is_confirmed=is_confirmed,
            broker=self._broker,
            broker_tls=self._broker_context(certificate),
            admission=verdict.admission,
            certificate=certificate,
            seat_api=self._offer.seat_api,
        )

    def _decoded_offer(self, answer: bytes) -> Offer:
        try:
            offer = decode_offer(answer)
            self._broker = BrokerAddress.parse(offer.broker)
        except (MessageError, ConfigError) as error:
            raise self._link.stranger(str(error)) from error
        return offer

    def _broker_context(self, certificate: TlsIdentity) -> ssl.SSLContext | None:
        if not self._broker.tls:
            return None
        if not self._offer.broker_authority:
            return ssl.create_default_context()
        try:
            return pinned_context(self._offer.broker_authority.encode(), certificate)
        except (ssl.SSLError, ValueError) as error:
            raise self._link.stranger("gives certificates that do not fit") from error

    def _show_words(self) -> None:
        if not self._has_shown_words:
            self._has_shown_words = True
            self._on_words(self._words)

    def _ask_person(self) -> None:
        if self._asking is None and self._confirm is not None:
            self._asking = asyncio.ensure_future(self._confirm(self._words))

    async def _pause(self) -> None:
        """Until the next question, or until the person has answered this one.

        Raises:
            RefusedError: the words are not the same.
        """
        if self._asking is None or self._asking.done():
            await asyncio.sleep(POLL_PERIOD)
        else:
            await asyncio.wait({self._asking}, timeout=POLL_PERIOD)
        if self._asking is not None and self._asking.done() and not self._asking.result():
            raise self._not_confirmed()

    def _not_confirmed(self) -> RefusedError:
        return RefusedError(
            "the words were not confirmed: if other words stood on the operator's screen, somebody sits in between; "
            f"look who has the address {self._link.place}"
        )

    def _wrong_token(self) -> RefusedError:
        return RefusedError("the token is not this broadcaster's: check the word on the operator's screen")
