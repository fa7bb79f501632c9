"""Jobs."""

import asyncio
from typing import Any

import pytest

from dashboards.api.work import MAX_JOBS, MAX_RUNNING, JobState, Work
from dashboards.desk import Progress
from dashboards.user import Role, User
from protocol.errors import RefusedError, TransportError

pytestmark = pytest.mark.asyncio

ADA = User("ada", Role.ADMIN)


async def test_progress_and_result() -> None:
    work = Work(lambda: 5.0)
    told = asyncio.Event()
    go_on = asyncio.Event()

    async def run(progress: Progress) -> dict[str, Any]:
        progress(0.5, "half")
        told.set()
        await go_on.wait()
        progress(7.0, "more than all")
        return {"name": "lab"}

    job = work.begin(ADA, "import", "lab", run)
    await told.wait()
    assert (job.state, job.progress, job.progress_text, job.begun_by) == (JobState.RUNNING, 0.5, "half", "ada")
    go_on.set()
    await asyncio.gather(*work._tasks)
    assert (job.state, job.progress, job.result) == (JobState.DONE, 1.0, {"name": "lab"})
    assert work.get(job.job_id) is job


@pytest.mark.parametrize(
    ("fault", "told"), [(TransportError("nobody answers"), "nobody answers"), (KeyError("secret"), "look at its log")]
)
async def test_faults(fault: Exception, told: str) -> None:
    work = Work()

    async def run(_: Progress) -> dict[str, Any]:
        raise fault

    job = work.begin(ADA, "import", "lab", run)
    await asyncio.gather(*work._tasks)
    assert job.state is JobState.FAILED
    assert told in job.error
    assert "secret" not in job.error


async def test_bounds() -> None:
    work = Work()
    forever = asyncio.Event()

    async def wait(_: Progress) -> dict[str, Any]:
        await forever.wait()
        return {}

    async def finish(_: Progress) -> dict[str, Any]:
        return {}

    running = work.begin(ADA, "verify", "first", wait)
    first = set(work._tasks)
    for _ in range(MAX_JOBS + 5):
        done = work.begin(ADA, "verify", "lab", finish)
        await asyncio.gather(*(work._tasks - first))
    assert len(work.all()) == MAX_JOBS
    assert work.get(running.job_id) is running, "what runs is not forgotten"
    assert work.all()[0] is done
    for _ in range(MAX_RUNNING - 1):
        work.begin(ADA, "verify", "lab", wait)
    with pytest.raises(RefusedError, match="wait until one is done"):
        work.begin(ADA, "verify", "lab", wait)
    await work.close()
    assert running.state is JobState.FAILED
