"""The sessions that are open, and those that have ended since the console watches."""

from dashboards.fleet.views import FleetView, SessionView
from dashboards.pages.capture_words import image_in_words
from dashboards.pages.figures import counts_of
from dashboards.pages.overview import Glance, Overview
from dashboards.pages.paths import session_path
from dashboards.pages.seat_words import ordered_in_words, plain
from dashboards.pages.visit import Visit
from dashboards.pages.words import page_title


def build_sessions(visit: Visit) -> None:
    """All sessions of the picture, the open ones first."""
    page_title("Sessions")
    overview = Overview("No session is open. Start one under Start a session; older ones are under History.")

    def look(picture: FleetView) -> None:
        overview.show([_glance(picture, session) for session in picture.sessions])

    visit.watch(look)


def _glance(picture: FleetView, session: SessionView) -> Glance:
    where = f"in {plain(session.room)}" if session.room else session.tsi
    return Glance(
        key=session.tsi,
        title=image_in_words(picture, session),
        words=", ".join(filter(None, [where, ordered_in_words(session.ordered_by)])),
        path=session_path(session.tsi),
        step=session.step,
        spread=session.spread,
        eta_seconds=session.eta_seconds,
        counts=counts_of(session.seats),
    )
