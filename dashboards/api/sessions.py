"""Sessions: plan, start, stop, pause, and what can be done with one seat."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field

from dashboards.api.bounds import Body, Machines, OptionalText, Rate, ReceiverIdPath, SeatCount, Text, Tsi, Version
from dashboards.api.errors import UnknownError
from dashboards.api.roles import Operator, Viewer
from dashboards.api.shapes import Encoded, answers
from dashboards.desk import Desk
from dashboards.fleet.views import SessionView
from dashboards.plan_order import PlanOrder
from protocol.errors import RefusedError
from protocol.fields import MAX_SEATS


class PlanBody(Body):
    """What to plan."""

    room: Text
    image: Text
    version: Version = 0
    """0 for the newest"""
    rate_bits_per_second: Rate = 0
    """0 for the configured one"""
    seats: Annotated[tuple[Text, ...], Field(max_length=MAX_SEATS)] = ()
    """names of those that are meant; left out for the whole room"""
    configuration: OptionalText | None = None
    """what is done to each disk once it is verified; empty for nothing, left out for what the room says"""
    backs_up: bool | None = None
    """capture every disk before it is overwritten; left out for what the room says"""


class StartOrder(Body):
    """What whoever starts a plan has typed, to show that it is meant."""

    typed_room: Text
    typed_count: SeatCount
    """number of the seats that will be overwritten"""


class RetryOrder(Body):
    """Which seats are tried again."""

    machines: Machines


class Planned(Body):
    """The plan that was opened."""

    tsi: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


class AftercareStep(Body):
    """How one step ended, or that it did not."""

    name: str
    is_done: bool
    text: str


class SeatAftercare(Body):
    """What was done to the disk of one seat once it was verified."""

    machine: str
    seat: str
    steps: list[AftercareStep]
    error: str
    """of the first step that failed; empty where none did"""
    booted_at: float | None
    """seconds since 1970, when its disk said that it had started"""


class Aftercare(Body):
    """What was done to the disks of a session."""

    seats: list[SeatAftercare]


def sessions_router(desk: Desk) -> APIRouter:
    """Routes under /sessions."""
    router = APIRouter(prefix="/sessions", tags=["sessions"])

    def known(tsi: str) -> SessionView:
        session = desk.session(tsi)
        if session is None:
            raise UnknownError("there is no such session: it may be in the history")
        return session

    @router.get(
        "",
        summary="Sessions that are open or have just ended, the newest first",
        **answers(SessionView, "the sessions", is_list=True),
    )
    async def show_sessions(user: Viewer) -> Encoded:
        return Encoded(desk.fleet().sessions)

    @router.post("", status_code=201, summary="Plan a session: seats look at their disks, and nothing is written")
    async def plan(user: Operator, body: PlanBody) -> Planned:
        return Planned(tsi=await desk.plan(user, PlanOrder(**body.model_dump())))

    @router.get("/{tsi}", summary="One session with every seat", **answers(SessionView, "the session"))
    async def show_session(user: Viewer, tsi: Tsi) -> Encoded:
        return Encoded(known(tsi))

    @router.get("/{tsi}/aftercare", summary="What was done to the disks once they were verified")
    async def show_aftercare(user: Viewer, tsi: Tsi) -> Aftercare:
        try:
            return Aftercare.model_validate(await desk.aftercare(user, tsi))
        except RefusedError as error:
            if desk.session(tsi) is None:
                raise UnknownError(str(error)) from error
            raise

    @router.post("/{tsi}/start", status_code=204, summary="Start a plan: the disks of its seats are overwritten")
    async def start(user: Operator, tsi: Tsi, body: StartOrder) -> None:
        known(tsi)
        await desk.start(user, tsi, body.typed_room, body.typed_count)

    @router.post("/{tsi}/stop", status_code=204, summary="End a session, or drop a plan")
    async def stop(user: Operator, tsi: Tsi) -> None:
        known(tsi)
        await desk.stop(user, tsi)

    @router.post("/{tsi}/pause", status_code=204, summary="Send nothing until it is continued")
    async def pause(user: Operator, tsi: Tsi) -> None:
        known(tsi)
        await desk.pause(user, tsi)

    @router.post("/{tsi}/resume", status_code=204, summary="Go on with a paused session")
    async def resume(user: Operator, tsi: Tsi) -> None:
        known(tsi)
        await desk.resume(user, tsi)

    @router.post("/{tsi}/retry", status_code=201, summary="Plan again for seats that did not finish")
    async def retry(user: Operator, tsi: Tsi, body: RetryOrder) -> Planned:
        known(tsi)
        return Planned(tsi=await desk.retry(user, tsi, tuple(body.machines)))

    @router.post(
        "/{tsi}/seats/{receiver_id}/catch-up",
        status_code=204,
        summary="Let one seat fetch by itself what it misses",
    )
    async def move_to_catch_up(user: Operator, tsi: Tsi, receiver_id: ReceiverIdPath) -> None:
        known(tsi)
        await desk.move_to_catch_up(user, tsi, receiver_id)

    @router.post("/{tsi}/seats/{receiver_id}/dismiss", status_code=204, summary="Stop one seat")
    async def dismiss(user: Operator, tsi: Tsi, receiver_id: ReceiverIdPath) -> None:
        known(tsi)
        await desk.dismiss(user, tsi, receiver_id)

    return router
