"""Text in an HTML element of its own kind: headings, keys. It is shown as it is, whatever is written in it."""

from nicegui.elements.mixins.text_element import TextElement

from dashboards.pages.seat_words import Sign, plain


class Words(TextElement):
    """``text`` in a ``tag``; what a browser and a reader of screens know how to treat."""

    def __init__(self, tag: str, text: str = "") -> None:
        super().__init__(tag=tag, text=text)


def page_title(text: str) -> Words:
    """The one heading of a page."""
    return Words("h1", plain(text)).classes("page-title")


def section_title(text: str) -> Words:
    """The heading of a part of a page."""
    return Words("h2", text).classes("section-title")


def tone_class(sign: Sign) -> str:
    """The class of ``console.css`` that gives its colour as ``--tone``."""
    return f"tone-{sign.tone.value}"
