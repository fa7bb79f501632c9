"""All rooms at a glance: which are being reimaged, how far each is, and where somebody should look."""

from dashboards.fleet.views import FleetView, RoomView
from dashboards.pages.overview import Glance, Overview
from dashboards.pages.paths import room_path
from dashboards.pages.quantities import count_in_words
from dashboards.pages.visit import Visit
from dashboards.pages.words import page_title


def build_rooms(visit: Visit) -> None:
    """The first page after the login."""
    page_title("Rooms")
    overview = Overview("There is no room yet. Add one under Edit rooms, and then place the machines on its seats.")

    def look(picture: FleetView) -> None:
        overview.show([_glance(room) for room in picture.rooms])

    visit.watch(look)


def _glance(room: RoomView) -> Glance:
    there = sum(1 for seat in room.seats if seat.receiver_id)
    trouble = sum(1 for seat in room.seats if seat.state.is_trouble)
    words = f"{count_in_words(len(room.seats), 'seat')}, {there} switched on"
    return Glance(
        key=room.name,
        title=room.name,
        words=f"{words}, {count_in_words(trouble, 'needs', 'need')} a look" if trouble else words,
        path=room_path(room.name),
        step=room.step,
        spread=room.spread,
        eta_seconds=room.eta_seconds,
        counts=room.counts,
    )
