"""Whether a disk is labelled to be kept: a GPT partition with one of the names that say so.

``partx`` reads the table from the disk itself, so that it needs neither udev nor a kernel that knows the partitions,
and reads files as well. Only looks.
"""

import subprocess
from typing import Final

from protocol.errors import TargetError

KEEP_LABELS: Final = ("keep", "slatecast-keep")
"""Whoever gives a partition one of these names, in any case, keeps its disk from being overwritten."""

_TIMEOUT: Final = 30
"""[s] As for lsblk: longer than a disk needs to spin up; a dying disk may hang for ever."""


def keep_label(path: str) -> str:
    """The name that keeps the disk or file at ``path``; empty if it has none, or no table at all.

    Raises:
        TargetError: it cannot be looked at.
    """
    command = ["partx", "--raw", "--noheadings", "--output", "NAME", "--", path]
    try:
        # It fails where there is no table, and there nothing is labelled.
        answer = subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT).stdout
    except FileNotFoundError as error:
        raise TargetError(path, "cannot be looked at without partx; install util-linux") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetError(path, f"cannot be looked at by partx: {error}") from error
    names = answer.decode(errors="replace").splitlines()
    return next((name for name in names if name.strip().lower() in KEEP_LABELS), "")
