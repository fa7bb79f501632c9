"""Puts the routes of all resources together into one application, to be mounted at /api/v1."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from dashboards.access.access import Access
from dashboards.access.guards import CSRF_HEADER
from dashboards.api.accounts import accounts_router
from dashboards.api.audit import audit_router
from dashboards.api.captures import captures_router
from dashboards.api.errors import add_error_answers
from dashboards.api.events import events_router
from dashboards.api.fleet import fleet_router
from dashboards.api.health import health_router
from dashboards.api.history import history_router
from dashboards.api.images import images_router
from dashboards.api.jobs import jobs_router
from dashboards.api.receivers import receivers_router
from dashboards.api.reports import reports_router
from dashboards.api.roles import api_routes, role_of
from dashboards.api.rooms import rooms_router
from dashboards.api.sessions import sessions_router
from dashboards.api.shapes import REFUSED, components
from dashboards.api.tokens import tokens_router
from dashboards.api.work import Work
from dashboards.desk import Desk

API_ROOT: Final = "/api/v1"
"""Where the console mounts it."""

_DESCRIPTION: Final = f"""Everything that an operator can do.

Send `Authorization: Bearer TOKEN`, or the cookie of a login; with the cookie, what changes something needs the header
`{CSRF_HEADER}` and comes from a page of the console. Refusals are problem details (RFC 9457) whose `detail` says what
to do.
"""


def create_api(desk: Desk, access: Access, work: Work | None = None) -> FastAPI:
    """The API over ``desk``; ``work`` is closed by whoever made it. ``Guard`` has to stand before it."""
    work = work or Work()
    api = FastAPI(
        title="slatecast console",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        responses=REFUSED,
        servers=[{"url": API_ROOT}],
        root_path_in_servers=False,
        redirect_slashes=False,
    )
    api.state.routers = (
        fleet_router(desk),
        events_router(desk),
        rooms_router(desk),
        sessions_router(desk),
        reports_router(desk),
        images_router(desk, work),
        captures_router(desk),
        jobs_router(work),
        receivers_router(desk),
        history_router(desk),
        audit_router(desk),
        health_router(desk),
        accounts_router(access),
        tokens_router(access),
    )
    for router in api.state.routers:
        api.include_router(router)
    add_error_answers(api)
    api.openapi = lambda: _description(api)  # type: ignore[method-assign] # FastAPI's own way to extend it
    return api


def _description(api: FastAPI) -> dict[str, Any]:
    if api.openapi_schema is None:
        schema = get_openapi(
            title=api.title,
            version=api.version,
            description=api.description,
            routes=api.routes,
            servers=api.servers,
        )
        parts = schema.setdefault("components", {})
        parts["schemas"] = {**parts.get("schemas", {}), **components()}
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"token": []}]
        for route in api_routes(api):
            for method in route.methods or ():
                operation = schema["paths"][route.path_format][method.lower()]
                operation["x-role"] = role_of(route).name.lower()
        api.openapi_schema = schema
    return api.openapi_schema
