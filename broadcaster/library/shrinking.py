"""Making the disk of an image smaller: its next version, for PCs with a smaller disk than the one it was taken from.

    export, sparse --> check, shrink the file system --> move down what is behind it --> cut off the end
        --> write the table anew, backup table at the new end --> check again --> add as the next version

All of it happens to a copy in the library's scratch folder; the library changes in the last step, as by any other
``add_image``, and only by the chunks that it does not have. Whatever goes wrong before leaves it as it was.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.filesize import decimal

from broadcaster.library.adding import AddOutcome, add_image
from broadcaster.library.exporting import export_image
from broadcaster.library.library import Library, describe
from broadcaster.library.scratch import scratch_folder
from broadcaster.library.shrink_table import cut_down, move_down
from broadcaster.library.shrink_tools import TOOLS
from broadcaster.library.store import full_library, library_errors
from protocol.disk.codec import DEFAULT_LEVEL
from protocol.disk.source import Progress, open_raw
from protocol.disk.system_tools import loop_device
from protocol.disk_fit import ShrinkChoice, aligned, choose, least_size, why_not_smaller
from protocol.errors import ConfigError, DiskError, RefusedError
from protocol.manifest import Manifest, ManifestHeader, PartitionInfo
from protocol.signing import SigningKey

_RESERVE: Final = 64 << 20
"""[bytes] that are to be left on the library's disk beside the copy."""


@dataclass(frozen=True)
class ShrinkOutcome:
    """What making an image smaller did."""

    before: ManifestHeader
    partition: PartitionInfo | None
    """whose file system is smaller now; None where free space behind the last partition was enough"""
    moved: tuple[PartitionInfo, ...]
    """what lay behind it and lies further down now"""
    added: AddOutcome


def shrink_image(
    library: Library,
    name: str,
    version: int | None,
    disk_size: int | None,
    *,
    level: int = DEFAULT_LEVEL,
    signer: SigningKey | None = None,
    progress: Progress = lambda _what, _done, _total: None,
    on_wait: Callable[[], None] = lambda: None,
) -> ShrinkOutcome:
    """Add a version of an image whose disk has at most ``disk_size`` bytes; as small as it gets without one.

    Args:
        library: the library; waits, after calling ``on_wait``, while another command changes it.
        name: of the image.
        version: the newest without one.
        disk_size: bytes.
        level: of zstd.
        signer: the image key; None where it is kept elsewhere.
        progress: called with what is being done, and bytes done and in all; may raise to end it.
        on_wait: see ``library``.

    Raises:
        ConfigError: not root, or no name that an image can have.
        RefusedError: it cannot be made that small; the text has the figure. Nothing has changed.
        IntegrityError: a chunk of the image is damaged.
    """
    manifest = library.load(name, version)
    header = manifest.header
    wanted = _checked_size(header, disk_size)
    if os.geteuid() != 0:
        raise ConfigError("making an image smaller takes loop devices: run this as root")
    choice = choose(header)
    with scratch_folder(library) as folder:
        _need_room(library, manifest)
        copy = folder / "disk"
        with library_errors(library.root):
            try:
                export_image(library, manifest, copy, progress=progress)
            except DiskError as error:
                raise full_library(library.root) from error
        new_size = _shrink(copy, header, choice, wanted, progress)
        if new_size >= header.disk_size:
            raise RefusedError(f"{describe(header)}, cannot be made smaller than it is")
        with open_raw(copy, f"{describe(header)}, made smaller", header.logical_sector_size) as source:
            added = add_image(
                library, copy, name, level=level, signer=signer, opened=source, progress=progress, on_wait=on_wait
            )
    return ShrinkOutcome(header, choice.partition, choice.behind, added)


def _checked_size(header: ManifestHeader, disk_size: int | None) -> int | None:
    """The size that is asked for in whole sectors, if the header does not rule it out."""
    why_not = why_not_smaller(header)
    if why_not:
        raise RefusedError(f"{describe(header)}, cannot be made smaller: {why_not}")
    if disk_size is None:
        return None
    if disk_size >= header.disk_size:
        raise RefusedError(
            f"{describe(header)}, has {_exactly(header.disk_size)} and fits on a disk of {_exactly(disk_size)} as it is"
        )
    least = least_size(header)
    if disk_size < least:
        raise RefusedError(
            f"{describe(header)}, cannot be made as small as {_exactly(disk_size)}: by what its file systems hold it "
            f"needs about {_exactly(least)}; free some space on the reference machine and capture it again"
        )
    return disk_size // header.logical_sector_size * header.logical_sector_size


def _need_room(library: Library, manifest: Manifest) -> None:
    needed = sum(chunk.raw_length for chunk in manifest) + _RESERVE
    free = shutil.disk_usage(library.root).free
    if free < needed:
        raise RefusedError(
            f"library {library.root} has {decimal(free)} free, and the copy to work on takes {decimal(needed)}: "
            "free some space; nothing was changed"
        )


def _shrink(copy: Path, header: ManifestHeader, choice: ShrinkChoice, wanted: int | None, progress: Progress) -> int:
    """Make the disk in the file ``copy`` smaller; returns its bytes."""
    length = 0
    if choice.partition is not None:
        length = _shrink_file_system(copy, header, choice, wanted, progress)
    size = choice.disk_size(length, header)
    if wanted is not None and size > wanted:
        raise RefusedError(f"{describe(header)}, cannot be made smaller than {_exactly(size)}; nothing was changed")
    progress("moving partitions", 0, 0)
    layout = {}
    if choice.partition is not None:
        start = aligned(choice.partition.offset + length)
        layout[choice.partition.number] = (choice.partition.offset, length)
        for partition in choice.behind:
            move_down(copy, partition.offset, start, partition.length, progress)
            layout[partition.number] = (start, partition.length)
            start += aligned(partition.length)
    size = wanted if wanted is not None else size
    cut_down(copy, header, layout, size)
    if choice.partition is not None:
        progress(f"checking {choice.partition.filesystem}", 0, 0)
        with _device(copy, choice.partition.offset, length, header) as device:
            TOOLS[choice.partition.filesystem].finish(device)
            TOOLS[choice.partition.filesystem].check(device)
    return size


def _shrink_file_system(
    copy: Path, header: ManifestHeader, choice: ShrinkChoice, wanted: int | None, progress: Progress
) -> int:
    """Returns the bytes of the partition from now on."""
    partition = choice.partition
    assert partition is not None
    tool = TOOLS[partition.filesystem]
    with _device(copy, partition.offset, partition.length, header) as device:
        progress(f"checking {partition.filesystem}", 0, 0)
        tool.check(device)
        least = aligned(tool.least_length(device))
        length = least if wanted is None else choice.length_for(wanted)
        if length < least:
            raise RefusedError(
                f"{describe(header)}, cannot be made as small as {_exactly(wanted or 0)}: its {partition.filesystem} "
                f"says that the disk needs {_exactly(choice.disk_size(least, header))}; nothing was changed"
            )
        length = min(length, partition.length)
        progress(f"shrinking {partition.filesystem}", 0, 0)
        tool.shrink(device, length)
    return length


def _device(copy: Path, offset: int, length: int, header: ManifestHeader) -> AbstractContextManager[Path]:
    return loop_device(copy, offset, length, header.logical_sector_size, is_writable=True)


def _exactly(count: int) -> str:
    return f"{decimal(count)} ({count} bytes)"
