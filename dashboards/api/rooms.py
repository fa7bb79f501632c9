"""Rooms and seats: look, replace, place a machine, wake, and exchange them as CSV or TOML."""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import Field

from dashboards.api.bounds import Body, OptionalText, Text, Version
from dashboards.api.errors import UnknownError
from dashboards.api.roles import Operator, Viewer
from dashboards.api.sessions import Planned
from dashboards.api.shapes import Encoded, answers
from dashboards.desk import Desk
from dashboards.fleet.views import RoomView
from dashboards.rooms.csv_form import rooms_from_csv, rooms_to_csv, with_policies
from dashboards.rooms.rooms import Rooms, rooms_from, same_name
from dashboards.rooms.rooms_file import rooms_from_toml, rooms_to_toml
from protocol.errors import MessageError, RefusedError
from protocol.operators import ImageNews

_MAX_REVISION: Final = 1 << 31
_SENT_ROOMS: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Rooms"}}},
    }
}
_TEXT: Final = {"schema": {"type": "string", "minLength": 1}}
_SENT_FILE: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"text/csv": _TEXT, "application/toml": _TEXT}}
}

_READ: Final[dict[str, Callable[[bytes, int], Rooms]]] = {
    "text/csv": rooms_from_csv,
    "application/toml": rooms_from_toml,
}

Revision = Annotated[int, Query(ge=0, le=_MAX_REVISION, description="that is to be replaced")]


class FileForm(StrEnum):
    """How rooms are written into a file."""

    CSV = "csv"
    TOML = "toml"


class BootMode(StrEnum):
    """What the environment is booted for."""

    RECEIVE = "receive"
    MENU = "menu"
    CAPTURE = "capture"


class Placement(Body):
    """A machine and its seat."""

    room: Text
    seat: Text
    machine: OptionalText
    """empty clears the seat"""


class RestoreOrder(Body):
    """Which seat gets which of its backups."""

    room: Text
    seat: Text
    version: Version = 0
    """0 for the newest"""


class RoomChoice(Body):
    """One room."""

    room: Text


class BootOrder(Body):
    """Which machines boot what, and for how long the order holds."""

    room: Text
    seconds: Annotated[int, Field(ge=0, le=7 * 86400)] = 3600
    """0 takes the order back"""
    mode: BootMode = BootMode.RECEIVE


class Woken(Body):
    """How many machines were meant."""

    machines: int


def rooms_router(desk: Desk) -> APIRouter:
    """Routes under /rooms."""
    router = APIRouter(prefix="/rooms", tags=["rooms"])

    @router.get("", summary="All rooms as they are saved", **answers(Rooms, "the rooms"))
    async def show_rooms(user: Viewer) -> Encoded:
        return Encoded(desk.rooms())

    @router.put(
        "",
        summary="Replace all rooms; `revision` is the one that was edited",
        openapi_extra=_SENT_ROOMS,
        **answers(Rooms, "the rooms as they are saved now"),
    )
    async def save_rooms(user: Operator, request: Request) -> Encoded:
        try:
            values = msgspec.json.decode(await request.body())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise MessageError("the body is not JSON: send the rooms as they were shown") from None
        return Encoded(await asyncio.to_thread(desk.save_rooms, user, rooms_from(values)))

    @router.get("/view", summary="One room with the state of every seat", **answers(RoomView, "the room"))
    async def show_room(user: Viewer, name: Annotated[Text, Query()]) -> Encoded:
        view = next((room for room in desk.fleet().rooms if same_name(room.name, name)), None)
        if view is None:
            raise UnknownError("there is no such room: look at the list of rooms")
        return Encoded(view)

    @router.post("/place", summary="Put a machine on a seat, or clear it", **answers(Rooms, "the rooms now"))
    async def place(user: Operator, body: Placement) -> Encoded:
        return Encoded(await asyncio.to_thread(desk.place, user, body.room, body.seat, body.machine))

    @router.get(
        "/backups", summary="Backups of a seat, the newest first", **answers(ImageNews, "its backups", is_list=True)
    )
    async def show_backups(user: Viewer, room: Annotated[Text, Query()], seat: Annotated[Text, Query()]) -> Encoded:
        try:
            return Encoded(desk.backups.of(user, room, seat))
        except RefusedError as error:
            raise UnknownError(str(error)) from error

    @router.post(
        "/restore", status_code=201, summary="Plan to put a backup back on the disk of its seat; nothing is written"
    )
    async def restore(user: Operator, body: RestoreOrder) -> Planned:
        return Planned(tsi=await desk.backups.restore(user, body.room, body.seat, body.version))

    @router.post("/wake", summary="Wake the machines of a room")
    async def wake(user: Operator, body: RoomChoice) -> Woken:
        return Woken(machines=await desk.wake(user, body.room))

    @router.post("/boot", summary="Let the machines of a room boot the environment when they start next")
    async def boot(user: Operator, body: BootOrder) -> Woken:
        return Woken(machines=await desk.boot(user, body.room, body.seconds, body.mode.value))

    @router.get(
        "/export",
        summary="All rooms as a file",
        response_class=Response,
        responses={200: {"description": "the file", "content": {"text/csv": _TEXT, "application/toml": _TEXT}}},
    )
    async def export_rooms(user: Viewer, form: FileForm = FileForm.CSV) -> Response:
        rooms = desk.rooms()
        is_csv = form is FileForm.CSV
        return Response(
            rooms_to_csv(rooms) if is_csv else rooms_to_toml(rooms),
            media_type="text/csv; charset=utf-8" if is_csv else "application/toml",
            headers={"content-disposition": f'attachment; filename="rooms.{form.value}"'},
        )

    @router.post(
        "/import",
        summary="Replace all rooms by those of a file",
        openapi_extra=_SENT_FILE,
        **answers(Rooms, "the rooms as they are saved now"),
    )
    async def import_rooms(user: Operator, request: Request, revision: Revision) -> Encoded:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        read = _READ.get(kind)
        if read is None:
            raise MessageError("send the file as text/csv or application/toml, and say which in Content-Type")
        rooms = read(await request.body(), revision)
        if read is rooms_from_csv:
            rooms = with_policies(rooms, desk.rooms())
        return Encoded(await asyncio.to_thread(desk.save_rooms, user, rooms))

    return router
