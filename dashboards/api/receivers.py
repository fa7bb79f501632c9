"""Receivers: those that wait to be let in, and those that have no seat in any room."""

from fastapi import APIRouter

from dashboards.api.bounds import Body, ReceiverIds
from dashboards.api.roles import Operator, Viewer
from dashboards.api.shapes import Encoded, Strangers, answers
from dashboards.desk import Desk


class ReceiverChoice(Body):
    """Which receivers."""

    receiver_ids: ReceiverIds


def receivers_router(desk: Desk) -> APIRouter:
    """Routes under /receivers."""
    router = APIRouter(prefix="/receivers", tags=["receivers"])

    @router.get("", summary="Applicants, and receivers without a seat", **answers(Strangers, "both lists"))
    async def show_receivers(user: Viewer) -> Encoded:
        fleet = desk.fleet()
        return Encoded(Strangers(applicants=fleet.applicants, tray=fleet.tray))

    @router.post("/admit", status_code=204, summary="Let applicants in")
    async def admit(user: Operator, body: ReceiverChoice) -> None:
        await desk.admit(user, tuple(body.receiver_ids))

    @router.post("/refuse", status_code=204, summary="Send applicants away")
    async def refuse(user: Operator, body: ReceiverChoice) -> None:
        await desk.refuse(user, tuple(body.receiver_ids))

    return router
