"""How much the fault tests do: a good sample in ``make test``, everything with SLATECAST_FAULTS=full."""

import os
from typing import Final

IS_FULL: Final = os.environ.get("SLATECAST_FAULTS") == "full"
"""``SLATECAST_FAULTS=full .venv/bin/python -m pytest tests/faults``: 50 bad places, 500 cuts, stalls of 30 s."""
