"""Which blocks of a partition are free, as its own file system says, through partclone's domain maps.

The question is always "which bytes are proved to be free"; whatever nobody vouches for counts as used, so a missing
tool, an unknown or a damaged file system costs space and never data. Each answer says in words where it came from.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocol.disk.clean_checks import why_not_clean
from protocol.disk.partitions import Partition
from protocol.disk.source import Source
from protocol.disk.system_tools import find_tool, last_line, loop_device, run_tool
from protocol.errors import SourceError
from protocol.ranges import RangeSet

_PARTCLONE: Final = {
    "ext2": "extfs",
    "ext3": "extfs",
    "ext4": "extfs",
    "ntfs": "ntfs",
    "vfat": "vfat",
    "exfat": "exfat",
    "xfs": "xfs",
    "btrfs": "btrfs",
}
"""blkid's name of a file system: the partclone that reads it. Only those whose cleanliness we can check are in here."""

_SWAP_HEADER: Final = 64 * 1024
"""[bytes] The largest page that Linux has; mkswap's header is one page, the rest is scratch space."""

_FREE: Final = "?"
_DOMAIN_FIELDS: Final = 3
_CUT_SHORT: Final = 1024 * 1024
"""[bytes] A bare file system that is longer than its image by this much was cut short; less may be rounding."""

_MappedRange = tuple[int, int, bool]


@dataclass(frozen=True)
class UsedBlocks:
    """What is known about one partition."""

    method: str
    """where the answer came from, for people"""
    free: RangeSet
    """bytes from the start of the disk that are proved to be free"""

    def used_bytes(self, partition: Partition) -> int:
        """Bytes of the partition that are not free."""
        return partition.length - len(self.free)


def find_used_blocks(source: Source, partition: Partition, scratch: Path) -> UsedBlocks:
    """Ask the file system of a partition; ``scratch`` is a folder for partclone's map.

    Raises:
        SourceError: the image ends before its file system does.
    """
    filesystem = partition.filesystem
    if filesystem == "swap":
        free = RangeSet([(partition.offset + _SWAP_HEADER, partition.offset + partition.length)])
        return UsedBlocks("swap header", free)
    if filesystem not in _PARTCLONE:
        return every_block(f"{filesystem} is kept whole" if filesystem else "no known file system")
    name = f"partclone.{_PARTCLONE[filesystem]}"
    partclone = find_tool(name)
    if partclone is None:
        return every_block(f"{name} is not installed: apt install partclone")
    try:
        with _as_device(source, partition) as device:
            doubt = why_not_clean(filesystem, device)
            mapped = [] if doubt else _map_blocks(partclone, device, scratch / "domain.map")
    except PermissionError:
        doubt = "finding free space in an image file takes root"
    except (OSError, ValueError) as error:
        doubt = f"{name}: {error}"
    if doubt:
        return every_block(doubt)
    overhang = max((stop for _, stop, _ in mapped), default=0) - partition.length
    if overhang >= _CUT_SHORT and partition.number == 0:
        raise SourceError(source.origin, f"is cut short: its file system is {overhang} bytes longer")
    if overhang > 0:
        return every_block("the file system is longer than its partition")
    offset = partition.offset
    return UsedBlocks(name, RangeSet((offset + start, offset + stop) for start, stop, is_free in mapped if is_free))


def every_block(reason: str) -> UsedBlocks:
    """The answer when nobody can say what is free."""
    return UsedBlocks(f"all non-zero chunks ({reason})", RangeSet())


@contextmanager
def _as_device(source: Source, partition: Partition) -> Iterator[Path]:
    """A path that partclone can take for the partition alone; PermissionError if only root could make one."""
    if os.geteuid() == 0:
        with loop_device(source.path, partition.offset, partition.length) as path:
            yield path
    elif partition.offset == 0 and partition.length == source.size:
        yield source.path
    else:
        raise PermissionError


def _map_blocks(partclone: str, device: Path, domain_map: Path) -> list[_MappedRange]:
    """What partclone says about the whole device; ValueError with its reason if it cannot say."""
    try:
        files = ("--source", str(device), "--overwrite", str(domain_map), "--logfile", os.devnull)
        # Without --UI-fresh=0 its progress thread sleeps two seconds for every partition.
        ran = run_tool(partclone, "--domain", "--UI-fresh=0", *files)
        if ran.returncode != 0:
            raise ValueError(_complaint(ran.stderr))
        with domain_map.open(encoding="ascii", errors="replace") as lines:
            return list(parse_domain_map(lines))
    finally:
        domain_map.unlink(missing_ok=True)


def parse_domain_map(lines: Iterable[str]) -> Iterator[_MappedRange]:
    """The (start, stop, is free) of a map in ddrescue's format: position, size and status in each line.

    Raises:
        ValueError: this is no such map.
    """
    for line in lines:
        fields = line.split()
        if line.startswith("#") or len(fields) != _DOMAIN_FIELDS:
            continue  # comments, and ddrescue's own line about where it stopped
        start, length = int(fields[0], 16), int(fields[1], 16)
        yield start, start + length, fields[2] == _FREE


def _complaint(output: str) -> str:
    """Partclone's reason: the line before its parting words."""
    telling = [line for line in output.splitlines() if not line.startswith(("Partclone fail", "Error exit"))]
    return last_line("\n".join(telling))
