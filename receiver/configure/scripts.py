"""A script of the site, run inside the Linux system on the disk: with a limit, without a network unless it asks.

It lies in /run while it runs, so that nothing of it stays; /boot and the EFI partition are mounted for it. What it
printed last is in the report, whatever its end.
"""

import shutil
from typing import Final

from protocol.configuration import ScriptStep
from receiver.configure.boot_mounts import boot_mounted
from receiver.configure.enclosure import enclosed
from receiver.configure.outcome import Outcome, done, failed
from receiver.configure.place import Place

NAME: Final = "slatecast-script"
"""Of the script in /run; what it is called by people may be any path."""

_NOT_EXECUTABLE: Final = 126
_NOT_FOUND: Final = 127


def run_script(place: Place, step: ScriptStep) -> Outcome:
    """Carry it out; it has failed unless it ends in time, and with code 0.

    Raises:
        RefusedError: no Linux is on the disk.
        DiskError: the disk cannot be used.
    """
    with (
        place.disk.linux_root(executable=True) as root,
        boot_mounted(place.disk, root),
        enclosed(place.disk.stopping, root, has_network=step.has_network, has_disks=step.has_disks) as enclosure,
    ):
        script = enclosure.run_folder / NAME
        shutil.copyfile(place.file(step.file), script)
        script.chmod(0o700)
        ran = enclosure.run(f"/run/{NAME}", *step.arguments, limit=step.limit_seconds)
    if ran.is_late:
        reason = f"killed after {step.limit_seconds} s, its limit"
    elif ran.code in (_NOT_EXECUTABLE, _NOT_FOUND) and "unshare:" in ran.output:
        reason = "the system has no interpreter for it: its first line must name a program of the target, as #!/bin/sh"
    elif ran.code < 0:
        reason = f"killed by signal {-ran.code}"
    elif ran.code > 0:
        reason = f"ended with code {ran.code}"
    else:
        return done(f"ended well: {ran.last_lines(1)}")
    return failed(f"{reason}; last said: {ran.last_lines()}")
