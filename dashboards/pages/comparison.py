"""What changed between two versions of an image: figures, and a bar over the whole disk."""

from collections.abc import Sequence
from typing import Any, Final

from nicegui import ui

from dashboards.fleet.views import FleetView
from dashboards.pages.figures import Figure
from dashboards.pages.notes import Note
from dashboards.pages.quantities import bytes_in_words, count_in_words, loss_in_words
from dashboards.pages.seat_words import plain
from dashboards.pages.visit import Visit
from dashboards.pages.words import section_title
from protocol.operators import ImageNews

BAR_STEPS: Final = 400
"""[steps] of the bar: finer than a phone can draw, and a style of a few kilobytes at most"""

MOST_RANGES: Final = 1000
"""that an answer holds, as ``protocol.commands.CompareVersions`` says"""


def changed_steps(ranges: Sequence[Sequence[int]], disk_size: int, steps: int = BAR_STEPS) -> list[tuple[int, int]]:
    """First and last-plus-one step of each run in which anything changed; what touches is joined.

    Args:
        ranges: offset and length in bytes of the disk.
        disk_size: bytes.
        steps: that the disk is split into.
    """
    changed: set[int] = set()
    for offset, length in ranges:
        if length > 0 and 0 <= offset < disk_size:
            changed.update(
                range(offset * steps // disk_size, min(steps - 1, (offset + length - 1) * steps // disk_size) + 1)
            )
    runs: list[tuple[int, int]] = []
    for step in sorted(changed):
        if runs and runs[-1][1] == step:
            runs[-1] = (runs[-1][0], step + 1)
        else:
            runs.append((step, step + 1))
    return runs


class Comparison:
    """Choose two versions; shown where an image has two."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._images: tuple[ImageNews, ...] = ()
        with ui.element("section").classes("panel form-panel") as self._panel:
            section_title("What changed between two versions")
            with ui.element("div").classes("fields"):
                self._name = ui.select([], label="Image", on_change=self._name_chosen).props("outlined")
                self._old = ui.select([], label="From version").props("outlined")
                self._new = ui.select([], label="To version").props("outlined")
            self._refusal = Note()
            with ui.row().classes("actions at-left"):
                self._button = ui.button("Compare", icon="difference", on_click=visit.handler(self._compare))
                self._button.props("outline no-caps")
            with ui.element("div").classes("stack").props("aria-live=polite") as self._result:
                with ui.element("div").classes("figures"):
                    self._changed = Figure("Changed on the disk")
                    self._stored = Figure("Stored anew")
                    self._places = Figure("Places")
                self._bar = ui.element("div").classes("change-bar").props("role=img")
                with ui.element("div").classes("chart-head small muted numbers"):
                    ui.label("0")
                    self._end = ui.label()
        self._panel.visible = self._result.visible = False

    def show(self, images: tuple[ImageNews, ...]) -> None:
        """Offer what can be compared."""
        before = [(image.name, image.version) for image in self._images]
        self._images = images
        if before == [(image.name, image.version) for image in images]:
            return
        names = [image.name for image in images]
        several = list(dict.fromkeys(name for name in names if names.count(name) > 1))
        self._panel.visible = bool(several)
        chosen = self._name.value if self._name.value in several else (several[0] if several else None)
        self._name.set_options({name: plain(name) for name in several}, value=chosen)
        self._offer_versions()

    def _name_chosen(self) -> None:
        self._offer_versions()
        self._result.visible = False

    def _offer_versions(self) -> None:
        versions = sorted(image.version for image in self._images if image.name == self._name.value)
        old, new = (versions[-2], versions[-1]) if len(versions) > 1 else (None, None)
        self._old.set_options(versions, value=self._old.value if self._old.value in versions else old)
        self._new.set_options(versions, value=self._new.value if self._new.value in versions else new)

    async def _compare(self) -> None:
        name, old, new = self._name.value, self._old.value, self._new.value
        self._refusal.clear()
        self._result.visible = False
        if not name or old is None or new is None or old == new:
            self._refusal.show("Choose an image and two different versions of it.")
            return
        self._button.props("loading")
        try:
            found = await self._visit.act(
                lambda user: self._visit.desk.compare_versions(user, name, old, new), refused=self._refusal.show
            )
        finally:
            self._button.props(remove="loading")
        if found:
            self._show(found, self._disk_size(self._visit.picture(), name, (old, new)))

    @staticmethod
    def _disk_size(picture: FleetView, name: str, versions: tuple[int, int]) -> int:
        return max(
            (image.disk_size for image in picture.images if image.name == name and image.version in versions), default=0
        )

    def _show(self, found: dict[str, Any], disk_size: int) -> None:
        ranges = [(int(offset), int(length)) for offset, length in found.get("ranges", [])]
        changed = int(found.get("changed_bytes", 0))
        share = f" ({loss_in_words(changed / disk_size)})" if disk_size else ""
        self._changed.show(f"{bytes_in_words(changed)}{share}")
        self._stored.show(bytes_in_words(int(found.get("stored_bytes", 0))))
        places = count_in_words(len(ranges), "place")
        self._places.show(f"{MOST_RANGES:,} or more" if len(ranges) >= MOST_RANGES else f"{len(ranges):,}")
        self._end.text = bytes_in_words(disk_size)
        self._bar.props["aria-label"] = (
            f"{places} of the disk changed, {bytes_in_words(changed)} of {bytes_in_words(disk_size)}"
        )
        runs = changed_steps(ranges, disk_size) if disk_size else []
        stops = ["transparent 0"]
        for first, last in runs:
            begin, end = (f"{step * 100 / BAR_STEPS:g}%" for step in (first, last))
            stops += [f"transparent {begin}", f"var(--slow) {begin}", f"var(--slow) {end}", f"transparent {end}"]
        self._bar.style(replace=f"background-image:linear-gradient(to right,{','.join([*stops, 'transparent 100%'])})")
        self._result.visible = True
