"""Turns what goes wrong behind a route into problem details with the right status."""

from typing import Final, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from dashboards.access.access import WrongLoginError
from dashboards.access.limits import TooManyTriesError
from dashboards.access.problems import problem
from dashboards.api.roles import api_routes
from protocol.errors import MessageError, RefusedError, SlatecastError, TransportError

MAX_FAULTS: Final = 5
"""of one request, that are told at once"""


class UnknownError(RefusedError):
    """There is no such thing, or not any more."""


_STATUS: Final = (
    (UnknownError, 404),
    (TooManyTriesError, 429),
    (WrongLoginError, 403),
    (MessageError, 422),
    (TransportError, 503),
    (SlatecastError, 409),
)
"""The first that fits."""


def add_error_answers(app: FastAPI) -> None:
    """Let ``app`` answer every error as a problem."""
    app.add_exception_handler(SlatecastError, _answer_refusal)
    app.add_exception_handler(RequestValidationError, _answer_malformed)
    app.add_exception_handler(HTTPException, _answer_http)


async def _answer_refusal(_: Request, error: Exception) -> Response:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    return problem(status, str(error))


async def _answer_malformed(_: Request, error: Exception) -> Response:
    found = cast(RequestValidationError, error).errors()
    faults = [f"{_place(each['loc'])}: {each['msg']}" for each in found[:MAX_FAULTS]]
    more = len(found) - len(faults)
    return problem(422, "; ".join(faults) + (f"; and {more} more" if more > 0 else ""))


async def _answer_http(request: Request, error: Exception) -> Response:
    refusal = cast(HTTPException, error)
    details = {
        400: "the body is not JSON in UTF-8",
        404: "there is nothing at this address",
        405: "this address does not take that method",
    }
    answer = problem(refusal.status_code, details.get(refusal.status_code) or str(refusal.detail))
    for name, value in (refusal.headers or {}).items():
        answer.headers[name] = value
    allowed = _allowed(request) if refusal.status_code == 405 else ()
    if allowed:
        answer.headers["allow"] = ", ".join(sorted(allowed))
    return answer


def _allowed(request: Request) -> set[str]:
    """What the address takes; Starlette names the methods of one route only."""
    return {
        method
        for route in api_routes(request.app)
        if route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }


def _place(location: tuple[int | str, ...]) -> str:
    """Where in a request, for people; what a sender made up is cut."""
    words = [str(each)[:64] for each in location if each != "body"]
    return "".join(letter if letter.isprintable() else "?" for letter in ".".join(words)) or "body"
