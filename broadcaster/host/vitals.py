"""How the machine of a host is: its disk and its network interface, and what an operator should mend there."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from protocol.link.interfaces import InterfaceInfo

LITTLE_SPACE: Final = 0.05
"""Share of the library's file system below which the operator is warned."""

_SPEED_UNKNOWN: Final = 65_535
"""[Mbit/s] What some drivers say for -1 (linux/ethtool.h, SPEED_UNKNOWN)."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """At one moment."""

    bytes_free: int
    bytes_total: int
    link_bits_per_second: int
    """0 when the interface does not tell"""
    is_link_up: bool
    warnings: tuple[str, ...]
    """one sentence each"""


def read_vitals(interface: InterfaceInfo, library: Path) -> Vitals:
    """Look; blocks for a moment, never raises."""
    warnings = []
    free = total = 0
    try:
        usage = shutil.disk_usage(library)
        free, total = usage.free, usage.total
    except OSError as error:
        warnings.append(f"the library at {library} cannot be reached: {error.strerror or error}; mount it again")
    if total and free < LITTLE_SPACE * total:
        left = f"{free / 1e9:.1f} GB free"
        warnings.append(f"the disk of the library is nearly full ({left}): remove images, or enlarge it")
    stats = psutil.net_if_stats().get(interface.name)
    is_up = stats is not None and stats.isup
    if not is_up:
        warnings.append(f"interface {interface.name} is down: nobody can be reached; check the cable")
    speed = stats.speed * 1_000_000 if stats is not None and 0 < stats.speed < _SPEED_UNKNOWN else 0
    return Vitals(free, total, speed, is_up, tuple(warnings))
