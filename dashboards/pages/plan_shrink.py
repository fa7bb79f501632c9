"""What to do about seats whose disks are too small for the image of a plan: make it smaller, and plan that."""

import re
from typing import Final

from nicegui import ui

from dashboards.api.work import Job, JobState
from dashboards.fleet.views import SeatState, SessionView
from dashboards.pages.image_work import about_shrinking, shrink_job
from dashboards.pages.notes import Note
from dashboards.pages.paths import start_path
from dashboards.pages.quantities import bytes_in_words, count_in_words
from dashboards.pages.seat_words import plain
from dashboards.pages.visit import Visit
from dashboards.pages.words import section_title
from dashboards.user import Role, User

_WAY_OUT: Final = re.compile(r"slatecast image shrink .* --to (\d{1,19})'")
"""How a receiver ends its refusal of an image that would fit once it is made smaller, to that many bytes."""


def smallest_disk(session: SessionView) -> tuple[int, int]:
    """(seats refused by a disk that is too small but could do, bytes of the smallest of these disks)."""
    sizes = [
        int(found[1])
        for seat in session.seats
        if seat.state is SeatState.REFUSED and (found := _WAY_OUT.search(seat.reason))
    ]
    return len(sizes), min(sizes, default=0)


class ShrinkOffer:
    """A panel that is there while a smaller image would help."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._session: SessionView | None = None
        self._size = 0
        with ui.element("section").classes("panel") as self._panel:
            section_title("Disks that are too small")
            self._words = ui.label().classes("wrap-text")
            self._bar = ui.linear_progress(0.0, show_value=False, size="8px").props("rounded instant-feedback")
            self._bar.props["aria-label"] = "Making the image smaller"
            self._refusal = Note()
            with ui.row().classes("actions at-left"):
                self._shrink = ui.button("Shrink the image", icon="compress", on_click=visit.handler(self._do_shrink))
                self._shrink.props("unelevated no-caps")
                self._again = ui.button(icon="fact_check", on_click=visit.handler(self._do_again))
                self._again.props("unelevated no-caps")
        self._panel.visible = False

    def show(self, session: SessionView) -> None:
        """Offer what helps this plan."""
        count, size = smallest_disk(session)
        self._session, self._size = session, size
        self._panel.visible = bool(count)
        if not count:
            return
        job = self._job(session)
        is_running = job is not None and job.state is JobState.RUNNING
        is_done = job is not None and job.state is JobState.DONE
        self._words.text = _in_words(session, count, size, job, may_shrink=self._visit.may(Role.ADMIN))
        self._bar.visible = is_running
        self._bar.value = job.progress if job is not None else 0.0
        self._shrink.visible = self._visit.may(Role.ADMIN) and not is_running and not is_done
        self._again.visible = is_done
        if is_done and job is not None:
            self._again.text = f"Plan version {_version(job)} instead"

    def _job(self, session: SessionView) -> Job | None:
        about = about_shrinking(session.image, session.version)
        return next((job for job in self._visit.work.all() if (job.kind, job.about) == ("shrink", about)), None)

    async def _do_shrink(self) -> None:
        session, size = self._session, self._size
        if session is None:
            return
        self._refusal.clear()

        def begin(user: User) -> Job:
            return shrink_job(self._visit, user, session.image, session.version, size)

        await self._visit.act(begin, refused=self._refusal.show)

    async def _do_again(self) -> None:
        session = self._session
        job = self._job(session) if session is not None else None
        if session is None or job is None:
            return

        async def drop(user: User) -> bool:
            await self._visit.desk.stop(user, session.tsi)
            return True

        # A seat is in one plan at a time, so this one makes room for the next; what it was to be is chosen there.
        if await self._visit.act(drop, refused=self._refusal.show):
            ui.navigate.to(start_path(session.room, image=session.image, version=_version(job)))


def _version(job: Job) -> int:
    return int((job.result or {}).get("version", 0))


def _in_words(session: SessionView, count: int, size: int, job: Job | None, *, may_shrink: bool) -> str:
    image = f"{plain(session.image)} version {session.version}"
    if job is not None and job.state is JobState.RUNNING:
        return f"{image} is made smaller. {plain(job.progress_text)}".rstrip()
    if job is not None and job.state is JobState.DONE:
        fits = bytes_in_words(int((job.result or {}).get("disk_size", 0)))
        return (
            f"Version {_version(job)} fits on a disk of {fits}. Plan it instead: this plan is dropped, and nothing was "
            "written by it."
        )
    seats = count_in_words(count, "seat was", "seats were")
    words = (
        f"{seats} refused because the disk is too small. The image can be made smaller: a new version of "
        f"{plain(session.image)} that fits on a disk of {bytes_in_words(size)}, the smallest of them."
    )
    if job is not None and job.state is JobState.FAILED:
        words += f" The last try failed: {plain(job.error)}"
    return words if may_shrink else f"{words} Ask an admin to do so."
