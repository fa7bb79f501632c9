"""Receivers that wait to be let in, each with the words that stand on its own screen."""

from typing import Final

from nicegui import ui

from dashboards.pages.dialogs import confirmed
from dashboards.pages.quantities import count_in_words, duration_in_words
from dashboards.pages.visit import Visit
from dashboards.pages.words import Words, section_title
from dashboards.user import Role
from protocol.operators import ApplicantNews

FINE_STEP: Final = 60.0
"""[s] of waiting below which it is not shown how long: every second of it would be a message for nothing"""


class Applicants:
    """A panel that is there only while somebody waits."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._may_admit = visit.may(Role.OPERATOR)
        self._listed: object = None
        self._waiting: tuple[ApplicantNews, ...] = ()
        with ui.element("section").classes("panel side-panel") as self._panel:
            self._title = section_title("")
            ui.label("Admit a receiver only if these words stand on its screen.").classes("muted small")
            self._list = ui.element("ul").classes("plain-list")
            with ui.row(wrap=False).classes("admit-all") as self._all:
                self._count = ui.input(label="How many wait?").props("outlined dense inputmode=numeric")
                self._count.classes("grow")
                ui.button("Admit all", on_click=visit.handler(self._admit_all)).props("outline no-caps")
        self._panel.visible = False

    def show(self, applicants: tuple[ApplicantNews, ...]) -> None:
        """Show who waits now."""
        self._waiting = applicants
        self._panel.visible = bool(applicants)
        listed = [(each.receiver_id, each.seat, each.words, each.waiting_seconds // FINE_STEP) for each in applicants]
        if listed == self._listed:
            return
        self._listed = listed
        self._title.text = (
            f"{count_in_words(len(applicants), 'receiver')} {'waits' if len(applicants) == 1 else 'wait'}"
        )
        self._all.visible = self._may_admit and len(applicants) > 1
        self._list.clear()
        with self._list:
            for applicant in applicants:
                self._item(applicant)

    def _item(self, applicant: ApplicantNews) -> None:
        minutes = applicant.waiting_seconds // FINE_STEP * FINE_STEP
        waiting = f", waits {duration_in_words(minutes)}" if minutes else ""
        with ui.element("li").classes("applicant"):
            ui.label(applicant.seat).classes("strong wrap-text")
            Words("code", applicant.words).classes("check-words")
            ui.label(f"{applicant.address}{waiting}").classes("muted small wrap-text")
            if self._may_admit:
                with ui.row().classes("gap-small"):
                    self._button("Admit", applicant, is_admission=True)
                    self._button("Refuse", applicant, is_admission=False)

    def _button(self, text: str, applicant: ApplicantNews, *, is_admission: bool) -> None:
        action = self._admit if is_admission else self._refuse
        button = ui.button(text, on_click=self._visit.handler(action, applicant)).props("dense no-caps")
        button.props("unelevated" if is_admission else "flat").props["aria-label"] = f"{text} {applicant.seat}"

    async def _admit(self, applicant: ApplicantNews) -> None:
        await self._visit.act(
            lambda user: self._visit.desk.admit(user, (applicant.receiver_id,)), f"{applicant.seat} is let in."
        )

    async def _refuse(self, applicant: ApplicantNews) -> None:
        if await confirmed(
            f"Refuse {applicant.seat}?", "It is sent away, and may apply again when it is started anew.", "Refuse"
        ):
            await self._visit.act(
                lambda user: self._visit.desk.refuse(user, (applicant.receiver_id,)), f"{applicant.seat} is refused."
            )

    async def _admit_all(self) -> None:
        ids = tuple(applicant.receiver_id for applicant in self._waiting)
        if (self._count.value or "").strip() != str(len(ids)):
            self._count.props["error"] = True
            self._count.props["error-message"] = "That is not how many wait. Count the PCs that show words."
            return
        self._count.props["error"] = False
        self._count.value = ""
        await self._visit.act(
            lambda user: self._visit.desk.admit(user, ids), f"{count_in_words(len(ids), 'receiver')} let in."
        )
