"""What is being done with images: imported, verified, made smaller; with its progress, whoever began it.

The work belongs to the console and not to the page: it goes on when the page is closed, and is found again.
"""

from typing import Any, Final

from nicegui import ui

from dashboards import desk_rules as rules
from dashboards.api.work import Job, JobState
from dashboards.desk import Progress
from dashboards.pages.local_time import LocalTime
from dashboards.pages.notes import Note
from dashboards.pages.quantities import bytes_in_words, count_in_words, share_in_words
from dashboards.pages.seat_words import Sign, Tone, plain
from dashboards.pages.visit import Refused, Visit
from dashboards.pages.words import Words, section_title, tone_class
from dashboards.user import Role, User
from protocol.operators import ImageNews, Severity

MOST_SHOWN: Final = 8
"""[jobs] that the page shows: as many as may run at once"""

MOST_DETAILS: Final = 5
"""[lines] on damages that are shown; the terminal's verify tells all"""

KINDS: Final = {"import": "Import", "verify": "Verification", "shrink": "Shrinking"}

_SIGNS: Final = {
    JobState.RUNNING: Sign("autorenew", "running", Tone.BUSY),
    JobState.DONE: Sign("check_circle", "done", Tone.GOOD),
    JobState.FAILED: Sign("error", "failed", Tone.BAD),
}


class ImageWork:
    """The list of jobs, and for an admin the form of an import."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._shown: object = None
        with ui.element("section").classes("panel") as self._panel:
            section_title("Work on images")
            self._said = Note(Severity.GOOD)
            self._list = ui.element("ul").classes("plain-list").props("aria-live=polite")
        if visit.may(Role.ADMIN):
            self._form()
        self.look()

    def _form(self) -> None:
        with ui.element("section").classes("panel form-panel"):
            section_title("Import an image")
            ui.label(
                "A file or a block device on the broadcaster's machine. A name that is there already "
                "gets a new version."
            ).classes("muted wrap-text")
            with ui.element("div").classes("fields"):
                self._path = ui.input(label="Path", placeholder="/srv/images/lab.img").props("outlined")
                self._name = ui.input(label="Name of the image").props("outlined")
            self._refusal = Note()
            for field in (self._path, self._name):
                field.on_value_change(lambda _: self._refusal.clear())
                field.on("keydown.enter", self._visit.handler(self._import))
            with ui.row().classes("actions at-left"):
                button = ui.button("Import", icon="upload_file", on_click=self._visit.handler(self._import))
                button.props("unelevated no-caps")

    def say(self, words: str) -> None:
        """Tell of something that was done at once."""
        self._said.show(words)
        self.look()

    async def verify(self, image: ImageNews) -> None:
        """Begin to read and check every chunk of an image."""

        def begin(user: User) -> Job:
            rules.require(user, Role.OPERATOR, "verify images")
            rules.judge_version(self._visit.picture(), image.name, image.version)

            async def run(progress: Progress) -> dict[str, Any]:
                return await self._visit.desk.verify_image(user, image.name, image.version, progress)

            return self._visit.work.begin(user, "verify", f"{image.name} version {image.version}", run)

        await self._visit.act(begin)
        self.look()

    async def shrink(self, image: ImageNews, disk_size: int, refused: Refused) -> bool:
        """Begin to make an image smaller; whether it was begun."""
        job = await self._visit.act(
            lambda user: shrink_job(self._visit, user, image.name, image.version, disk_size), refused=refused
        )
        self.look()
        return job is not None

    async def _import(self) -> None:
        path, name = (self._path.value or "").strip(), (self._name.value or "").strip()

        def begin(user: User) -> Job:
            rules.require(user, Role.ADMIN, "import images")
            rules.judge_path(path)
            rules.judge_name("the image", name)

            async def run(progress: Progress) -> dict[str, Any]:
                named, version = await self._visit.desk.import_image(user, path, name, progress)
                return {"name": named, "version": version}

            return self._visit.work.begin(user, "import", name, run)

        if await self._visit.act(begin, refused=self._refusal.show):
            self._path.value = self._name.value = ""
        self.look()

    def look(self) -> None:
        """Show how far everything is."""
        jobs = [job for job in self._visit.work.all() if job.kind in KINDS][:MOST_SHOWN]
        shown = [(job.job_id, job.state, round(job.progress, 3), job.progress_text) for job in jobs]
        self._panel.visible = bool(jobs) or self._said.element.visible
        if shown == self._shown:
            return
        self._shown = shown
        self._list.clear()
        with self._list:
            for job in jobs:
                _entry(job)


def about_shrinking(name: str, version: int) -> str:
    """What the job says it is about."""
    return f"{name} version {version}"


def shrink_job(visit: Visit, user: User, name: str, version: int, disk_size: int) -> Job:
    """Begin to make an image smaller, until it fits on a disk of ``disk_size`` bytes.

    Raises:
        RefusedError: the user may not, or it makes no sense.
        MessageError: this is no size of a disk.
    """
    rules.require(user, Role.ADMIN, "make images smaller")
    rules.judge_shrink(visit.picture(), name, version, disk_size)

    async def run(progress: Progress) -> dict[str, Any]:
        made = await visit.desk.shrink_image(user, name, version, disk_size, progress)
        return dict(zip(("name", "version", "disk_size"), made, strict=True))

    return visit.work.begin(user, "shrink", about_shrinking(name, version), run)


def _entry(job: Job) -> None:
    sign = _SIGNS[job.state]
    if job.state is JobState.DONE and (job.result or {}).get("damaged"):
        sign = Sign("broken_image", "damaged", Tone.BAD)
    with ui.element("li").classes(f"happening {tone_class(sign)}"):
        ui.icon(sign.icon).props("aria-hidden=true")
        with ui.element("div").classes("happening-words"):
            Words("span", f"{KINDS[job.kind]} of {plain(job.about)}: {sign.word}").classes("strong wrap-text")
            if job.state is JobState.RUNNING:
                bar = ui.linear_progress(job.progress, show_value=False, size="8px").props("rounded instant-feedback")
                bar.props["aria-label"] = f"{KINDS[job.kind]} of {plain(job.about)}"
            for line in _lines(job):
                ui.label(plain(line)).classes("wrap-text small")
            with ui.element("div").classes("muted small words-line"):
                ui.label(f"begun by {plain(job.begun_by)}")
                LocalTime(job.begun_at, with_date=True)


def _lines(job: Job) -> list[str]:
    """What came of it, or how far it is."""
    if job.state is JobState.FAILED:
        return [job.error]
    if job.state is JobState.RUNNING:
        return [f"{share_in_words(job.progress)} · {job.progress_text}" if job.progress_text else "waiting"]
    result = job.result or {}
    if job.kind == "import":
        return [f"It is version {result.get('version')} of {result.get('name')}."]
    if job.kind == "shrink":
        size = bytes_in_words(int(result.get("disk_size", 0)))
        return [f"Version {result.get('version')} of {result.get('name')} fits on a disk of {size}."]
    damaged = int(result.get("damaged", 0))
    if not damaged:
        return ["Every chunk is as it was when it was imported."]
    details = [str(line) for line in result.get("details", [])]
    rest = [f"and {len(details) - MOST_DETAILS} more lines"] if len(details) > MOST_DETAILS else []
    return [
        f"{count_in_words(damaged, 'chunk is', 'chunks are')} damaged. Do not start sessions of it; import it anew.",
        *details[:MOST_DETAILS],
        *rest,
    ]
