"""Work that takes time, as jobs with progress: begun by one request, looked at by others."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Final

import msgspec

from dashboards.desk import Progress
from dashboards.user import User
from protocol.errors import RefusedError, SlatecastError

MAX_JOBS: Final = 200
"""that are remembered; the oldest that are done make room"""

MAX_RUNNING: Final = 8
"""at once: each reads or writes whole images, so more would only slow each other down"""

_logger = logging.getLogger(__name__)


class JobState(StrEnum):
    """How far a job is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Job(msgspec.Struct, kw_only=True):
    """One piece of work."""

    job_id: str
    kind: str
    """import, verify or shrink"""
    about: str
    """name of the image"""
    begun_by: str
    begun_at: float
    """seconds since 1970"""
    state: JobState = JobState.RUNNING
    progress: float = 0.0
    """0 to 1"""
    progress_text: str = ""
    error: str = ""
    """why it failed and what to do"""
    result: dict[str, Any] | None = None


class Work:
    """All jobs of this run of the console; used from its event loop only."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, user: User, kind: str, about: str, run: Callable[[Progress], Awaitable[dict[str, Any]]]) -> Job:
        """Begin a job.

        Args:
            user: who orders it.
            kind: what is done.
            about: with which image.
            run: does it, and returns what the job has as its result.

        Raises:
            RefusedError: too many jobs run.
        """
        if len(self._tasks) >= MAX_RUNNING:
            raise RefusedError(f"{MAX_RUNNING} jobs run already: wait until one is done")
        job = Job(job_id=secrets.token_hex(16), kind=kind, about=about, begun_by=user.name, begun_at=self._clock())
        done = [each for each, old in self._jobs.items() if old.state is not JobState.RUNNING]
        for job_id in done[: max(0, len(self._jobs) + 1 - MAX_JOBS)]:
            del self._jobs[job_id]
        self._jobs[job.job_id] = job
        task = asyncio.get_running_loop().create_task(_run(job, run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def get(self, job_id: str) -> Job | None:
        """The job of that id."""
        return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        """The newest first."""
        return list(reversed(self._jobs.values()))

    async def close(self) -> None:
        """Give up waiting for what still runs; the broadcaster goes on with it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _run(job: Job, run: Callable[[Progress], Awaitable[dict[str, Any]]]) -> None:
    def tell(share: float, words: str) -> None:
        job.progress = min(1.0, max(0.0, share))
        job.progress_text = words

    try:
        job.result = await run(tell)
    except SlatecastError as error:
        job.state, job.error = JobState.FAILED, str(error)
    except asyncio.CancelledError:
        job.state, job.error = JobState.FAILED, "the console was stopped: look at the library"
        raise
    except Exception:
        _logger.exception("the job %s of %s ended by a fault of ours", job.kind, job.about)
        job.state, job.error = JobState.FAILED, "a fault of the console: look at its log"
    else:
        job.state, job.progress = JobState.DONE, 1.0
