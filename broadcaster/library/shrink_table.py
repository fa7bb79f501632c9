"""The partition table of a disk that has become smaller, and what had to move down on it.

sfdisk writes the table from its own dump: types, names, identities and attributes stay, sizes and starts change, and
the backup table gets to the new end.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from protocol.disk.source import Progress
from protocol.disk.system_tools import last_line, loop_device, need_tool, run_tool, tool_environment
from protocol.errors import RefusedError
from protocol.manifest import ManifestHeader

_PART: Final = 1 << 20
"""[bytes] that are moved at once"""

_HEADERS_OF_THE_OLD_DISK: Final = ("device:", "last-lba:")
_ENTRY: Final = re.compile(
    r"^(?P<node>\S+?)(?P<number>\d+) : start=\s*(?P<start>\d+), size=\s*(?P<size>\d+)(?P<rest>.*)$"
)

Layout = Mapping[int, tuple[int, int]]
"""Partition number: offset and length, in bytes."""


def move_down(disk: Path, source: int, target: int, length: int, progress: Progress) -> None:
    """Copy ``length`` bytes towards the beginning of a disk in a file; all in bytes, and they may overlap."""
    if source == target:
        return
    descriptor = os.open(disk, os.O_RDWR | os.O_CLOEXEC)
    try:
        for done in range(0, length, _PART):
            part = os.pread(descriptor, min(_PART, length - done), source + done)
            os.pwrite(descriptor, part, target + done)
            progress("moving partitions", done + len(part), length)
    finally:
        os.close(descriptor)


def cut_down(disk: Path, header: ManifestHeader, layout: Layout, size: int) -> None:
    """Cut the disk in a file to ``size`` bytes, and write its table anew with other places for some partitions.

    Raises:
        RefusedError: sfdisk does not take it.
    """
    sector_size = header.logical_sector_size
    with loop_device(disk, 0, header.disk_size, sector_size) as device:
        ran = run_tool(need_tool("sfdisk"), "--dump", str(device))
        if ran.returncode != 0:
            raise RefusedError(f"the partition table cannot be read: {last_line(ran.stderr)}")
        script = changed(ran.stdout.splitlines(), layout, sector_size)
    os.truncate(disk, size)
    with loop_device(disk, 0, size, sector_size, is_writable=True) as device:
        written = subprocess.run(
            [need_tool("sfdisk"), "--no-reread", "--no-tell-kernel", "--wipe=never", "--wipe-partitions=never", device],
            check=False,
            input="\n".join(script) + "\n",
            capture_output=True,
            text=True,
            errors="replace",
            env=tool_environment(),
        )
        if written.returncode != 0:
            raise RefusedError(f"sfdisk does not take the new partition table: {last_line(written.stderr)}")


def changed(dump: list[str], layout: Layout, sector_size: int) -> list[str]:
    """The lines of a dump with other places for some partitions, and without what belongs to the old size.

    Raises:
        RefusedError: a partition that has to move is not in it.
    """
    script, seen = [], set()
    for line in dump:
        entry = _ENTRY.match(line)
        if entry is not None and int(entry["number"]) in layout:
            offset, length = layout[int(entry["number"])]
            seen.add(int(entry["number"]))
            start, count = offset // sector_size, length // sector_size
            script.append(f"{entry['node']}{entry['number']} : start={start}, size={count}{entry['rest']}")
        elif not line.startswith(_HEADERS_OF_THE_OLD_DISK):
            script.append(line)
    if seen != set(layout):
        raise RefusedError("the partition table has changed since the image was added")
    return script
