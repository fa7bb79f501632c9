"""``python -m tests.lab``: real virtual machines through all of it, step by step, and a table at the end.

Takes root, and the Debian packages that ``scripts/install-packages test`` installs. What is left of a run that failed,
consoles and screens of its machines, stays in the folder that is named.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.lab import reference_machine, virtual_machine
from tests.lab.environment_folder import missing_for_environment
from tests.lab.network import Lab, LabError, missing_requirement
from tests.lab.served_site import ServedSite
from tests.lab.steps import PCS
from tests.lab.whole_way import STEPS, Way


def main() -> int:
    """Run the steps in their order, up to the first that fails; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument("--pcs", nargs="*", default=[pc.seat for pc in PCS], help="only these PCs")
    parser.add_argument("--keep", action="store_true", help="keep the folder also when all goes well")
    options = parser.parse_args()
    console = Console()
    for missing in (
        missing_requirement(),
        virtual_machine.missing_requirement(),
        reference_machine.missing_requirement(),
        missing_for_environment(),
    ):
        if missing:
            console.print(f"the lab {missing}")
            return 2
    folder = Path(tempfile.mkdtemp(prefix="slatecast-lab-"))
    pcs = tuple(pc for pc in PCS if pc.seat in options.pcs)
    is_done = False
    try:
        with Lab(0) as lab, ServedSite(folder, lab) as site:
            is_done = _run(Way(site, pcs), console)
    finally:
        if is_done and not options.keep:
            shutil.rmtree(folder)
        else:
            console.print(f"what is left lies in {folder}")
    return 0 if is_done else 1


def _run(way: Way, console: Console) -> bool:
    table = Table("step", "outcome", "time")
    is_done = True
    for title, step in STEPS.items():
        console.print(f"[bold]{title}[/bold]: {(step.__doc__ or title).splitlines()[0]}")
        began = time.monotonic()
        try:
            outcome = step(way)
        except (LabError, AssertionError) as error:
            is_done, outcome = False, f"[red]failed[/red]: {str(error)[-600:]}"
        seconds = time.monotonic() - began
        console.print(f"  {outcome} ({seconds:.0f} s)")
        table.add_row(title, outcome, f"{seconds:.0f} s")
        if not is_done:
            break
    console.print(table)
    for seat, times in way.times.items():
        told = ", ".join(f"{what} {seconds:.0f}" for what, seconds in times.items() if what)
        console.print(f"{seat}, seconds from power-on: {told}")
    return is_done


if __name__ == "__main__":
    sys.exit(main())
