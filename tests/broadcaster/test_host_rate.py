import fcntl
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from broadcaster.host_rate import LONGEST_QUEUE, HostRate
from broadcaster.pacing import BURST_SECONDS
from protocol.errors import ConfigError

CAP = 8_000_000  # 1 MB/s: a kilobyte takes a millisecond

SENDING_PROCESS = """
import sys, time
from pathlib import Path
from broadcaster.host_rate import HostRate
folder, cap, seconds, length = Path(sys.argv[1]), *map(int, sys.argv[2:5])
with HostRate("eth0", cap, folder=folder) as rate:
    print("ready", flush=True)
    sys.stdin.readline()
    end, sent = time.monotonic() + seconds, 0
    while True:
        wait = rate.reserve(length)
        if time.monotonic() + wait >= end:
            break
        time.sleep(wait)
        sent += length
print(sent)
"""


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def state_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_what_one_sends_all_wait_for(tmp_path: Path) -> None:
    clock = Clock()
    with (
        HostRate("eth0", CAP, folder=tmp_path, clock=clock) as one,
        HostRate("eth0", CAP, folder=tmp_path, clock=clock) as other,
    ):
        assert one.reserve(2000) == pytest.approx(0.0)
        assert other.reserve(1000) == pytest.approx(0.002)
        assert one.reserve(1000) == pytest.approx(0.003)
        clock.now += 0.004
        assert other.reserve(1000) == pytest.approx(0.0)


def test_interfaces_do_not_share(tmp_path: Path) -> None:
    clock = Clock()
    with (
        HostRate("eth0", CAP, folder=tmp_path, clock=clock) as one,
        HostRate("../eth1", CAP, folder=tmp_path, clock=clock) as other,
    ):
        one.reserve(100_000)
        assert other.reserve(1000) == 0.0
    assert len(list(tmp_path.iterdir())) == 2


def test_a_pause_buys_a_burst_and_no_more(tmp_path: Path) -> None:
    clock = Clock()
    with HostRate("eth0", CAP, folder=tmp_path, clock=clock) as rate:
        rate.reserve(1000)
        clock.now += 1000.0
        sent = 0
        while rate.reserve(100) == 0.0:
            sent += 100
        assert sent == pytest.approx(BURST_SECONDS * CAP / 8, abs=200)


@pytest.mark.parametrize("process_count", [1, 2, 5])
def test_together_they_use_all_of_the_cap_and_share_it(tmp_path: Path, process_count: int) -> None:
    # Each has one batch under way at most and wakes up late, as real ones do.
    rng, clock = random.Random(process_count), Clock()
    rates = [HostRate("eth0", CAP, folder=tmp_path, clock=clock) for _ in range(process_count)]
    sent, wakes_at = [0] * process_count, [clock.now] * process_count
    end = clock.now + 20.0
    while min(wakes_at) < end:
        each = wakes_at.index(min(wakes_at))
        clock.now = wakes_at[each]
        length = rng.randrange(1500, 10_000)
        sent[each] += length
        wakes_at[each] = clock.now + rates[each].reserve(length) + rng.uniform(0.0, BURST_SECONDS / 2)
    for rate in rates:
        rate.close()
    assert sum(sent) == pytest.approx(20.0 * CAP / 8, rel=0.02)
    assert max(sent) < 1.1 * min(sent)


@pytest.mark.parametrize("stale", [struct.pack("=d", 1e9), struct.pack("=d", float("nan")), b"", b"abc", b"\xff" * 8])
def test_a_state_that_cannot_be_true_is_not_waited_for(tmp_path: Path, stale: bytes) -> None:
    clock = Clock()
    with HostRate("eth0", CAP, folder=tmp_path, clock=clock) as rate:
        state_file(tmp_path).write_bytes(stale)
        assert 0.0 <= rate.reserve(1000) <= LONGEST_QUEUE
        assert rate.reserve(1000) == pytest.approx(0.001)


def test_a_stopped_holder_of_the_lock_stops_nobody(tmp_path: Path) -> None:
    with HostRate("eth0", CAP, folder=tmp_path) as rate:
        descriptor = os.open(state_file(tmp_path), os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert rate.reserve(1000) == 0.0
        os.close(descriptor)


def test_the_file_is_ours_alone(tmp_path: Path) -> None:
    HostRate("eth0", CAP, folder=tmp_path).close()
    path = state_file(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert str(os.getuid()) in path.name
    assert "eth0" in path.name
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="remove it"):
        HostRate("eth0", CAP, folder=tmp_path)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot be capped"):
        HostRate("eth0", CAP, folder=tmp_path)
    assert not (tmp_path / "elsewhere").exists()
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(ConfigError, match="remove it"):
        HostRate("eth0", CAP, folder=tmp_path)


def test_what_cannot_be_a_cap_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sends nothing"):
        HostRate("eth0", 0, folder=tmp_path)
    with pytest.raises(ConfigError, match="No such file"):
        HostRate("eth0", CAP, folder=tmp_path / "missing")


def test_closing_twice_has_no_effect(tmp_path: Path) -> None:
    rate = HostRate("eth0", CAP, folder=tmp_path)
    rate.close()
    rate.close()


def start(folder: Path, *, cap: int, seconds: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", SENDING_PROCESS, str(folder), str(cap), str(seconds), "10000"]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.system
def test_processes_keep_to_the_cap_together_and_outlive_one_that_is_killed(tmp_path: Path) -> None:
    cap = 80_000_000
    processes = [start(tmp_path, cap=cap, seconds=1) for _ in range(3)]
    killed = start(tmp_path, cap=cap, seconds=60)
    before = time.monotonic()
    for process in [killed, *processes]:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    killed.send_signal(signal.SIGKILL)
    sent = [int(process.communicate(timeout=30)[0]) for process in processes]
    elapsed = time.monotonic() - before
    killed.communicate(timeout=30)
    assert sum(sent) * 8 <= cap * (elapsed + BURST_SECONDS) + 3 * 80_000
    assert sum(sent) * 8 >= cap * 0.7
    assert min(sent) > max(sent) / 2
