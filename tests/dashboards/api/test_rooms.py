"""Rooms over the API."""

import json

import msgspec
import pytest

from dashboards.user import Role
from protocol.operators import SessionStep
from tests.dashboards.access.console import PlayedConsole
from tests.dashboards.api.conftest import Call

pytestmark = pytest.mark.asyncio


async def test_replace(call: Call, console: PlayedConsole) -> None:
    shown = (await call("GET", "/rooms", Role.VIEWER)).json()
    shown["rooms"][0]["seats"] = shown["rooms"][0]["seats"][:3]
    saved = await call("PUT", "/rooms", Role.OPERATOR, json=shown)
    assert saved.status_code == 200, saved.text
    assert len(console.desk.rooms().rooms[0].seats) == 3
    assert saved.json() == json.loads(msgspec.json.encode(console.desk.rooms()))
    again = await call("PUT", "/rooms", Role.OPERATOR, json=shown)
    assert (again.status_code, "load them again" in again.json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    "change",
    [
        {"rooms": [{"name": "A", "seats": [{"name": "1", "row": 1, "column": 1}] * 2}]},
        {"rooms": [{"name": "A"}, {"name": "a"}]},
        {"rooms": [{"name": "A\0"}]},
        {"rooms": [{"name": "A", "seats": [{"name": "1", "row": 0, "column": 1}]}]},
        {"rooms": [{"name": "A" * 1_000_000}]},
        {"rooms": "many"},
        {"rooms": [], "other": 1},
    ],
    ids=["seat twice", "room twice", "control", "row", "long", "type", "unknown"],
)
async def test_faults(call: Call, console: PlayedConsole, change: dict[str, object]) -> None:
    before = console.desk.rooms()
    answer = await call("PUT", "/rooms", json={"revision": before.revision, **change})
    assert answer.status_code == 422
    assert len(answer.json()["detail"]) < 500
    assert console.desk.rooms() == before


async def test_place_and_clear(call: Call, console: PlayedConsole) -> None:
    seat = console.desk.rooms().rooms[0].seats[0]
    assert seat.machine
    cleared = await call(
        "POST", "/rooms/place", Role.OPERATOR, json={"room": "Room 1", "seat": seat.name, "machine": ""}
    )
    assert cleared.status_code == 200
    assert console.desk.rooms().rooms[0].seats[0].machine == ""
    answer = await call("POST", "/rooms/place", json={"room": "Room 1", "seat": "no such", "machine": "x"})
    assert (answer.status_code, "choose one of its seats" in answer.json()["detail"]) == (409, True)


async def test_one_room(call: Call) -> None:
    assert (await call("GET", "/rooms/view?name=room 1")).json()["name"] == "Room 1"
    assert (await call("GET", "/rooms/view?name=nowhere")).status_code == 404


async def test_a_seat_is_restored_from_its_backup(call: Call, console: PlayedConsole) -> None:
    played = console.desk.played
    backups = played.back_up("Room 1", "01", 1, 2)
    console.desk.advance(1)
    shown = await call("GET", "/rooms/backups?room=room 1&seat=01", Role.VIEWER)
    assert [(each["name"], each["version"]) for each in shown.json()] == [(backups, 2), (backups, 1)]
    assert {"created", "stored_bytes", "disk_size"} <= set(shown.json()[0])
    assert (await call("GET", "/rooms/backups?room=Room 1&seat=02", Role.VIEWER)).json() == []
    assert (await call("GET", "/rooms/backups?room=Room 1&seat=nowhere", Role.VIEWER)).status_code == 404

    wanted = {"room": "Room 1", "seat": "01", "version": 1}
    assert (await call("POST", "/rooms/restore", Role.VIEWER, json=wanted)).status_code == 403
    strange = await call("POST", "/rooms/restore", Role.OPERATOR, json={**wanted, "version": 7})
    assert (strange.status_code, "choose one of 1, 2" in strange.json()["detail"]) == (409, True)
    assert not played.sessions
    answer = await call("POST", "/rooms/restore", Role.OPERATOR, json=wanted)
    assert answer.status_code == 201, answer.text
    plan = played.sessions[answer.json()["tsi"]]
    assert (plan.image, plan.version, [seat.seat for seat in plan.seats]) == (backups, 1, ["01"])
    assert (plan.step, plan.backs_up) == (SessionStep.PLANNED, False)


async def test_wake(call: Call, console: PlayedConsole) -> None:
    assert (await call("POST", "/rooms/wake", json={"room": "Room 1"})).json() == {"machines": len(console.desk.woken)}
    assert console.desk.woken


async def test_booting_needs_somebody_who_hands_out_the_environment(call: Call, console: PlayedConsole) -> None:
    order = {"room": "Room 1", "seconds": 60}
    assert (await call("POST", "/rooms/boot", Role.OPERATOR, json=order)).json() == {"machines": 24}
    console.desk.played.can_boot = False
    console.desk.advance(1)
    refused = await call("POST", "/rooms/boot", Role.OPERATOR, json=order)
    assert (refused.status_code, "[boot] enabled" in refused.json()["detail"]) == (409, True)
    back = await call("POST", "/rooms/boot", Role.OPERATOR, json={**order, "seconds": 0})
    assert back.status_code == 200


@pytest.mark.parametrize(("form", "kind"), [("csv", "text/csv"), ("toml", "application/toml")])
async def test_out_and_in(call: Call, console: PlayedConsole, form: str, kind: str) -> None:
    before = console.desk.rooms()
    file = await call("GET", f"/rooms/export?form={form}", Role.VIEWER)
    assert file.headers["content-type"].startswith(kind)
    assert file.headers["content-disposition"] == f'attachment; filename="rooms.{form}"'
    path = f"/rooms/import?revision={before.revision}"
    headers = {"content-type": f"{kind}; charset=utf-8"}
    answer = await call("POST", path, Role.OPERATOR, content=file.content, headers=headers)
    assert answer.status_code == 200, answer.text
    assert console.desk.rooms().rooms == before.rooms
    stale = await call("POST", path, content=file.content, headers=headers)
    assert stale.status_code == 409


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("text/csv", b"room,seat,row,column\nA,1,1,1\nA,1,1,2\n"),
        ("text/csv", b"\xff\xfe"),
        ("text/csv", b""),
        ("application/toml", b"rooms = ["),
        ("application/toml", b"\0"),
        ("application/json", b"{}"),
        ("", b"room,seat,row,column\nA,1,1,1\n"),
    ],
)
async def test_files_with_faults(call: Call, console: PlayedConsole, kind: str, content: bytes) -> None:
    before = console.desk.rooms()
    answer = await call("POST", "/rooms/import?revision=0", content=content, headers={"content-type": kind})
    assert answer.status_code == 422
    assert console.desk.rooms() == before
