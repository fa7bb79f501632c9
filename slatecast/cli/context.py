"""What all commands share: the options that stand before the command."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Context:
    """Carried in ``click.Context.obj``."""

    library: Path
    """folder of the image library"""


def default_library() -> Path:
    """The library when nobody names one: in the user's data folder, by the XDG base directory specification."""
    data_home = os.environ.get("XDG_DATA_HOME", "")
    base = Path(data_home) if Path(data_home).is_absolute() else Path.home() / ".local" / "share"
    return base / "slatecast" / "library"
