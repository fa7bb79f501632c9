"""Which machine a figure comes from: printed above every bench, since a figure without it means nothing.

    python -m benches.machine

Versions come from the installed distributions and from dpkg, not from imports, so that asking costs no start-up.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import psutil
from rich.console import Console
from rich.table import Table

DISTRIBUTIONS: Final = ("slatecast", "cryptography", "zstandard", "blake3", "aiomqtt", "amqtt", "zfec", "reedsolo")
DEBIAN_PACKAGES: Final = ("udpcast", "uftp", "mosquitto", "iproute2", "nftables")
CPU_FLAGS: Final = ("ssse3", "avx2", "avx512bw", "gfni", "vaes", "vpclmulqdq", "asimd")
"""Those that a kernel of ours may choose by."""


def describe_machine() -> dict[str, str]:
    """Facts in words, in the order in which they are printed."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    facts = {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "features": " ".join(_features()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load (1, 5, 15 min)": load,
        "rmem_max": f"{_read('/proc/sys/net/core/rmem_max')} bytes",
    }
    return facts | _distributions() | _debian_packages(DEBIAN_PACKAGES)


def print_machine(console: Console, facts: dict[str, str]) -> None:
    """Print ``facts`` as two columns."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        table.add_row(name, value)
    console.print(table, highlight=False)
    console.print()


def _processor() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _features() -> list[str]:
    # x86 says "flags", ARM "Features".
    lines = (line for line in _read("/proc/cpuinfo").splitlines() if line.startswith(("flags", "Features")))
    present = set(next(lines, "").partition(":")[2].split())
    return [flag for flag in CPU_FLAGS if flag in present]


def _distributions() -> dict[str, str]:
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _debian_packages(names: Sequence[str]) -> dict[str, str]:
    if shutil.which("dpkg-query") is None:
        return {}
    query = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *names]
    output = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    return dict(line.split(maxsplit=1) for line in output.splitlines() if len(line.split()) == 2)


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return "unknown"


if __name__ == "__main__":
    print_machine(Console(), describe_machine())
