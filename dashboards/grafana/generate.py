"""Writes the dashboards as JSON beside this file: ``python -m dashboards.grafana.generate``.

The files are committed; a test makes them anew and compares.
"""

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.grafana.broadcaster_board import broadcaster_board
from dashboards.grafana.fleet_board import fleet_board
from dashboards.grafana.seat_boards import room_board, session_board

FOLDER: Final = Path(__file__).parent

BOARDS: Final = {
    "fleet": fleet_board,
    "room": room_board,
    "session": session_board,
    "broadcaster": broadcaster_board,
}
"""By the name of the file."""


def board_file(name: str) -> Path:
    """Where a dashboard is kept."""
    return FOLDER / f"{name}.json"


def board_document(name: str) -> str:
    """One dashboard as Grafana reads it."""
    return json.dumps(BOARDS[name]().build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    for each in BOARDS:
        board_file(each).write_text(board_document(each), encoding="utf-8")
