"""How commands print facts and tables on standard output."""

import sys
from collections.abc import Iterable
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_WIDTH_OF_A_FILE: Final = 500
"""[columns] wider than any of our tables"""


def output_console() -> Console:
    """Standard output; lines are cut to a terminal's width, never to that of a pipe or a file."""
    return Console() if sys.stdout.isatty() else Console(width=_WIDTH_OF_A_FILE)


def facts_table(facts: Iterable[tuple[str, str]]) -> Table:
    """Names and values, one pair a line; long values are folded, not cut."""
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, escape(value))
    return table
