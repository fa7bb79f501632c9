"""All rooms at a glance: which are being reimaged, how far each is, and where somebody should look."""

from dashboards.pages.visit import Visit
from dashboards.pages.words import page_title


def build_session(visit: Visit) -> None:
    """The first page after the login."""
    page_title("Session")
