import asyncio
import base64
import contextlib
import hashlib
import json
import logging
import secrets
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from broadcaster import front_door
from broadcaster.front_door import ANSWER_GRID, FrontDoor
from broadcaster.guess_limits import EXCHANGES_PER_ADDRESS, GUESSES_PER_ADDRESS
from broadcaster.keys import KeyStore
from broadcaster.waiting_room import MAX_EXCHANGES_PER_ADDRESS, MAX_PENDING_PER_ADDRESS, RoomEvent, Waiting, WrongToken
from protocol.admission import check_admission
from protocol.enrolment import (
    ENROLMENT_PATH,
    MAX_REQUEST_LENGTH,
    Hello,
    Offer,
    Verdict,
    VerdictState,
    check_verdict,
    confirm_path,
    decode_offer,
    decode_verdict,
    encode,
    sign_confirm,
    transcript_of,
)
from protocol.errors import ConfigError, TransportError
from protocol.link.mqtt import BrokerAddress
from protocol.link.tls import unproved_context
from protocol.pairing import BroadcasterPairing, ReceiverPairing, commitment_to, comparison_words, normalized_token
from protocol.signing import Purpose, SigningKey
from receiver.identity import ReceiverIdentity

pytestmark = [pytest.mark.asyncio, pytest.mark.system]

HOST = "127.0.0.1"
STRANGER = "127.0.0.2"
TOKEN = "canary token in four words"
PASSWORD = "canary-password"


class Door:
    """A front door and what its operator was told."""

    def __init__(self, keys: Path) -> None:
        self.key_store = KeyStore.open_or_create(keys)
        self.events: list[RoomEvent] = []
        self.has_event = asyncio.Event()

    def told(self, event: RoomEvent) -> None:
        self.events.append(event)
        self.has_event.set()

    @asynccontextmanager
    async def open(self, token: str | None = TOKEN) -> AsyncIterator[FrontDoor]:
        async with FrontDoor(
            ip_address(HOST),
            0,
            1,
            key_store=self.key_store,
            broker=BrokerAddress("10.0.0.1", 8883, username="canary-user", password=PASSWORD, tls=True),
            broker_authority=self.key_store.authority.certificate,
            token=token,
            on_event=self.told,
        ) as door:
            yield door


class Caller:
    """Speaks to a front door message by message; keeps every byte of the answers."""

    def __init__(self, door: FrontDoor, source: str = STRANGER) -> None:
        self._url = f"https://{HOST}:{door.port}"
        self._source = source
        self.identity = ReceiverIdentity.draw()
        self.random = secrets.token_bytes(32)
        self.heard = bytearray()

    async def __aenter__(self) -> "Caller":
        connector = aiohttp.TCPConnector(ssl=unproved_context(), local_addr=(self._source, 0))
        self._http = aiohttp.ClientSession(connector=connector)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._http.close()

    async def post(
        self, path: str, body: bytes | AsyncIterator[bytes], method: str = "POST", **headers: str
    ) -> tuple[int, bytes]:
        async with self._http.request(method, self._url + path, data=body, headers=headers) as response:
            answer = await response.read()
            self.heard += repr(response.headers).encode() + answer
            self.headers = response.headers
            return response.status, answer

    def hello(self, token: str | None = None, **changes: Any) -> bytes:
        keys = self.identity.keys
        self.pairing = None if token is None else ReceiverPairing(normalized_token(token), secrets.token_bytes(64))
        return encode(
            Hello(
                identity_key=keys.identity_key,
                sealing_key=keys.sealing_key,
                boot_nonce=keys.boot_nonce,
                seat=changes.get("seat", "row 3"),
                commitment=commitment_to(self.random),
                pairing=b"" if self.pairing is None else self.pairing.message,
            )
        )

    async def begin(self, token: str | None = None, *, leaf_digest: bytes | None = None, **changes: Any) -> int:
        """Hello; the status of its answer."""
        hello = self.hello(token, **changes)
        status, answer = await self.post(ENROLMENT_PATH, hello)
        if status == 200:
            self.offer: Offer = decode_offer(answer)
            self.transcript = transcript_of(hello, answer, leaf_digest or await self._leaf_digest())
        return status

    def confirm_body(self) -> bytes:
        key = None
        if self.pairing is not None and self.offer.pairing:
            key = self.pairing.key(self.offer.pairing)
        proof = b"" if key is None else key.receiver_proof(self.transcript)
        self.expected_proof = b"" if key is None else key.broadcaster_proof(self.transcript)
        return encode(sign_confirm(self.transcript, self.random, proof, self.identity.signing_key))

    async def confirm(self, body: bytes) -> Verdict:
        status, answer = await self.post(confirm_path(self.identity.receiver_id), body)
        assert status == 200
        verdict = decode_verdict(answer)
        check_verdict(verdict, self.transcript, self.offer.trust.director_key)
        return verdict

    async def enrol(self, token: str | None = None) -> Verdict:
        assert await self.begin(token) == 200
        return await self.confirm(self.confirm_body())

    async def _leaf_digest(self) -> bytes:
        port = int(self._url.rpartition(":")[2])
        _reader, writer = await asyncio.open_connection(
            HOST, port, ssl=unproved_context(), local_addr=(self._source, 0)
        )
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return hashlib.sha256(certificate).digest()


@pytest.fixture
def place(tmp_path: Path) -> Door:
    return Door(tmp_path / "keys")


class TestEnrolment:
    async def test_by_token(self, place: Door) -> None:
        async with place.open() as door, Caller(door) as caller:
            verdict = await caller.enrol(TOKEN)
        assert verdict.state is VerdictState.ADMITTED
        assert verdict.token_proof == caller.expected_proof != b""
        trust = place.key_store.trust
        assert caller.offer.trust == trust
        check_admission(caller.identity.keys, verdict.admission, trust.director_key)
        certificate = x509.load_pem_x509_certificate(verdict.certificate.encode())
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(trust.authority))
        assert certificate.public_key() == Ed25519PublicKey.from_public_bytes(caller.identity.keys.identity_key)
        assert f"CN={caller.identity.receiver_id}" in certificate.subject.rfc4514_string()

    async def test_by_the_operator(self, place: Door) -> None:
        async with place.open(token=None) as door, Caller(door) as caller:
            assert (await caller.enrol()).state is VerdictState.PENDING
            (waiting,) = place.events
            assert isinstance(waiting, Waiting)
            assert waiting.applicant.words == comparison_words(caller.transcript, caller.random)
            assert waiting.applicant.address == STRANGER
            door.waiting_room.accept(caller.identity.receiver_id)
            body = caller.confirm_body()
            first, again = await caller.confirm(body), await caller.confirm(body)
        assert first.state is VerdictState.ADMITTED
        assert first == again

    async def test_of_another_boot_is_refused(self, place: Door) -> None:
        """Hello and Confirm are sent again as they were recorded: the broadcaster's number is another one."""
        async with place.open(token=None) as door, Caller(door) as caller:
            hello = caller.hello()
            assert await caller.begin() == 200
            recorded = caller.confirm_body()
        async with place.open(token=None) as door, Caller(door) as replayer:
            path = confirm_path(caller.identity.receiver_id)
            assert (await replayer.post(path, recorded))[0] == 410
            assert (await replayer.post(ENROLMENT_PATH, hello))[0] == 200
            assert (await replayer.post(path, recorded))[0] == 403
            assert door.waiting_room.pending == ()

    async def test_with_somebodys_certificate_in_the_transcript_is_refused(self, place: Door) -> None:
        async with place.open() as door, Caller(door) as caller:
            assert await caller.begin(TOKEN, leaf_digest=bytes(32)) == 200
            status, _answer = await caller.post(confirm_path(caller.identity.receiver_id), caller.confirm_body())
        assert status == 403

    async def test_a_token_that_is_none_is_refused_at_once(self, place: Door) -> None:
        with pytest.raises(ConfigError, match="a token has 4 to 128 characters"):
            async with place.open(token="x"):
                pass

    async def test_a_port_that_is_taken_is_told(self, place: Door) -> None:
        async with place.open() as door:
            other = FrontDoor(
                ip_address(HOST),
                door.port,
                1,
                key_store=place.key_store,
                broker=BrokerAddress("10.0.0.1"),
                broker_authority=None,
                token=None,
                on_event=place.events.append,
            )
            with pytest.raises(TransportError, match=f"port {door.port}"):
                await other.__aenter__()


class TestRequests:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("POST", "/", 404),
            ("POST", "/v1/enrolment/", 404),
            ("POST", "/v1/enrolment?x=1", 404),
            ("POST", "/v1/enrolment/../../etc/passwd", 404),
            ("POST", "/v1/enrolment/" + "A" * 32, 404),
            ("POST", "/v1/enrolment/" + "0" * 33, 404),
            ("POST", "/v1/enrolments", 404),
            ("GET", "/v1/enrolment", 405),
            ("PUT", "/v1/enrolment", 405),
            ("GET", "/v1/enrolment/" + "0" * 32, 405),
            ("POST", "/v1/enrolment", 400),
            ("POST", "/v1/enrolment/" + "0" * 32, 400),
        ],
    )
    async def test_what_is_no_enrolment_is_refused(self, place: Door, method: str, path: str, status: int) -> None:
        async with place.open() as door, Caller(door) as caller:
            assert (await caller.post(path, b"{}", method))[0] == status
            assert b"aiohttp" not in caller.heard

    async def test_a_body_that_is_too_long_is_not_read(self, place: Door) -> None:
        async with place.open() as door, Caller(door) as caller:
            assert (await caller.post(ENROLMENT_PATH, caller.hello().ljust(MAX_REQUEST_LENGTH)))[0] == 200
            assert (await caller.post(ENROLMENT_PATH, caller.hello().ljust(MAX_REQUEST_LENGTH + 1)))[0] == 400

    async def test_a_body_without_end_is_cut(self, place: Door) -> None:
        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield bytes(4096)
                await asyncio.sleep(0)

        async with place.open() as door, Caller(door) as caller:
            with contextlib.suppress(aiohttp.ClientError):
                async with asyncio.timeout(front_door.BODY_PATIENCE / 2):
                    assert (await caller.post(ENROLMENT_PATH, endless()))[0] == 400

    async def test_a_body_that_does_not_come_is_not_waited_for(
        self, place: Door, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(front_door, "BODY_PATIENCE", 0.1)
        async with place.open() as door:
            reader, writer = await asyncio.open_connection(HOST, door.port, ssl=unproved_context())
            writer.write(f"POST {ENROLMENT_PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{".encode())
            answer = await asyncio.wait_for(reader.read(), 10)
            assert answer.startswith(b"HTTP/1.1 400")
            writer.transport.abort()

    async def test_a_seat_is_told_printably(self, place: Door) -> None:
        async with place.open(token=None) as door, Caller(door) as caller:
            assert await caller.begin(seat="\x1b]0;x\x07\r\n<b>\u202e") == 200
            await caller.confirm(caller.confirm_body())
            (pending,) = door.waiting_room.pending
        assert pending.seat == "�]0;x���<b>�"

    async def test_plain_http_is_not_spoken(self, place: Door) -> None:
        async with place.open() as door:
            reader, writer = await asyncio.open_connection(HOST, door.port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                assert b"HTTP" not in await asyncio.wait_for(reader.read(), 10)
            writer.transport.abort()


class TestGuessing:
    async def test_a_wrong_token_is_told_to_the_operator_and_answered_with_nothing(self, place: Door) -> None:
        async with place.open() as door, Caller(door) as caller:
            verdict = await caller.enrol("another token in four words")
            assert verdict.state is VerdictState.REFUSED
            assert verdict.token_proof == b""
            assert isinstance(place.events[0], WrongToken)
            assert door.waiting_room.admitted == ()

    async def test_of_one_address_ends_soon_and_others_still_come_in(self, place: Door) -> None:
        async with place.open() as door:
            for _ in range(GUESSES_PER_ADDRESS + 2):
                async with Caller(door) as caller:
                    last = await caller.enrol("another token in four words")
            assert last.state is VerdictState.PENDING
            assert len([event for event in place.events if isinstance(event, WrongToken)]) == GUESSES_PER_ADDRESS
            async with Caller(door, "127.0.0.3") as honest:
                assert (await honest.enrol(TOKEN)).state is VerdictState.ADMITTED

    async def test_who_hangs_up_before_the_answer_has_guessed_all_the_same(
        self, place: Door, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with place.open() as door:
            async with Caller(door) as caller:
                assert await caller.begin("another token in four words") == 200
                body = caller.confirm_body()
                may_go_on = threading.Event()
                monkeypatch.setattr(BroadcasterPairing, "key", lambda pairing, message: may_go_on.wait(10) and None)
                asking = asyncio.create_task(caller.confirm(body))
                await asyncio.sleep(0.2)
                asking.cancel()
                await asyncio.wait({asking})
            assert place.events == []
            await asyncio.sleep(0.1)  # the connection's end is noticed before the arithmetic's
            may_go_on.set()
            await asyncio.wait_for(place.has_event.wait(), 10)
            assert isinstance(place.events[0], WrongToken)

    async def test_a_point_that_is_none_is_a_wrong_token(self, place: Door) -> None:
        async with place.open() as door, Caller(door) as caller:
            hello = json.loads(caller.hello(TOKEN))
            hello["pairing"] = base64.b64encode(b"A" + bytes(32)).decode()
            body = json.dumps(hello).encode()
            status, answer = await caller.post(ENROLMENT_PATH, body)
            assert status == 200
            transcript = transcript_of(body, answer, await caller._leaf_digest())
            confirm = encode(sign_confirm(transcript, caller.random, bytes(32), caller.identity.signing_key))
            status, answer = await caller.post(confirm_path(caller.identity.receiver_id), confirm)
            assert decode_verdict(answer).state is VerdictState.REFUSED
            assert isinstance(place.events[0], WrongToken)

    async def test_answers_are_not_timed_by_the_arithmetic(self, place: Door) -> None:
        async with place.open() as door, Caller(door) as caller:
            began = time.monotonic()
            await caller.begin(TOKEN)
            assert time.monotonic() - began >= ANSWER_GRID
            body = caller.confirm_body()
            began = time.monotonic()
            await caller.confirm(body)
            assert time.monotonic() - began >= ANSWER_GRID


class TestFloods:
    async def test_hellos_with_a_token_are_put_off(self, place: Door) -> None:
        async with place.open() as door, Caller(door) as caller:
            statuses = [await caller.begin(TOKEN) for _ in range(EXCHANGES_PER_ADDRESS + 2)]
            assert statuses == [200] * EXCHANGES_PER_ADDRESS + [503, 503]
            assert caller.headers["Retry-After"] == "1"
            assert door.waiting_room.exchange_count <= MAX_EXCHANGES_PER_ADDRESS
            async with Caller(door, "127.0.0.3") as honest:
                assert (await honest.enrol(TOKEN)).state is VerdictState.ADMITTED

    async def test_hellos_without_one_take_bounded_memory(self, place: Door) -> None:
        async with place.open() as door, Caller(door) as caller:
            for _ in range(50):
                caller.random = secrets.token_bytes(32)
                assert (await caller.post(ENROLMENT_PATH, caller.hello()))[0] == 200
            assert door.waiting_room.exchange_count == MAX_EXCHANGES_PER_ADDRESS

    async def test_applicants_of_one_address_are_put_off(self, place: Door) -> None:
        async with place.open(token=None) as door:
            for _ in range(MAX_PENDING_PER_ADDRESS):
                async with Caller(door) as caller:
                    await caller.enrol()
            async with Caller(door) as caller:
                assert await caller.begin() == 200
                status, _answer = await caller.post(confirm_path(caller.identity.receiver_id), caller.confirm_body())
            assert status == 503


class TestSecrets:
    async def test_nothing_secret_is_in_an_answer_a_log_or_an_event(
        self, place: Door, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        async with place.open() as door:
            async with Caller(door) as caller, Caller(door) as wrong, Caller(door) as waiting:
                await caller.enrol(TOKEN)
                await wrong.enrol("another token in four words")
                await waiting.enrol()
                await waiting.post("/", b"")
                await waiting.post(ENROLMENT_PATH, b"{}")
                heard = bytes(caller.heard + wrong.heard + waiting.heard)
            told = f"{place.events!r} {door!r} {door.waiting_room.pending!r} {caplog.text}".encode()
        image = place.key_store.image
        assert image is not None
        canaries = [
            TOKEN.encode(),
            normalized_token(TOKEN).encode(),
            hashlib.sha256(normalized_token(TOKEN).encode()).digest(),
            PASSWORD.encode(),
            b"canary-user",
            b"PRIVATE KEY",
            seed_of(place.key_store.director),
            seed_of(image),
            private_value(place.key_store),
        ]
        for canary in canaries:
            for form in (canary, canary.hex().encode(), base64.b64encode(canary), repr(canary).encode()):
                assert form not in heard
                assert form not in told

    async def test_a_signature_of_the_director_orders_nothing(self, place: Door) -> None:
        """Whoever enrols gets signatures of the director; none of them is one under a ticket."""
        async with place.open() as door, Caller(door) as caller:
            verdict = await caller.enrol(TOKEN)
        keys = caller.identity.keys
        admitted = keys.identity_key + keys.sealing_key + keys.boot_nonce
        director = place.key_store.director
        assert verdict.admission == director.sign(Purpose.ADMISSION, admitted)
        assert verdict.admission != director.sign(Purpose.TICKET, admitted)


def seed_of(key: SigningKey) -> bytes:
    return key.private_key.private_bytes_raw()


def private_value(key_store: KeyStore) -> bytes:
    """The secret number of the authority."""
    key = load_pem_private_key(key_store.authority.private_key, None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return key.private_numbers().private_value.to_bytes(32, "big")
