"""Captures: disks on their way into the library, and orders for them."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field

from dashboards.api.bounds import Body, Machines, Text
from dashboards.api.roles import Operator, Viewer
from dashboards.api.shapes import Encoded, answers
from dashboards.desk import Desk
from dashboards.fleet.capture_view import CaptureView

CaptureIdPath = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="of the capture, 16 hex digits")]
Codes = Annotated[list[Text], Field(max_length=32)]


class CaptureOrder(Body):
    """Which disk, and what it becomes."""

    machine: Text
    image: Text
    accepts: Codes = Field(default_factory=list)
    """codes of findings that do not refuse it"""


class BackupOrder(Body):
    """Whose disks."""

    machines: Machines


class CaptureDecision(Body):
    """With what it is allowed."""

    accepts: Codes = Field(default_factory=list)
    """codes of findings that do not refuse it"""


class Ordered(Body):
    """What was ordered."""

    capture_ids: list[str]
    """one for each machine"""


class FindingShown(Body):
    """Something on a disk that an operator should know."""

    kind: str
    """warning or refusal"""
    code: str
    where: str
    text: str


def captures_router(desk: Desk) -> APIRouter:
    """Routes under /captures."""
    router = APIRouter(prefix="/captures", tags=["captures"])

    @router.get("", summary="Captures, the oldest first", **answers(CaptureView, "the captures", is_list=True))
    async def show_captures(user: Viewer) -> Encoded:
        return Encoded(desk.captures.shown())

    @router.post("", status_code=202, summary="Let a machine send its disk as the next version of an image")
    async def order_capture(user: Operator, body: CaptureOrder) -> Ordered:
        return Ordered(capture_ids=[await desk.captures.order(user, body.machine, body.image, tuple(body.accepts))])

    @router.post("/backups", status_code=202, summary="Capture disks as backups of their machines")
    async def back_up(user: Operator, body: BackupOrder) -> Ordered:
        return Ordered(capture_ids=await desk.captures.back_up(user, tuple(body.machines)))

    @router.get("/{capture_id}/findings", summary="What was found on the disk")
    async def show_findings(user: Viewer, capture_id: CaptureIdPath) -> list[FindingShown]:
        return [FindingShown.model_validate(each) for each in await desk.captures.findings(user, capture_id)]

    @router.post("/{capture_id}/allow", status_code=204, summary="Allow what somebody asked for at a machine")
    async def allow(user: Operator, capture_id: CaptureIdPath, body: CaptureDecision) -> None:
        await desk.captures.decide(user, capture_id, is_allowed=True, accepts=tuple(body.accepts))

    @router.post("/{capture_id}/refuse", status_code=204, summary="Refuse what somebody asked for at a machine")
    async def refuse_capture(user: Operator, capture_id: CaptureIdPath) -> None:
        await desk.captures.decide(user, capture_id, is_allowed=False)

    @router.post("/{capture_id}/stop", status_code=204, summary="End a capture; what has arrived is forgotten")
    async def stop_capture(user: Operator, capture_id: CaptureIdPath) -> None:
        await desk.captures.stop(user, capture_id)

    return router
