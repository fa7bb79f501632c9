"""A table of a few rows with links and buttons in them; on a phone each row becomes a card with its headings."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from nicegui import ui

from dashboards.pages.words import Words

ACTIONS = "Actions"
"""heading of the column of buttons, read aloud only"""


class Listing:
    """``headings`` from left to right; rows are added with ``row`` and, in it, a ``cell`` for each heading."""

    def __init__(self, name: str, headings: Sequence[str]) -> None:
        self._headings = headings
        self._cells: Iterator[str] = iter(())
        with ui.element("q-markup-table").props("flat wrap-cells").classes("listing") as self.element:
            self.element.props["aria-label"] = name
            with ui.element("thead"), ui.element("tr"):
                for heading in headings:
                    with ui.element("th").props("scope=col"):
                        Words("span", heading).classes("only-read-aloud" if heading == ACTIONS else "")
            self._body = ui.element("tbody")

    def clear(self) -> None:
        """Take all rows out."""
        self._body.clear()

    @contextmanager
    def row(self, kind: str = "") -> Iterator[None]:
        """One row."""
        self._cells = iter(self._headings)
        with self._body, ui.element("tr").classes(kind):
            yield

    @contextmanager
    def cell(self, kind: str = "") -> Iterator[ui.element]:
        """The next cell of the row."""
        heading = next(self._cells)
        with ui.element("td").classes(f"{kind} listing-actions" if heading == ACTIONS else kind) as cell:
            cell.props["data-heading"] = "" if heading == ACTIONS else heading
            yield cell

    def text(self, text: str, kind: str = "") -> None:
        """The next cell, which holds nothing but ``text``."""
        with self.cell():
            Words("span", text).classes(f"wrap-text {kind}")
