"""The picture of the fleet: rooms, seats, receivers without a seat, sessions, images and health in one."""

from fastapi import APIRouter

from dashboards.api.roles import Viewer
from dashboards.api.shapes import Encoded, answers
from dashboards.desk import Desk
from dashboards.fleet.views import FleetView


def fleet_router(desk: Desk) -> APIRouter:
    """Routes under /fleet."""
    router = APIRouter(prefix="/fleet", tags=["fleet"])

    @router.get("", summary="The whole picture as it is now", **answers(FleetView, "the picture"))
    async def show_fleet(user: Viewer) -> Encoded:
        return Encoded(desk.fleet())

    return router
