"""What was done to each disk once it was verified: every step, and when the disk's own system has started."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from nicegui import background_tasks, ui

from dashboards.pages.local_time import LocalTime
from dashboards.pages.quantities import count_in_words
from dashboards.pages.seat_words import Sign, Tone, plain
from dashboards.pages.visit import Visit
from dashboards.pages.words import Words, section_title, tone_class
from protocol.errors import SlatecastError

ASK_SECONDS: Final = 3.0
"""[s] between two questions of a page: what the desk keeps is as old"""

MOST_SEATS: Final = 200
"""[seats] that a page lists, those in trouble first; more would slow a browser down"""

DONE: Final = Sign("check_circle", "done", Tone.GOOD)
FAILED: Final = Sign("cancel", "failed", Tone.BAD)
RUNNING: Final = Sign("autorenew", "under way", Tone.BUSY)
NOT_BEGUN: Final = Sign("hourglass_top", "not begun", Tone.WAITING)
NOT_SEEN: Final = "first boot not seen yet"


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step."""

    name: str
    text: str
    sign: Sign


@dataclass(frozen=True, slots=True)
class SeatLine:
    """One seat."""

    key: str
    """of its machine: names of seats may come twice"""
    name: str
    sign: Sign
    steps: tuple[StepLine, ...]
    error: str
    booted_at: float | None
    """seconds since 1970"""

    @property
    def summary(self) -> str:
        """How many steps are done."""
        if not self.steps:
            return self.sign.word
        done = sum(step.sign is DONE for step in self.steps)
        steps = count_in_words(len(self.steps), "step")
        return f"{steps} done" if done == len(self.steps) else f"{done} of {steps} done, {self.sign.word}"


def seat_lines(answer: Mapping[str, Any]) -> list[SeatLine]:
    """The seats of ``Desk.aftercare``, those in trouble first."""
    order = [FAILED, RUNNING, NOT_BEGUN, DONE]
    lines = [_seat_line(seat) for seat in answer.get("seats", [])]
    return sorted(lines, key=lambda line: (order.index(line.sign), line.name))


def _seat_line(seat: Mapping[str, Any]) -> SeatLine:
    error = str(seat.get("error") or "")
    steps = tuple(_step_line(step, error) for step in seat.get("steps", []))
    booted_at = seat.get("booted_at")
    if error:
        sign = FAILED
    elif not steps:
        sign = NOT_BEGUN
    else:
        sign = DONE if all(step.sign is DONE for step in steps) else RUNNING
    return SeatLine(
        key=f"{seat.get('seat')}/{seat.get('machine')}",
        name=str(seat.get("seat") or seat.get("machine") or ""),
        sign=sign,
        steps=steps,
        error=error,
        booted_at=float(booted_at) if isinstance(booted_at, int | float) else None,
    )


def _step_line(step: Mapping[str, Any], error: str) -> StepLine:
    name = str(step.get("name", ""))
    sign = DONE if step.get("is_done") else FAILED if error.startswith(f"{name}: ") else RUNNING
    return StepLine(name, str(step.get("text", "")), sign)


class AftercarePanel:
    """A panel that is there once there is something to tell."""

    def __init__(self, visit: Visit, tsi: str) -> None:
        self._visit = visit
        self._tsi = tsi
        self._asked_at = float("-inf")
        self._is_asking = False
        self._lines: list[SeatLine] = []
        self._entries: dict[str, SeatEntry] = {}
        with ui.element("section").classes("panel") as self.element:
            section_title("After the disks were verified")
            self._count = ui.label().classes("muted wrap-text")
            self._list = ui.element("ul").classes("plain-list").props('aria-label="What was done to each disk"')
        self.element.visible = False

    def ask(self) -> None:
        """Bring it up to date, at most every ASK_SECONDS, until all has been told."""
        now = monotonic()
        is_settled = bool(self._lines) and all(line.sign is DONE and line.booted_at for line in self._lines)
        if self._is_asking or is_settled or now - self._asked_at < ASK_SECONDS:
            return
        self._is_asking, self._asked_at = True, now
        background_tasks.create(self._fetch(), name="ask what was done to the disks")

    async def _fetch(self) -> None:
        try:
            answer = await self._visit.desk.aftercare(self._visit.user, self._tsi)
        except SlatecastError:
            return  # nothing was done, or nobody answers: what is shown stands, and the banner tells the rest
        finally:
            self._is_asking = False
        with self._visit.client:
            self.show(seat_lines(answer))

    def show(self, lines: Sequence[SeatLine]) -> None:
        """Show these seats."""
        lines = list(lines)
        if lines == self._lines:
            return
        self._lines = lines
        self.element.visible = bool(lines)
        self._count.text = _counts(lines)
        listed = sorted(lines[:MOST_SEATS], key=lambda line: line.key)
        if [line.key for line in listed] != list(self._entries):
            self._list.clear()
            with self._list:
                self._entries = {line.key: SeatEntry(line) for line in listed}
        for line in listed:
            self._entries[line.key].show(line)


class SeatEntry:
    """One seat, to be opened and closed; what it tells is brought up to date within it, so that it keeps the focus."""

    def __init__(self, line: SeatLine) -> None:
        self._shown: SeatLine | None = None
        with ui.element("li"), ui.element("details") as self._details:
            if line.sign is FAILED:
                self._details.props["open"] = ""
            self._summary = ui.element("summary")
            self._error = ui.label().classes("wrap-text")
            self._steps = ui.element("ol").classes("plain-list aftercare-steps")

    def show(self, line: SeatLine) -> None:
        """Show how the seat is now."""
        if line == self._shown:
            return
        self._shown = line
        self._details.classes(replace=f"aftercare {tone_class(line.sign)}")
        self._summary.clear()
        with self._summary:
            ui.icon(line.sign.icon).classes("toned").props("aria-hidden=true")
            Words("span", plain(line.name)).classes("strong wrap-text")
            Words("span", line.summary).classes("toned")
            if line.booted_at is None:
                Words("span", NOT_SEEN).classes("muted")
            else:
                with ui.element("span").classes("words-line muted"):
                    Words("span", "first boot seen")
                    LocalTime(line.booted_at, with_date=True)
        self._error.text = plain(line.error)
        self._error.visible = bool(line.error)
        self._steps.clear()
        with self._steps:
            for step in line.steps:
                _step(step)


def _step(step: StepLine) -> None:
    with ui.element("li").classes(f"happening {tone_class(step.sign)}"):
        ui.icon(step.sign.icon).props("role=img").props["aria-label"] = step.sign.word
        with ui.element("div").classes("happening-words"):
            Words("span", plain(step.name)).classes("wrap-text")
            if step.text:
                ui.label(plain(step.text)).classes("muted small wrap-text")


def _counts(lines: Sequence[SeatLine]) -> str:
    done = sum(line.sign is DONE for line in lines)
    failed = sum(line.sign is FAILED for line in lines)
    booted = sum(line.booted_at is not None for line in lines)
    words = f"{done} of {count_in_words(len(lines), 'disk')} configured"
    words += f", {failed} not" if failed else ""
    words += f". The first boot of {booted} was seen."
    return f"{words} The first {MOST_SEATS} are listed." if len(lines) > MOST_SEATS else words
