import json
import subprocess
from pathlib import Path

import pytest

from protocol.disk.system_tools import find_tool, tool_environment
from protocol.errors import ConfigError, RefusedError
from slatecast import sample_disk
from slatecast.sample_disk import EFI_START, MIB, SYSTEM_START, TOOLS, build_sample_disk

MISSING_PACKAGES = sorted(package for tool, package in TOOLS.items() if find_tool(tool) is None)

needs_tools = pytest.mark.skipif(bool(MISSING_PACKAGES), reason=f"needs apt-get install {' '.join(MISSING_PACKAGES)}")

SMALL = {"disk_size": 256 * MIB, "used_bytes": 12 * MIB}


@needs_tools
@pytest.mark.system
@pytest.mark.slow
def test_disk_is_what_a_pc_has(tmp_path: Path) -> None:
    disk = tmp_path / "a disk"
    build_sample_disk(disk, **SMALL)
    assert disk.stat().st_size == SMALL["disk_size"]
    assert SMALL["used_bytes"] / 2 < disk.stat().st_blocks * 512 < 3 * SMALL["used_bytes"], "the file is not sparse"
    assert list(tmp_path.iterdir()) == [disk]

    table = json.loads(_run("sfdisk", "--json", disk))["partitiontable"]
    assert table["label"] == "gpt"
    assert [(part["name"], part["start"] * 512) for part in table["partitions"]] == [
        ("EFI", EFI_START),
        ("system", SYSTEM_START),
    ]
    assert "README" in _run("mdir", "-i", f"{disk}@@{EFI_START}", "::/")

    system = tmp_path / "system"
    length = table["partitions"][1]["size"] * 512
    with disk.open("rb") as whole, system.open("wb") as part:
        whole.seek(SYSTEM_START)
        part.write(whole.read(length))
    _run("e2fsck", "-fn", system)
    sample = next(path for path, size in sample_disk._regular_files(Path("/usr/bin")) if 0 < size < MIB)
    _run("debugfs", "-R", f"dump {sample} {tmp_path / 'copy'}", system)
    assert (tmp_path / "copy").read_bytes() == sample.read_bytes()


@needs_tools
@pytest.mark.system
@pytest.mark.slow
def test_same_machine_gives_the_same_files(tmp_path: Path) -> None:
    listings = []
    for disk in (tmp_path / "one", tmp_path / "two"):
        build_sample_disk(disk, **SMALL)
        listings.append(_run("debugfs", "-R", "ls -p /usr/bin", f"{disk}?offset={SYSTEM_START}"))
    assert listings[0].count("/") > 10
    assert listings[0] == listings[1]


@pytest.mark.parametrize("sizes", [{"used_bytes": 2000 * MIB}, {"disk_size": 100 * MIB}, {"disk_size": 2048 * MIB + 1}])
def test_files_that_do_not_fit_are_refused(tmp_path: Path, sizes: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="need a disk of whole sectors with at least"):
        build_sample_disk(tmp_path / "disk", **sizes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("tool", "package"), TOOLS.items())
def test_missing_tool_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str, package: str
) -> None:
    monkeypatch.setattr(sample_disk, "find_tool", lambda name: None if name == tool else "/bin/true")
    with pytest.raises(RefusedError, match=f"needs {tool}: apt install {package}"):
        build_sample_disk(tmp_path / "disk", **SMALL)


def test_tool_that_fails_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_disk, "find_tool", lambda name: "/bin/false")
    with pytest.raises(RefusedError, match="sfdisk: no reason given"):
        build_sample_disk(tmp_path / "disk", **SMALL)
    assert list(tmp_path.iterdir()) == []


@needs_tools
def test_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="cannot be written: No such file or directory"):
        build_sample_disk(tmp_path / "missing" / "disk", **SMALL)


def _run(tool: str, *arguments: str | Path) -> str:
    command = [find_tool(tool) or tool, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=tool_environment()).stdout
