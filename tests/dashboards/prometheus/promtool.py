"""Debian's promtool: checks rules and configurations, and plays rules over series."""

import shutil
import subprocess
from pathlib import Path

import pytest

PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")

needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None or PROMTOOL is None, reason="needs Prometheus: sudo apt-get install prometheus"
)


def promtool(*argv: object, folder: Path) -> str:
    """What it says; fails when it finds fault."""
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, *map(str, argv)], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
