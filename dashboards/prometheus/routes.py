"""The two addresses that Prometheus asks at the console: its metrics, and where the exporters of receivers are.

Who may ask is not judged here: ``dashboards.access`` does, for the paths that its policy names.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client.exposition import choose_encoder

from dashboards.fleet.views import FleetView
from dashboards.prometheus.fleet_metrics import fleet_registry
from dashboards.prometheus.service_discovery import targets

METRICS_PATH: Final = "/metrics"
TARGETS_PATH: Final = "/metrics/targets"


def prometheus_routes(fleet: Callable[[], FleetView]) -> APIRouter:
    """Routes to be included in the console's application; each request looks at ``fleet()`` anew."""
    router = APIRouter(include_in_schema=False)

    @router.get(METRICS_PATH)
    async def metrics(request: Request) -> Response:
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        view = fleet()  # here, where nobody else changes the fleet; a thousand seats take a while to be written down
        content = await asyncio.to_thread(encode, fleet_registry(lambda: view))
        return Response(content, headers={"content-type": media_type, "cache-control": "no-store"})

    @router.get(TARGETS_PATH)
    async def exporters() -> list[dict[str, Any]]:
        return targets(fleet())

    return router
