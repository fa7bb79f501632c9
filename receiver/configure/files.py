"""Files of the site, and drivers for the machines that match: each whole, beside what was there, then renamed."""

import fnmatch
from contextlib import AbstractContextManager
from typing import Final

from protocol.configuration import ConfiguredFile, DriverSet, DriversStep, FilesStep, System
from receiver.configure.outcome import Outcome, done, skipped
from receiver.configure.place import Machine, Place
from receiver.configure.target_root import TargetRoot

_NEW: Final = ".slatecast-new"
_SMALL: Final = 1 << 20
"""[bytes] of a file that is compared with what is there before it is written."""


def write_files(place: Place, step: FilesStep) -> Outcome:
    """Carry it out; raises RefusedError or DiskError."""
    with system_root(place, step.system) as root:
        changed = [file.path for file in step.files if write_file(place, root, file)]
    if not changed:
        return skipped(f"{len(step.files)} files are there already")
    return done(f"{len(changed)} of {len(step.files)} files written: {', '.join(changed)}")


def copy_drivers(place: Place, step: DriversStep) -> Outcome:
    """Carry it out; raises RefusedError or DiskError."""
    sets = matching(step, place.machine)
    files = [file for each in sets for file in each.files]
    with system_root(place, step.system) as root:
        new = f"{step.folder.rstrip('/')}{_NEW}"
        root.remove_folder(new)
        for file in files:
            content = place.file(file)
            root.write(f"{new}/{file.path}", content, mode=file.mode, owner=file.owner, group=file.group)
        root.remove_folder(step.folder)
        if files:
            root.rename(new, step.folder)
    if not files:
        return skipped(f"no drivers for {place.machine}")
    return done(f"{len(files)} files of drivers for {place.machine} in {step.folder}")


def matching(step: DriversStep, machine: Machine) -> list[DriverSet]:
    """The sets for a machine."""
    return [
        each
        for each in step.sets
        if fnmatch.fnmatchcase(machine.vendor.casefold(), each.vendor.casefold())
        and fnmatch.fnmatchcase(machine.product.casefold(), each.product.casefold())
    ]


def write_file(place: Place, root: TargetRoot, file: ConfiguredFile) -> bool:
    """Put one file; whether anything changed."""
    fetched = place.file(file)
    content = fetched.read_bytes() if file.length <= _SMALL else fetched
    return root.write(file.path, content, mode=file.mode, owner=file.owner, group=file.group)


def system_root(place: Place, system: System) -> AbstractContextManager[TargetRoot]:
    """The root of the system that a step is for."""
    return place.disk.linux_root() if system is System.LINUX else place.disk.windows_root()
