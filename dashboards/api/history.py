"""Sessions that have ended, from the history."""

from typing import Annotated

from fastapi import APIRouter, Query

from dashboards.api.bounds import OptionalText
from dashboards.api.roles import Viewer
from dashboards.api.shapes import Encoded, answers
from dashboards.desk import Desk
from dashboards.history.records import PastSession

Limit = Annotated[int, Query(ge=1, le=1000)]
Before = Annotated[float | None, Query(ge=0, le=1e11, description="seconds since 1970: for the page after this one")]


def history_router(desk: Desk) -> APIRouter:
    """Routes under /history."""
    router = APIRouter(prefix="/history", tags=["history"])

    # Not async, so that it waits for the disk in a thread and holds nobody else up.

    @router.get(
        "", summary="Sessions that have ended, the newest first", **answers(PastSession, "the sessions", is_list=True)
    )
    def show_history(
        user: Viewer, room: Annotated[OptionalText, Query()] = "", limit: Limit = 100, before: Before = None
    ) -> Encoded:
        return Encoded(desk.history(user, room=room, limit=limit, before=before))

    return router
