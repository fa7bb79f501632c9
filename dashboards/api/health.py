"""Whether broker, broadcaster and network can be believed; and for machines, whether this console does its work."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from dashboards.api.roles import Viewer
from dashboards.api.shapes import Encoded, answers
from dashboards.desk import Desk
from dashboards.fleet.views import Health


def health_router(desk: Desk) -> APIRouter:
    """Routes under /health."""
    router = APIRouter(prefix="/health", tags=["health"])

    @router.get("", summary="What is well and what is to be mended", **answers(Health, "the health of all parts"))
    async def show_health(user: Viewer) -> Encoded:
        return Encoded(desk.fleet().health)

    return router


def healthz_router(desk: Desk) -> APIRouter:
    """Route /healthz, without login, so it says one word: 200 ``ok``, or 503 ``degraded`` when nobody is heard."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def show_liveness() -> JSONResponse:
        health = desk.fleet().health
        is_well = health.is_broker_connected and health.is_broadcaster_heard
        return JSONResponse({"status": "ok" if is_well else "degraded"}, 200 if is_well else 503)

    return router
