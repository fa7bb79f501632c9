"""What was found on the disk of a capture, and what an operator decides by it: allow, refuse, capture again."""

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from dashboards.fleet.capture_view import CaptureView
from dashboards.pages.capture_words import ACCEPTABLE, FINDING_SIGNS, places, title_in_words
from dashboards.pages.notes import Note
from dashboards.pages.seat_words import Sign, plain
from dashboards.pages.visit import Visit
from dashboards.pages.words import Words, tone_class
from dashboards.user import Role
from protocol.capture import CaptureStep, FindingKind

NOTHING_FOUND = "Nothing was found that speaks against it."
NOT_LOOKED = (
    "The machine looks at its disk once it is allowed, and refuses by itself what nobody should capture unknowingly. "
    "Tick what it is to capture nevertheless."
)


class CaptureDecision:
    """A dialog over one capture after the other."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._capture: CaptureView | None = None
        self._ticks: dict[str, ui.checkbox] = {}
        with ui.dialog() as self._dialog, ui.card().classes("dialog-card"):
            self._dialog.props["aria-label"] = "What was found on the disk"
            self._title = Words("h2").classes("dialog-title")
            self._note = ui.label().classes("wrap-text")
            self._list = ui.element("ul").classes("plain-list findings").props('aria-label="Findings"')
            self._accepting = ui.element("div").classes("stack tight")
            self._refusal = Note()
            with ui.row().classes("dialog-actions"):
                ui.button("Close", on_click=lambda _: self._dialog.close()).props("flat no-caps")
                self._refuse = self._button("Refuse", self._do_refuse, "outline")
                self._refuse.props["color"] = "negative"
                self._allow = self._button("Allow", self._do_allow, "unelevated")
                self._again = self._button("Capture again", self._do_again, "unelevated")

    def _button(self, text: str, action: Any, kind: str) -> ui.button:
        return ui.button(text, on_click=self._visit.handler(action)).props(f"{kind} no-caps")

    async def ask(self, capture: CaptureView) -> None:
        """Open it for this capture, with what was found on its disk."""
        found: Sequence[Mapping[str, Any]] = ()
        if capture.findings:
            told = await self._visit.act(lambda user: self._visit.desk.captures.findings(user, capture.capture_id))
            if told is None:
                return
            found = told
        self._capture = capture
        self._refusal.clear()
        self._show(capture, found)
        self._dialog.open()

    def _show(self, capture: CaptureView, findings: Sequence[Mapping[str, Any]]) -> None:
        where = places(self._visit.picture()).get(capture.machine, "")
        self._title.text = title_in_words(capture, where)
        is_asked = capture.step is CaptureStep.ASKED
        is_operator = self._visit.may(Role.OPERATOR)
        self._list.clear()
        with self._list:
            for finding in findings:
                _entry(finding)
        self._list.visible = bool(findings)
        refusing = [str(each.get("code")) for each in findings if each.get("kind") == FindingKind.REFUSAL]
        may_go_on = is_operator and (is_asked or (capture.step is CaptureStep.REFUSED and not capture.is_backup))
        codes = (refusing or (list(ACCEPTABLE) if is_asked and not findings else [])) if may_go_on else []
        self._note.text = NOT_LOOKED if is_asked and not findings else "" if findings else NOTHING_FOUND
        self._note.visible = bool(self._note.text)
        self._accepting.clear()
        with self._accepting:
            self._ticks = {
                code: ui.checkbox(f"Capture although there is {ACCEPTABLE.get(code, plain(code))}")
                for code in dict.fromkeys(codes)
            }
        self._accepting.visible = bool(codes)
        self._allow.visible = self._refuse.visible = is_asked and is_operator
        self._again.visible = bool(refusing) and not is_asked and may_go_on

    def _accepted(self) -> tuple[str, ...]:
        return tuple(code for code, tick in self._ticks.items() if tick.value)

    async def _do_allow(self) -> None:
        await self._decide(is_allowed=True)

    async def _do_refuse(self) -> None:
        await self._decide(is_allowed=False)

    async def _decide(self, *, is_allowed: bool) -> None:
        capture = self._capture
        if capture is None:
            return
        accepts = self._accepted() if is_allowed else ()

        async def decide(user: Any) -> bool:
            await self._visit.desk.captures.decide(user, capture.capture_id, is_allowed=is_allowed, accepts=accepts)
            return True

        words = "Allowed: the machine begins in a moment." if is_allowed else "Refused."
        if await self._visit.act(decide, words, self._refusal.show):
            self._dialog.close()

    async def _do_again(self) -> None:
        capture, accepts = self._capture, self._accepted()
        if capture is None:
            return
        if set(accepts) != set(self._ticks):
            self._refusal.show("Tick all that refused it: it would be refused again otherwise.")
            return
        if await self._visit.act(
            lambda user: self._visit.desk.captures.order(user, capture.machine, capture.image, accepts),
            "Ordered: the machine begins in a moment.",
            self._refusal.show,
        ):
            self._dialog.close()


def _entry(finding: Mapping[str, Any]) -> None:
    """One finding; what another version of the broadcaster may have written is a warning."""
    sign = _sign(finding.get("kind"))
    with ui.element("li").classes(f"happening {tone_class(sign)}"):
        ui.icon(sign.icon).props("role=img").props["aria-label"] = sign.word
        with ui.element("div").classes("happening-words"):
            Words("span", plain(str(finding.get("where", "")))).classes("strong wrap-text")
            ui.label(plain(str(finding.get("text", "")))).classes("wrap-text")
            ui.label(f"{sign.word} · {plain(str(finding.get('code', '')))}").classes("muted small wrap-text")


def _sign(kind: object) -> Sign:
    return FINDING_SIGNS[FindingKind.REFUSAL if kind == FindingKind.REFUSAL else FindingKind.WARNING]
