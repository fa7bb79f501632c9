"""Health: what should be mended and how, and how broker, broadcaster, disk, network and clocks are."""

import importlib.metadata
from collections.abc import Sequence
from typing import Final

from nicegui import ui

from dashboards.fleet.health import CLOCKS_APART, LITTLE_SPACE
from dashboards.fleet.views import FleetView, Health
from dashboards.pages.figures import SignChip
from dashboards.pages.local_time import LocalTime
from dashboards.pages.notes import Note
from dashboards.pages.quantities import (
    NOTHING,
    age_in_words,
    bytes_in_words,
    duration_in_words,
    rate_in_words,
    share_in_words,
)
from dashboards.pages.seat_words import Sign, Tone, plain
from dashboards.pages.visit import Visit
from dashboards.pages.words import Words, page_title, section_title
from dashboards.prometheus.routes import METRICS_PATH, TARGETS_PATH
from protocol.operators import HostNews, Severity

ALL_WELL: Final = "Nothing has to be mended."


GOOD: Final = Sign("check_circle", "well", Tone.GOOD)
WATCH: Final = Sign("warning", "look at it", Tone.SLOW)
BAD: Final = Sign("error", "mend it", Tone.BAD)
UNKNOWN: Final = Sign("help", "not known", Tone.QUIET)

Facts = Sequence[tuple[str, str]]


def build_health(visit: Visit) -> None:
    """The page of the health of everything."""
    HealthPage(visit)


class HealthPage:
    """One open page."""

    def __init__(self, visit: Visit) -> None:
        self._problems: tuple[str, ...] | None = None
        self._versions = [
            (name, importlib.metadata.version(package))
            for name, package in (("Version", "slatecast"), ("NiceGUI", "nicegui"))
        ]
        page_title("Health")
        with ui.element("section").classes("panel"):
            section_title("What to mend")
            self._list = ui.element("div").classes("stack tight")
        with ui.element("div").classes("overview"):
            self._broker = _Part("Broker", "hub")
            self._broadcaster = _Part("Broadcaster", "podcasts")
            self._disk = _Part("Disk of the library", "storage")
            self._network = _Part("Network interface", "lan")
            self._clock = _Part("Clocks", "schedule")
            self._console = _Part("Console", "monitor")
        with self._console.more, ui.element("div").classes("words-line"):
            ui.link("Metrics for Prometheus", METRICS_PATH, new_tab=True).classes("session-link")
            ui.link("What it can scrape", TARGETS_PATH, new_tab=True).classes("session-link")
        with self._broadcaster.more, ui.element("div").classes("words-line muted small") as self._since:
            ui.label("Runs since")
            self._started = LocalTime(0, with_date=True)
        visit.watch(self._look)

    def _look(self, picture: FleetView) -> None:
        health = picture.health
        host = health.host
        self._show_problems(health.problems)
        self._broker.show(
            GOOD if health.is_broker_connected else BAD,
            "connected" if health.is_broker_connected else "cannot be reached",
            [("Address", health.broker_text), ("As the broadcaster names it", host.broker if host else "")],
        )
        self._show_broadcaster(health, picture)
        self._since.visible = host is not None
        if host is None:
            for part in (self._disk, self._network, self._clock):
                part.show(UNKNOWN, "the broadcaster has not told", [])
        else:
            self._show_disk(host)
            self._show_network(host)
            self._show_clock(health, host, picture.at)
        self._console.show(
            GOOD,
            "answers",
            [
                *self._versions,
                ("Receivers with metrics", str(len(picture.exporters))),
            ],
        )

    def _show_problems(self, problems: tuple[str, ...]) -> None:
        if problems == self._problems:
            return
        self._problems = problems
        self._list.clear()
        with self._list:
            for problem in problems:
                Note(Severity.WARNING).show(problem)
            if not problems:
                Note(Severity.GOOD).show(ALL_WELL)

    def _show_broadcaster(self, health: Health, picture: FleetView) -> None:
        host = health.host
        facts: list[tuple[str, str]] = [("Last heard", age_in_words(health.age_seconds))]
        if host is not None:
            self._started.show(host.started_at)
            facts += [
                ("Version", host.version),
                ("Front door", host.front_door),
                ("Receivers there", str(host.receiver_count)),
                ("Waiting to be let in", str(len(picture.applicants))),
                ("Open sessions", str(len(host.sessions))),
            ]
        sign = GOOD if health.is_broadcaster_heard else BAD
        self._broadcaster.show(sign, "heard" if health.is_broadcaster_heard else "silent", facts)

    def _show_disk(self, host: HostNews) -> None:
        free, total = host.library_bytes_free, host.library_bytes_total
        ratio = free / total if total else 0.0
        sign = UNKNOWN if not total else BAD if ratio < LITTLE_SPACE else WATCH if ratio < 2 * LITTLE_SPACE else GOOD
        self._disk.show(
            sign,
            f"{share_in_words(ratio)} free" if total else "not known",
            [("Free", bytes_in_words(free)), ("Of", bytes_in_words(total)), ("Path", host.library_path)],
        )

    def _show_network(self, host: HostNews) -> None:
        speed = rate_in_words(host.link_bits_per_second) if host.link_bits_per_second else "it does not tell"
        self._network.show(
            GOOD if host.is_link_up else BAD,
            "link is up" if host.is_link_up else "no link",
            [("Interface", host.interface), ("Address", host.address), ("Speed", speed)],
        )

    def _show_clock(self, health: Health, host: HostNews, at: float) -> None:
        if health.age_seconds is None or not health.is_broadcaster_heard:
            self._clock.show(UNKNOWN, "the broadcaster is silent", [])
            return
        apart = abs(at - health.age_seconds - host.at)
        # The picture and the word of the broadcaster are each up to a second old.
        words = "agree" if apart < 3 else f"{duration_in_words(apart)} apart"
        self._clock.show(BAD if apart > CLOCKS_APART else GOOD, words, [("Console and broadcaster", words)])


class _Part:
    """One card: a sign with words, and facts."""

    def __init__(self, title: str, icon: str) -> None:
        self._facts: list[tuple[str, str]] = []
        self._values: list[Words] = []
        with ui.element("section").classes("panel"):
            with ui.element("div").classes("chart-head"):
                with ui.element("div").classes("part-title"):
                    ui.icon(icon).props("aria-hidden=true").classes("muted")
                    section_title(title)
                self._chip = SignChip(UNKNOWN)
            self._list = ui.element("dl").classes("facts")
            self.more = ui.element("div")

    def show(self, sign: Sign, words: str, facts: Facts) -> None:
        """How it is now."""
        self._chip.show(sign, words)
        told = [(name, plain(value) or NOTHING) for name, value in facts]
        if [name for name, _ in told] == [name for name, _ in self._facts]:
            for element, (_, value) in zip(self._values, told, strict=True):
                element.text = value
        else:
            self._list.clear()
            self._values = []
            with self._list:
                for name, value in told:
                    Words("dt", name)
                    self._values.append(Words("dd", value).classes("wrap-text numbers"))
        self._facts = told
