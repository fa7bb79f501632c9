"""The report of a session: as JSON to keep, and as a page to print."""

import json
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dashboards.access.page_nonce import NONCE_KEY
from dashboards.api.bounds import Tsi
from dashboards.api.errors import UnknownError
from dashboards.api.roles import Viewer
from dashboards.desk import Desk
from dashboards.pages.quantities import bytes_in_words, duration_in_words, loss_in_words, rate_in_words
from dashboards.user import User
from protocol.errors import RefusedError
from protocol.fields import printable

_templates: Final[Environment] = ImmutableSandboxedEnvironment(
    loader=PackageLoader("dashboards.api"), autoescape=select_autoescape(default=True), trim_blocks=True
)
_templates.filters |= {
    "bytes": lambda value: bytes_in_words(_number(value)),
    "duration": lambda value: duration_in_words(_number(value)),
    "loss": lambda value: loss_in_words(_number(value)),
    "rate": lambda value: rate_in_words(_number(value)),
    "shown": lambda value: printable(str(value)),
}


def reports_router(desk: Desk) -> APIRouter:
    """Routes /sessions/{tsi}/report.json and .../report.html; for the API, and for the pages at the root."""
    router = APIRouter(prefix="/sessions", tags=["sessions"])

    async def fetched(user: User, tsi: str) -> dict[str, Any]:
        try:
            return await desk.report(user, tsi)
        except RefusedError as error:
            if desk.session(tsi) is None:
                raise UnknownError(str(error)) from error
            raise

    @router.get(
        "/{tsi}/report.json",
        summary="The signed report of a session that has ended, to keep",
        response_class=Response,
        responses={200: {"description": "the report", "content": {"application/json": {"schema": {"type": "object"}}}}},
    )
    async def download_report(user: Viewer, tsi: Tsi) -> Response:
        return Response(
            json.dumps(await fetched(user, tsi), indent=2, ensure_ascii=False).encode("utf-8", "replace"),
            media_type="application/json",
            headers={"content-disposition": f'attachment; filename="slatecast-{tsi}.json"'},
        )

    @router.get("/{tsi}/report.html", summary="The same as a page to print", response_class=HTMLResponse)
    async def print_report(user: Viewer, tsi: Tsi, request: Request) -> HTMLResponse:
        report = await fetched(user, tsi)
        text = _templates.get_template("report.html").render(
            report=report, seats=_seats(report), nonce=request.scope.get(NONCE_KEY, "")
        )
        return HTMLResponse(text.encode("utf-8", "replace"))

    return router


def _seats(report: dict[str, Any]) -> list[dict[str, Any]]:
    seats = report.get("seats")
    return [seat for seat in seats if isinstance(seat, dict)] if isinstance(seats, list) else []


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
