"""The front door: the HTTPS routes at which receivers enrol, and the only place of a broadcaster open to strangers.

    POST /v1/enrolment                 Hello -> Offer
    POST /v1/enrolment/{receiver_id}   Confirm -> Verdict

Anybody may ask; what that costs us is bounded: bodies, time, connections (HttpListener), what is remembered
(WaitingRoom), wrong tokens (GuessLimits), and the arithmetic of tokens, which one thread does for one exchange at a
time. No answer holds a secret. How long an answer takes that depends on the token is rounded up, because Python's
arithmetic takes longer for some tokens than for others.
"""

import asyncio
import contextlib
import hashlib
import re
import secrets
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address
from types import TracebackType
from typing import Final, Self, TypeVar

from aiohttp import web

from broadcaster.http_listener import PRODUCT, HttpListener
from broadcaster.keys import KeyStore
from broadcaster.waiting_room import Applicant, Exchange, RoomEvent, WaitingRoom
from protocol.admission import sign_admission
from protocol.enrolment import (
    ENROLMENT_PATH,
    MAX_REQUEST_LENGTH,
    Offer,
    Verdict,
    VerdictState,
    decode_confirm,
    decode_hello,
    encode,
    sign_transcript,
    transcript_of,
)
from protocol.errors import MessageError, RefusedError, SignatureError
from protocol.link.mqtt import BrokerAddress
from protocol.link.tls import server_context
from protocol.pairing import PAIRING_SEED_LENGTH, RANDOM_LENGTH, BroadcasterPairing, PairingKey, normalized_token

BODY_PATIENCE: Final = 5.0
"""[s] How long the body of one request may take: under 1 KiB, so anything longer is somebody who dribbles."""

ANSWER_GRID: Final = 0.05
"""[s] Answers that took arithmetic with the token come at multiples of this; the arithmetic varies by 0.1 ms."""

EXPIRY_PERIOD: Final = 1.0
"""[s] between two looks for receivers that have left; as often as one that has not asks"""

RETRY_AFTER: Final = "1"
"""[s] When a request that found no room may come again: the least that HTTP can say."""

_CONFIRM_PATH: Final = re.compile(rf"{ENROLMENT_PATH}/([0-9a-f]{{32}})")

Result = TypeVar("Result")


class FrontDoor:
    """Enrols receivers on one address while entered.

    Args:
        host: the address to bind.
        port: 0 takes a free one; ``port`` says which.
        interface_index: the system's number of the interface, which link-local IPv6 addresses need.
        key_store: who we are; its director admits, its authority certifies.
        broker: where the admitted find the broker; its name and password are not passed on.
        broker_authority: PEM of who certifies the broker; None leaves it to the receivers' systems.
        token: admits whoever proves it; None leaves all to the operator.
        on_event: told in the event loop who waits, who was settled, who has left, who tried a wrong token.
        seat_api: the url at which the admitted find the seat API; empty where there is none.

    Raises:
        ConfigError: the token is too short or too long.
    """

    def __init__(
        self,
        host: IPv4Address | IPv6Address,
        port: int,
        interface_index: int,
        *,
        key_store: KeyStore,
        broker: BrokerAddress,
        broker_authority: bytes | None,
        token: str | None,
        on_event: Callable[[RoomEvent], object],
        seat_api: str = "",
    ) -> None:
        self.waiting_room: Final = WaitingRoom(on_event)
        self._key_store = key_store
        self._broker_url = str(BrokerAddress(broker.host, broker.port, tls=broker.tls))
        self._broker_authority = "" if broker_authority is None else broker_authority.decode()
        self._seat_api = seat_api
        self._token = None if token is None else normalized_token(token)
        identity = key_store.authority.server_identity()
        self._leaf_digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(identity.certificate.decode())).digest()
        self._listener = HttpListener(
            host, port, interface_index, self._answer, tls=server_context(identity, client_authority=None)
        )
        self._judging = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port it listens on; known once entered."""
        return self._listener.port

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            TransportError: the address cannot be bound, or the port is taken or not permitted.
        """
        self._arithmetic = ThreadPoolExecutor(1, thread_name_prefix="pairing")
        try:
            await self._listener.__aenter__()
        except BaseException:
            self._arithmetic.shutdown()
            raise
        self._expiry = asyncio.create_task(self._expire())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the door; who was admitted stays admitted."""
        await self._listener.__aexit__(kind, error, trace)
        for task in (self._expiry, *self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._arithmetic.shutdown(cancel_futures=True)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_PERIOD)
            self.waiting_room.expire(time.monotonic())

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        confirming = _CONFIRM_PATH.fullmatch(request.path_qs)
        if confirming is None and request.path_qs != ENROLMENT_PATH:
            return _refusal(HTTPStatus.NOT_FOUND)
        if request.method != "POST":
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, Allow="POST")
        return await self._enrol(None if confirming is None else confirming[1], request)

    async def _enrol(self, receiver_id: str | None, request: web.BaseRequest) -> web.Response:
        try:
            body = await _body_of(request)
            return await (self._hello(body, request) if receiver_id is None else self._confirm(receiver_id, body))
        except MessageError:
            return _refusal(HTTPStatus.BAD_REQUEST)
        except SignatureError:
            return _refusal(HTTPStatus.FORBIDDEN)
        except RefusedError:
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, **{"Retry-After": RETRY_AFTER})

    async def _hello(self, body: bytes, request: web.BaseRequest) -> web.Response:
        began = time.monotonic()
        hello = decode_hello(body)
        address, is_own = _origin_of(request)
        pairing = None
        if self._token is not None and hello.pairing:
            if not self.waiting_room.may_begin(address, began, is_own=is_own):
                raise RefusedError("too many exchanges with a token were begun")
            seed = secrets.token_bytes(PAIRING_SEED_LENGTH)
            pairing = await self._calculate(partial(BroadcasterPairing, self._token, seed))
            await _wait_for_grid(began)
        offer = encode(
            Offer(
                trust=self._key_store.trust,
                broker=self._broker_url,
                broker_authority=self._broker_authority,
                seat_api=self._seat_api,
                broadcaster_random=secrets.token_bytes(RANDOM_LENGTH),
                pairing=b"" if pairing is None else pairing.message,
            )
        )
        exchange = Exchange(
            hello=hello,
            transcript=transcript_of(body, offer, self._leaf_digest),
            pairing=pairing,
            address=address,
            is_own=is_own,
            offered_at=time.monotonic(),
        )
        self.waiting_room.offered(exchange)
        return _json(offer)

    async def _confirm(self, receiver_id: str, body: bytes) -> web.Response:
        began = time.monotonic()
        applicant = self.waiting_room.confirmed(receiver_id, decode_confirm(body), began)
        if applicant is None:
            return _refusal(HTTPStatus.GONE)
        if self.waiting_room.may_judge(applicant, began):
            # Whoever hangs up before the answer has had his guess all the same.
            judging = asyncio.create_task(self._judge(applicant))
            self._tasks.add(judging)
            judging.add_done_callback(self._tasks.discard)
            await asyncio.shield(judging)
            await _wait_for_grid(began)
        self.waiting_room.announce(applicant)
        return _json(encode(self._verdict(applicant)))

    async def _judge(self, applicant: Applicant) -> None:
        """One at a time, so that no guess is begun before the one before it was counted."""
        async with self._judging:
            pairing = applicant.exchange.pairing
            if pairing is None or not self.waiting_room.may_judge(applicant, time.monotonic()):
                return
            key: PairingKey | None = None
            with contextlib.suppress(MessageError):
                key = await self._calculate(partial(pairing.key, applicant.exchange.hello.pairing))
            self.waiting_room.judged(applicant, key, time.monotonic())

    def _verdict(self, applicant: Applicant) -> Verdict:
        is_admitted = applicant.state is VerdictState.ADMITTED
        if is_admitted and not applicant.certificate:
            authority = self._key_store.authority
            applicant.certificate = authority.receiver_certificate(applicant.keys.identity_key).decode()
        director = self._key_store.director
        return Verdict(
            state=applicant.state,
            refusal=applicant.refusal,
            signature=sign_transcript(applicant.exchange.transcript, director),
            token_proof=applicant.token_proof,
            admission=sign_admission(applicant.keys, director) if is_admitted else b"",
            certificate=applicant.certificate if is_admitted else "",
        )

    async def _calculate(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._arithmetic, work)


async def _body_of(request: web.BaseRequest) -> bytes:
    """All of a short body; raises MessageError for one that is long or does not come."""
    if (request.content_length or 0) > MAX_REQUEST_LENGTH:
        raise MessageError("a body that is too long")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_PATIENCE):
            async for part in request.content.iter_any():
                body += part
                if len(body) > MAX_REQUEST_LENGTH:
                    raise MessageError("a body that is too long")
    except (TimeoutError, ValueError, web.RequestPayloadError):
        raise MessageError("a body that does not come") from None
    return bytes(body)


def _origin_of(request: web.BaseRequest) -> tuple[str, bool]:
    """The address that asks, and whether it is this machine's own."""
    transport = request.transport
    if transport is None:
        raise MessageError("the connection has ended")
    address: str = transport.get_extra_info("peername", default=("",))[0]
    return address, address == transport.get_extra_info("sockname", default=(None,))[0]


async def _wait_for_grid(began: float) -> None:
    passed = time.monotonic() - began
    await asyncio.sleep(ANSWER_GRID - passed % ANSWER_GRID)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", headers={**PRODUCT, "Cache-Control": "no-store"})


def _refusal(status: HTTPStatus, **headers: str) -> web.Response:
    """What is wrong in a word; a connection whose request was not read to its end is of no further use."""
    response = web.Response(status=status, text=f"{status.phrase}\n", headers={**PRODUCT, **headers})
    response.force_close()
    return response
