"""How a session ended, in words: how many are verified, and which seats are not and why."""

from dataclasses import dataclass
from typing import Any

from nicegui import ui

from dashboards.fleet.views import SeatState, SeatView, SessionView
from dashboards.pages.paths import report_path
from dashboards.pages.quantities import bytes_in_words, count_in_words, duration_in_words
from dashboards.pages.seat_words import SEAT_SIGNS, Sign, Tone, plain
from dashboards.pages.words import Words, section_title, tone_class


@dataclass(frozen=True, slots=True)
class SeatEnd:
    """How it ended for one seat."""

    name: str
    sign: Sign
    reason: str
    is_verified: bool

    def in_words(self) -> str:
        """One sentence: Seat 14 failed: disk error at sector 8."""
        words = f"Seat {plain(self.name)} {self.sign.word}"
        return f"{words}: {plain(self.reason)}" if self.reason else words


@dataclass(frozen=True, slots=True)
class Summary:
    """What the panel shows."""

    seats: tuple[SeatEnd, ...]
    seconds: float
    bytes_on_wire: int
    catch_up_bytes: int
    end_reason: str


def summary_of(session: SessionView) -> Summary:
    """From the picture."""
    return Summary(
        tuple(_seat_end(seat) for seat in session.seats),
        session.elapsed_seconds,
        session.bytes_on_wire,
        session.catch_up_bytes,
        session.end_reason,
    )


def summary_of_report(report: dict[str, Any]) -> Summary:
    """From a report that was kept; what it does not say is left out."""
    return Summary(
        tuple(
            SeatEnd(
                str(seat.get("seat", "")),
                _outcome_sign(str(seat.get("outcome", ""))),
                str(seat.get("reason", "")),
                bool(seat.get("verified", False)),
            )
            for seat in report.get("seats", [])
        ),
        float(report.get("seconds", 0.0)),
        int(report.get("bytes_on_wire", 0)),
        int(report.get("catch_up_bytes", 0)),
        str(report.get("end_reason", "")),
    )


def headline(summary: Summary) -> str:
    """29 seats verified, 1 not."""
    verified = sum(1 for seat in summary.seats if seat.is_verified)
    missing = len(summary.seats) - verified
    words = f"{count_in_words(verified, 'seat')} verified"
    return f"{words}, {missing} not" if missing else words


class SummaryPanel:
    """Shown once a session has ended."""

    def __init__(self, tsi: str) -> None:
        self._tsi = tsi
        self._shown: Summary | None = None
        self.element = ui.element("section").classes("panel")

    def show(self, summary: Summary) -> None:
        """Show how it ended."""
        if summary == self._shown:
            return
        self._shown = summary
        self.element.clear()
        with self.element:
            with ui.element("div").classes("chart-head"):
                section_title("Report")
                with ui.element("div").classes("actions"):
                    _download("Download (JSON)", "download", report_path(self._tsi, "json"))
                    _download("Print", "print", report_path(self._tsi, "html"))
            ui.label(headline(summary)).classes("headline")
            ui.label(_totals(summary)).classes("muted wrap-text")
            with ui.element("ul").classes("plain-list"):
                for seat in summary.seats:
                    if not seat.is_verified:
                        _seat_line(seat)


def _seat_line(seat: SeatEnd) -> None:
    with ui.element("li").classes(f"happening {tone_class(seat.sign)}"):
        ui.icon(seat.sign.icon).props("aria-hidden=true")
        Words("span", seat.in_words()).classes("wrap-text")


def _download(text: str, icon: str, path: str) -> None:
    button = ui.button(text, icon=icon).props("outline no-caps")
    button.props["href"] = path
    button.props["target"] = "_blank"


def _totals(summary: Summary) -> str:
    parts = [f"took {duration_in_words(summary.seconds)}", f"{bytes_in_words(summary.bytes_on_wire)} sent to the group"]
    if summary.catch_up_bytes:
        parts.append(f"{bytes_in_words(summary.catch_up_bytes)} fetched by single seats")
    if summary.end_reason:
        parts.append(summary.end_reason)
    return " · ".join(parts)


def _seat_end(seat: SeatView) -> SeatEnd:
    return SeatEnd(seat.name, SEAT_SIGNS[seat.state], seat.reason, seat.state is SeatState.VERIFIED)


def _outcome_sign(outcome: str) -> Sign:
    """Of a report that another version may have written."""
    try:
        return SEAT_SIGNS[SeatState(outcome)]
    except ValueError:
        return Sign("help", outcome or "did not finish", Tone.BAD)
