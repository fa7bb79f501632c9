"""Configurations as somebody writes them into a library."""

from pathlib import Path
from typing import Any

import msgspec

from broadcaster.configurations.rendering import Rendered
from broadcaster.configurations.shelf import ConfigurationShelf, example_facts
from broadcaster.configurations.steps import SeatFacts
from broadcaster.host.hosting import Hosting
from protocol.commands import PlannedSeat
from tests.broadcaster.host.test_hosting import HOSTING

SEATS = (
    PlannedSeat(machine="52:54:00:00:00:01", seat="pc-01"),
    PlannedSeat(machine="52:54:00:00:00:02", seat="Desk 2", hostname="desk-2"),
)


FACTS = example_facts("debian")[0]


class Written:
    """A folder with configurations."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "configurations"
        self.folder.mkdir()
        self.shelf = ConfigurationShelf(self.folder)

    def write(self, toml: str, name: str = "lab", /, **files: str | bytes) -> Path:
        """A configuration with files beside it; ``__`` in the name of one stands for a dot."""
        path = self.folder / f"{name}.toml"
        path.write_text(toml, encoding="utf-8")
        for file, content in files.items():
            there = self.folder / name / file.replace("__", ".")
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def rendered(self, toml: str, facts: SeatFacts = FACTS, /, **files: str | bytes) -> Rendered:
        self.write(toml, **files)
        return self.shelf.render("lab", facts)


def hosting(**changes: Any) -> Hosting:
    return msgspec.structs.replace(
        HOSTING, **{"image": "debian", "version": 3, "room": "Lab", "seats": SEATS, **changes}
    )
