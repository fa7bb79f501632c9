import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from broadcaster.authority import Authority
from broadcaster.seat_api import api as module
from broadcaster.seat_api.api import MAX_LARGE_BODIES, MAX_REQUESTS_PER_RECEIVER
from broadcaster.seat_api.routes import ROUTES
from protocol.capture import CaptureFailure, CaptureProgress, CaptureState, CaptureStep, CaptureWish, decode_lacking
from protocol.errors import ConfigError, LibraryError, MessageError, RefusedError
from protocol.link.tls import pinned_context
from protocol.seat_api import RestoreAnswer, RestoreWish, Work
from receiver.identity import ReceiverIdentity
from tests import sample_trust
from tests.broadcaster.seat_api.served import CAPTURE_ID, TSI, Served, until
from tests.broadcaster.seat_api.test_routes import EXAMPLES, example

pytestmark = [pytest.mark.asyncio, pytest.mark.system]

WISH = msgspec.json.encode(CaptureWish(image="windows", machine="pc", target="disk", disk_size=5))
PROGRESS = msgspec.json.encode(CaptureProgress(done=0.5, read_bytes=2, sent_bytes=1))
FAILURE = msgspec.json.encode(CaptureFailure(is_refused=True, reason="no"))
MINE = f"/v1/captures/{CAPTURE_ID}"


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    (tmp_path / "file").write_bytes(b"driver" * 100_000)
    one = Served(tmp_path)
    async with one.api:
        yield one


async def test_work_is_what_the_collaborators_say(served: Served) -> None:
    status, body = await served.ask("GET", "/v1/work")
    work = msgspec.json.decode(body, type=Work)
    assert (status, work.room, work.notice, work.restore) == (200, "room", "hello", served.restores.offered)
    assert work.seat == ("seat" * 30)[:64]
    assert work.capture is not None
    assert work.capture.capture_id == CAPTURE_ID
    other = msgspec.json.decode((await served.ask("GET", "/v1/work", tls=served.tls(ReceiverIdentity.draw())))[1])
    assert other["capture"] is None


async def test_a_restore_is_wished_for(served: Served) -> None:
    for version, answer in ((3, RestoreAnswer(tsi=TSI)), (2, RestoreAnswer(tsi="", refusal="look again"))):
        wish = msgspec.json.encode(RestoreWish(image="windows", version=version))
        status, body = await served.ask("POST", "/v1/restores", wish)
        assert (status, msgspec.json.decode(body, type=RestoreAnswer)) == (200, answer)


async def test_a_configuration_its_files_and_its_steps(served: Served, tmp_path: Path) -> None:
    files = f"/v1/sessions/{TSI}/files"
    assert await served.ask("GET", f"/v1/sessions/{TSI}/configuration") == (200, b"{}")
    assert await served.ask("GET", f"{files}/{'01' * 32}") == (200, b"driver" * 100_000)
    assert await served.ask("POST", f"/v1/sessions/{TSI}/steps", b"[]") == (204, b"")
    assert served.configurations.steps == [b"[]"]
    for path in (f"/v1/sessions/{'0' * 16}/configuration", f"{files}/{'02' * 32}"):
        assert (await served.ask("GET", path))[0] == 404
    (tmp_path / "file").unlink()
    assert (await served.ask("GET", f"{files}/{'01' * 32}"))[0] == 409


async def test_a_capture_is_handed_on_piece_by_piece(served: Served) -> None:
    state = CaptureState(capture_id=CAPTURE_ID, step=CaptureStep.RUNNING, image="windows")
    for method, path, body in (
        ("POST", "/v1/captures", WISH),
        ("GET", MINE, None),
        ("POST", f"{MINE}/chunks", b"chunk" * 100_000),
        ("POST", f"{MINE}/disk", b"disk" * 100_000),
        ("POST", f"{MINE}/progress", PROGRESS),
        ("POST", f"{MINE}/failure", FAILURE),
    ):
        status, answer = await served.ask(method, path, body)
        assert (status, msgspec.json.decode(answer, type=CaptureState)) == (200, state), path
    digests = [bytes(32), b"\1" * 32, bytes(32)]
    status, answer = await served.ask("POST", f"{MINE}/lacking", b"".join(digests))
    assert (status, decode_lacking(answer, 3)) == (200, [True, False, True])
    assert [what for what, _ in served.captures.asked] == ["wish", "chunks", "disk", "progress", "failure", "lacking"]
    assert [asked for what, asked in served.captures.asked if what in {"chunks", "disk", "lacking"}] == [
        b"chunk" * 100_000,
        b"disk" * 100_000,
        digests,
    ]


async def test_another_receivers_capture_does_not_exist(served: Served) -> None:
    tls = served.tls(ReceiverIdentity.draw())
    bodies = {"": None, "lacking": bytes(32), "chunks": b"", "disk": b"", "progress": PROGRESS, "failure": FAILURE}
    for what, body in bodies.items():
        path = f"{MINE}/{what}" if what else MINE
        assert (await served.ask("POST" if what else "GET", path, body, tls=tls))[0] == 404


async def test_only_admitted_receivers_get_beyond_the_handshake(served: Served) -> None:
    authority = sample_trust.authority()
    strangers = [pinned_context(authority.certificate, None), served.tls(authority=Authority.create())]
    for tls in strangers:
        with pytest.raises((aiohttp.ClientError, OSError)):
            await served.ask("GET", "/v1/work", tls=tls)
    for role in ("broadcaster", "console"):
        tls = pinned_context(authority.certificate, authority.role_identity(role))
        status, body = await served.ask("GET", "/v1/work", tls=tls)
        assert (status, body) == (403, b"only receivers that were admitted may ask\n")
    with pytest.raises((aiohttp.ClientError, OSError)):
        await served.ask("GET", "/v1/work", tls=pinned_context(authority.certificate, authority.server_identity()))
    assert served.captures.asked == []


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_no_other_method_and_no_longer_body_is_taken(served: Served, route: Any) -> None:
    path = example(route.template).replace(EXAMPLES["{id}"], CAPTURE_ID)
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"} - {route.method}:
        assert (await served.ask(method, path))[0] == 405
    if route.longest:
        async with served.session() as session:
            headers = {"Content-Length": str(route.longest + 1)}
            try:
                async with session.request(route.method, path, data=b"x" * 64, headers=headers) as response:
                    assert response.status == 400
            except aiohttp.ClientError:
                pass  # cut off in the middle of a body that nobody reads
    assert served.captures.asked == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 60_001, b'{"image":"a","more":1}'])
async def test_what_is_no_message_is_refused(served: Served, body: bytes) -> None:
    for path in ("/v1/captures", "/v1/restores", f"{MINE}/progress", f"{MINE}/failure", f"{MINE}/lacking"):
        status, said = await served.ask("POST", path, body)
        assert status == 400, path
        assert said.count(b"\n") == 1
    assert served.captures.asked == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MessageError("no\x1b[2J"), 400),
        (ConfigError("no name"), 400),
        (RefusedError("not now"), 409),
        (LibraryError("the library is full"), 507),
    ],
    ids=str,
)
async def test_an_error_is_one_line(served: Served, error: Exception, status: int) -> None:
    served.captures.error = error
    answered, said = await served.ask("POST", f"{MINE}/chunks", b"x")
    assert (answered, said) == (status, f"{error}\n".encode())
    assert b"\x1b" not in said


async def test_a_fault_of_ours_is_logged_and_not_told(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    served.captures.error = ZeroDivisionError("secret")
    status, said = await served.ask("POST", f"{MINE}/chunks", b"x")
    assert (status, b"secret" in said) == (500, False)
    assert "could not be served" in caplog.text


async def test_one_receiver_cannot_take_all_places(served: Served) -> None:
    served.captures.goes_on.clear()
    async with served.session() as session:

        async def ask() -> int:
            async with session.post(f"{MINE}/progress", data=PROGRESS) as response:
                return response.status

        asking = [asyncio.create_task(ask()) for _ in range(MAX_REQUESTS_PER_RECEIVER)]
        await until(lambda: served.captures.waiting >= MAX_REQUESTS_PER_RECEIVER)
        assert await ask() == 503
        assert (await served.ask("GET", "/v1/work", tls=served.tls(ReceiverIdentity.draw())))[0] == 200
        served.captures.goes_on.set()
        assert await asyncio.gather(*asking) == [200] * MAX_REQUESTS_PER_RECEIVER
        assert await ask() == 200
    assert served.api.requests_refused == 1


async def test_long_bodies_wait_for_their_place_unread(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE_PATIENCE", 0.2)
    for _ in range(MAX_LARGE_BODIES):
        await served.api._large.acquire()
    assert (await served.ask("POST", f"{MINE}/chunks", b"x"))[0] == 503
    assert (await served.ask("POST", f"{MINE}/progress", PROGRESS))[0] == 200
    monkeypatch.setattr(module, "LARGE_PATIENCE", 20.0)
    asking = asyncio.create_task(served.ask("POST", f"{MINE}/chunks", b"x"))
    await asyncio.sleep(0.1)
    assert not asking.done()
    served.api._large.release()
    assert (await asking)[0] == 200


async def test_a_receiver_that_hangs_up_gives_its_place_back(served: Served) -> None:
    served.captures.goes_on.clear()
    asking = asyncio.create_task(served.ask("POST", f"{MINE}/chunks", b"x"))
    await until(lambda: served.captures.waiting)
    asking.cancel()
    await until(lambda: not served.api._under_way.total())
    assert not served.api._large.locked()
    assert not served.api._under_way
