import shutil
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from broadcaster.host.vitals import Vitals, read_vitals
from protocol.link.interfaces import InterfaceInfo

ETH = InterfaceInfo("eth0", 2, "192.0.2.7", None, 1500, None, False, False)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """One whose cable and disk a test can change."""
    machine = SimpleNamespace(isup=True, speed=1000, free=50, total=100)
    monkeypatch.setattr(psutil, "net_if_stats", lambda: {"eth0": machine})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: machine)
    return machine


def test_all_is_well(tmp_path: Path) -> None:
    assert read_vitals(ETH, tmp_path) == Vitals(50, 100, 10**9, is_link_up=True, warnings=())


@pytest.mark.parametrize("speed", [0, -1, 65_535])
def test_a_speed_that_nobody_tells(tmp_path: Path, machine: SimpleNamespace, speed: int) -> None:
    machine.speed = speed
    assert read_vitals(ETH, tmp_path).link_bits_per_second == 0


def test_what_an_operator_should_mend(
    tmp_path: Path, machine: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.isup, machine.free = False, 4
    full, down = read_vitals(ETH, tmp_path).warnings
    assert "the disk of the library is nearly full (0.0 GB free)" in full
    assert down == "interface eth0 is down: nobody can be reached; check the cable"
    monkeypatch.setattr(psutil, "net_if_stats", dict)
    assert not read_vitals(ETH, tmp_path).is_link_up


def test_a_library_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(psutil, "net_if_stats", dict)
    vitals = read_vitals(ETH, tmp_path / "gone")
    assert (vitals.bytes_free, vitals.bytes_total) == (0, 0)
    assert "cannot be reached: No such file or directory" in vitals.warnings[0]
