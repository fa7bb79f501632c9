"""Sessions over the API."""

import pytest

from dashboards.fleet.views import SeatState
from dashboards.user import Role
from tests.dashboards.access.console import PlayedConsole
from tests.dashboards.api.conftest import Call

pytestmark = pytest.mark.asyncio


async def planned(call: Call) -> str:
    answer = await call("POST", "/sessions", Role.OPERATOR, json={"room": "Room 1", "image": "lab-ubuntu"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["tsi"])


async def started(call: Call, console: PlayedConsole) -> str:
    tsi = await planned(call)
    console.desk.advance(10)
    session = console.desk.session(tsi)
    assert session is not None
    ready = sum(seat.state is SeatState.PLANNED for seat in session.seats)
    answer = await call("POST", f"/sessions/{tsi}/start", json={"typed_room": "Room 1", "typed_count": ready})
    assert answer.status_code == 204, answer.text
    console.desk.advance(12)
    return tsi


async def test_from_plan_to_end(call: Call, console: PlayedConsole) -> None:
    tsi = await started(call, console)
    assert (await call("GET", "/sessions", Role.VIEWER)).json()[0]["tsi"] == tsi
    assert (await call("POST", f"/sessions/{tsi}/pause")).status_code == 204
    assert (await call("GET", f"/sessions/{tsi}")).json()["step"] == "paused"
    again = await call("POST", f"/sessions/{tsi}/pause")
    assert (again.status_code, bool(again.json()["detail"])) == (409, True)
    assert (await call("POST", f"/sessions/{tsi}/resume")).status_code == 204
    assert (await call("POST", f"/sessions/{tsi}/stop")).status_code == 204
    assert (await call("GET", f"/sessions/{tsi}")).json()["step"] == "ended"


async def test_typing_something_else_starts_nothing(call: Call, console: PlayedConsole) -> None:
    tsi = await planned(call)
    console.desk.advance(10)
    for typed in ({"typed_room": "Room 2", "typed_count": 1}, {"typed_room": "Room 1", "typed_count": 0}):
        answer = await call("POST", f"/sessions/{tsi}/start", json=typed)
        assert answer.status_code == 409
    assert (await call("GET", f"/sessions/{tsi}")).json()["step"] == "planned"


async def test_two_operators_and_the_same_seats(call: Call) -> None:
    await planned(call)
    answer = await call("POST", "/sessions", json={"room": "Room 1", "image": "lab-ubuntu"})
    assert answer.status_code == 409
    assert answer.json()["detail"]


async def test_single_seats(call: Call, console: PlayedConsole) -> None:
    tsi = await started(call, console)
    session = console.desk.session(tsi)
    assert session is not None
    one, two = [seat for seat in session.seats if seat.state is SeatState.RECEIVING][:2]
    assert (await call("POST", f"/sessions/{tsi}/seats/{one.receiver_id}/catch-up")).status_code == 204
    assert (await call("POST", f"/sessions/{tsi}/seats/{two.receiver_id}/dismiss")).status_code == 204
    assert console.desk.played.sessions[tsi].dismissed == {two.machine}
    assert (await call("POST", f"/sessions/{tsi}/seats/{'0' * 32}/dismiss")).status_code == 409
    await call("POST", f"/sessions/{tsi}/stop")
    console.desk.advance(3)
    answer = await call("POST", f"/sessions/{tsi}/retry", json={"machines": [two.machine]})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("verb", ["stop", "pause", "resume"])
async def test_unknown(call: Call, verb: str) -> None:
    assert (await call("POST", f"/sessions/{'0' * 16}/{verb}")).status_code == 404
    assert (await call("GET", f"/sessions/{'0' * 16}")).status_code == 404
    assert (await call("GET", "/sessions/xyz")).status_code == 422


async def test_what_was_done_to_the_disks(call: Call, console: PlayedConsole) -> None:
    tsi = await started(call, console)
    assert (await call("GET", f"/sessions/{tsi}/aftercare", Role.VIEWER)).status_code == 409
    assert (await call("POST", f"/sessions/{tsi}/stop")).status_code == 204
    answer = await call("GET", f"/sessions/{tsi}/aftercare", Role.VIEWER)
    assert answer.status_code == 200
    assert answer.json()["seats"][0]["steps"][2] == {"name": "hostname", "is_done": True, "text": "is named"}
    assert (await call("GET", f"/sessions/{'f' * 16}/aftercare", Role.VIEWER)).status_code == 404
