"""Restarts this PC or switches it off: the one place that does, and only in the environment."""

from protocol.disk.system_tools import need_tool, run_tool
from slatecast.seat.events import Afterwards


def leave_machine(how: Afterwards) -> None:
    """Return at once, or not at all; there is nothing here that an orderly shutdown would save.

    Raises:
        LibraryError: the program that does it is not installed.
    """
    name = "reboot" if how is Afterwards.RESTART else "poweroff"
    run_tool(need_tool(name), "-f")
