"""The seats of a room as they stand there, the front at the top.

One listener on the map hears all its seats: a thousand of them cost the browser a thousand elements and not as many
listeners. Which seat was meant comes by its name, so that a room that is edited meanwhile makes no other seat of it.
"""

from collections.abc import Callable
from typing import Final

from nicegui import events, ui

from dashboards.fleet.views import SeatView
from dashboards.pages.seat_card import SeatCard, SeatMark, SeatTile

MOST_CARDS: Final = 100
"""[seats] that are drawn as cards: 600 elements, which a browser brings up to date in some milliseconds"""

MACHINE_TYPE: Final = "text/x-slatecast-machine"
"""of what is dragged: nothing that comes from another page or program is taken for a machine"""

_SEAT: Final = "const seat = e.target.closest('[data-seat]')"

PICK: Final = f"(e) => {{ {_SEAT}; if (seat) emit(seat.dataset.seat); }}"
DRAG_OVER: Final = f"(e) => {{ {_SEAT}; if (seat) {{ e.preventDefault(); seat.classList.add('drop-here'); }} }}"
DRAG_LEAVE: Final = f"(e) => {{ {_SEAT}; if (seat) seat.classList.remove('drop-here'); }}"
DROP: Final = f"""(e) => {{
  {_SEAT};
  e.preventDefault();
  const machine = e.dataTransfer.getData('{MACHINE_TYPE}');
  if (seat) seat.classList.remove('drop-here');
  if (seat && machine) emit(seat.dataset.seat, machine);
}}"""

ARROWS: Final = """(e) => {
  const step = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[e.key];
  const seat = e.target.closest('[data-seat]');
  if (!step || !seat) return;
  e.preventDefault();
  const place = (element) => [Number(element.dataset.row), Number(element.dataset.column)];
  const [row, column] = place(seat);
  const ahead = [...e.currentTarget.querySelectorAll('[data-seat]')]
    .map((element) => [element, place(element)])
    .map(([element, [r, c]]) => [element, (r - row) * step[0] + (c - column) * step[1],
                                 Math.abs((r - row) * step[1]) + Math.abs((c - column) * step[0])])
    .filter(([, along, aside]) => along > 0 && aside <= along)
    .sort((a, b) => a[2] * 100 + a[1] - b[2] * 100 - b[1]);
  if (ahead.length) ahead[0][0].focus();
}"""
"""to the nearest seat in the direction of the key, gaps between rows and tables included"""


class SeatMap:
    """All seats of a room; ``on_pick`` is told a seat's name, ``on_drop`` a seat's name and a machine."""

    def __init__(self, on_pick: Callable[[str], object], on_drop: Callable[[str, str], object] | None) -> None:
        self._layout: object = None
        self._marks: list[SeatMark] = []
        with ui.element("div").classes("map-scroll"):
            ui.label("Front of the room").classes("map-front")
            self.grid = ui.element("div").classes("map").props('role=group aria-label="Seats, the front first"')
        self.grid.on("click", lambda event: on_pick(str(event.args)), js_handler=PICK)
        self.grid.on("keydown", js_handler=ARROWS)
        if on_drop is not None:
            self._listen_for_drops(on_drop)

    def _listen_for_drops(self, on_drop: Callable[[str, str], object]) -> None:
        def drop(event: events.GenericEventArguments) -> object:
            seat, machine = event.args
            return on_drop(str(seat), str(machine))

        self.grid.on("drop", drop, js_handler=DROP)
        self.grid.on("dragover", js_handler=DRAG_OVER)
        self.grid.on("dragleave", js_handler=DRAG_LEAVE)

    def show(self, seats: tuple[SeatView, ...]) -> None:
        """Show how every seat is now; the map is made anew when seats have come, gone or moved."""
        layout = [(seat.name, seat.row, seat.column) for seat in seats]
        if layout == self._layout:
            for mark, seat in zip(self._marks, seats, strict=True):
                mark.show(seat)
            return
        self._layout = layout
        self.grid.clear()
        kind: Callable[[SeatView], SeatMark] = SeatCard if len(seats) <= MOST_CARDS else SeatTile
        self.grid.style(f"--columns:{max((seat.column for seat in seats), default=1)}")
        with self.grid:
            self._marks = [kind(seat) for seat in seats]
