import subprocess
import sys

import pytest

from tests.cgroup import Cgroup, missing_control

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(missing_control() is not None, reason=f"{missing_control()}"),
]

MIB = 2**20


def run(group: Cgroup, code: str) -> subprocess.CompletedProcess[str]:
    command = group.command([sys.executable, "-c", code])
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)


def test_who_needs_more_memory_than_there_is_is_killed() -> None:
    with Cgroup(memory=64 * MIB) as group:
        assert run(group, "bytearray(32 << 20)").returncode == 0
        assert group.kills() == 0
        assert 32 * MIB < group.peak_memory() <= 64 * MIB
        assert run(group, "bytearray(128 << 20)").returncode == -9
        assert group.kills() == 1


def test_a_quota_makes_work_slower() -> None:
    work = "import time; t = time.monotonic(); [None for _ in range(5_000_000)]; print(time.monotonic() - t)"
    with Cgroup() as free, Cgroup(cpus=0.1) as slow:
        assert float(run(slow, work).stdout) > 3 * float(run(free, work).stdout)


def test_a_running_process_is_adopted_and_dies_with_the_group() -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        with Cgroup(cpus=0.5) as group:
            group.adopt(process.pid)
        assert process.wait(5) == -9


def test_whoever_was_started_inside_dies_with_the_group() -> None:
    with Cgroup(memory=64 * MIB) as group:
        script = "sleep 1000 & echo started; exec sleep 1000"
        process = subprocess.Popen(group.command(["sh", "-c", script]), stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
    # Its child held the other end of the pipe, which ends when both are gone.
    assert process.communicate(timeout=5)[0] == ""
    assert process.returncode == -9
