"""Jobs: how far imports and checks of images are."""

from typing import Annotated

from fastapi import APIRouter, Path

from dashboards.api.errors import UnknownError
from dashboards.api.roles import Operator
from dashboards.api.shapes import Encoded, answers
from dashboards.api.work import Job, Work

JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


def jobs_router(work: Work) -> APIRouter:
    """Routes under /jobs."""
    router = APIRouter(prefix="/jobs", tags=["jobs"])

    @router.get(
        "", summary="All jobs of this run of the console, the newest first", **answers(Job, "the jobs", is_list=True)
    )
    async def show_jobs(user: Operator) -> Encoded:
        return Encoded(work.all())

    @router.get("/{job_id}", summary="One job", **answers(Job, "the job"))
    async def show_job(user: Operator, job_id: JobId) -> Encoded:
        job = work.get(job_id)
        if job is None:
            raise UnknownError("there is no such job: the console may have been started again since")
        return Encoded(job)

    return router
