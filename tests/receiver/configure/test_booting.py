import json
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from protocol.configuration import BootStep, FirstBoot, StepState
from protocol.errors import DiskError
from receiver.configure.booting import FALLBACK, repair_boot
from receiver.configure.outcome import Outcome
from receiver.configure.place import Machine
from tests.receiver.configure.written_disk import PC, WrittenDisk, disk_of, real_disk, run

pytestmark = real_disk

EFI_PC = Machine("QEMU", "Standard PC", has_efi=True)

FIRMWARE = '''\
#!{python}
"""Stands for efibootmgr and the firmware behind it: keeps entries in a file, and prints them as version 17 does."""
import json, sys
from pathlib import Path
state = Path({state!r})
kept = json.loads(state.read_text())
words = sys.argv[1:]
value = {{word: words[at + 1] if at + 1 < len(words) else "" for at, word in enumerate(words)}}
kept["calls"].append(words)
if "--delete-bootnum" in words:
    del kept["entries"][value["--bootnum"]]
    kept["order"] = [each for each in kept["order"] if each != value["--bootnum"]]
elif "--create-only" in words:
    number = "%04X" % (max([int(each, 16) for each in kept["entries"]] or [0]) + 1)
    path = "HD(%s,GPT,%s,0x800,0x2000)/File(%s)" % (value["--part"], kept["uuid"], value["--loader"])
    kept["entries"][number] = [value["--label"], path]
elif "--bootorder" in words:
    kept["order"] = value["--bootorder"].split(",")
elif "--bootnext" in words:
    kept["next"] = value["--bootnext"]
else:
    print("BootCurrent: 0001\\nTimeout: 0 seconds\\nBootOrder: " + ",".join(kept["order"]))
    for number, (label, path) in sorted(kept["entries"].items()):
        print("Boot%s* %s\\t%s" % (number, label, path))
state.write_text(json.dumps(kept))
'''

NETWORK = ["UEFI PXEv4", "PciRoot(0x0)/Pci(0x3,0x0)/MAC(525400123456,1)/IPv4(0.0.0.0)"]


class Firmware:
    """The stand-in, and what it was told."""

    def __init__(self, folder: Path, uuid: str, entries: dict[str, list[str]], order: list[str]) -> None:
        self._state = folder / "firmware.json"
        self._state.write_text(json.dumps({"uuid": uuid, "entries": entries, "order": order, "next": "", "calls": []}))
        tool = folder / "bin/efibootmgr"
        tool.parent.mkdir()
        tool.write_text(FIRMWARE.format(python=run("which", "python3").strip(), state=str(self._state)))
        tool.chmod(0o755)

    @property
    def kept(self) -> dict[str, Any]:
        kept: dict[str, Any] = json.loads(self._state.read_text())
        return kept


@pytest.fixture
def disk(tmp_path: Path) -> WrittenDisk:
    made = disk_of(tmp_path / "disk.img", 8, "label: gpt\nstart=2048,size=8192,type=U\n", {1: "vfat"})
    put(made, tmp_path, "EFI/debian/shimx64.efi", "EFI/debian/grubx64.efi")
    return made


def put(disk: WrittenDisk, folder: Path, *paths: str) -> None:
    with disk.opened() as target:
        node = target.table().partitions[0].node
        for path in paths:
            (folder / "loader").write_text(path)
            for above in reversed(PurePosixPath(path).parents[:-1]):
                subprocess.run(["mmd", "-D", "s", "-i", node, f"::/{above}"], check=False, capture_output=True)
            run("mcopy", "-i", node, str(folder / "loader"), f"::/{path}")


def repaired(disk: WrittenDisk, machine: Machine = EFI_PC, **fields: Any) -> Outcome:
    with disk.place(machine=machine) as place:
        return repair_boot(place, BootStep(label="slatecast lab", **fields))


@pytest.fixture
def firmware(disk: WrittenDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Firmware:
    uuid = disk.table()["partitions"][0]["uuid"].lower()
    made = Firmware(
        tmp_path,
        uuid,
        {
            "0001": NETWORK,
            "0002": ["slatecast last year", "HD(2,GPT,0-0,0x0,0x1)/File(\\EFI\\old\\grubx64.efi)"],
            "0003": ["Setup", "FvVol(1)/FvFile(2)"],
        },
        ["0002", "0001", "0003", "0009"],
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin")
    return made


@pytest.mark.parametrize(
    ("first", "order"),
    [
        (FirstBoot.NETWORK, ["0001", "0004", "0003"]),
        (FirstBoot.DISK, ["0004", "0001", "0003"]),
        (FirstBoot.KEEP, ["0001", "0003", "0004"]),
    ],
)
def test_one_entry_for_the_disk_and_none_of_the_last_image(
    disk: WrittenDisk, firmware: Firmware, first: FirstBoot, order: list[str]
) -> None:
    outcome = repaired(disk, first=first)
    kept = firmware.kept
    assert set(kept["entries"]) == {"0001", "0003", "0004"}
    label, path = kept["entries"]["0004"]
    assert label == "slatecast lab"
    assert path.endswith("File(\\EFI\\debian\\shimx64.efi)")
    assert kept["order"] == order
    assert kept["next"] == "0004"
    assert "stale entry 'slatecast last year' removed" in outcome.text
    repaired(disk, first=first)
    assert firmware.kept["entries"] == kept["entries"]
    assert firmware.kept["order"] == order
    assert sum("--create-only" in call for call in firmware.kept["calls"]) == 1


def test_the_next_start_is_left_to_the_order_where_that_is_wanted(disk: WrittenDisk, firmware: Firmware) -> None:
    repaired(disk, next_disk=False)
    assert firmware.kept["next"] == ""


def test_the_fallback_starts_what_lies_beside_it(disk: WrittenDisk) -> None:
    outcome = repaired(disk, PC)
    assert outcome.state is StepState.DONE
    assert "BIOS" in outcome.text
    with disk.opened() as target:
        from receiver.configure.esp import EfiPartition

        esp = EfiPartition.of(target, target.table())
        assert esp is not None
        assert esp.read(FALLBACK) == b"EFI/debian/shimx64.efi"
        assert esp.read("EFI/BOOT/grubx64.efi") == b"EFI/debian/grubx64.efi"
    assert repaired(disk, PC).state is StepState.SKIPPED


def test_a_windows_is_found_by_its_own_loader(tmp_path: Path) -> None:
    disk = disk_of(tmp_path / "windows.img", 8, "label: gpt\nstart=2048,size=8192,type=U\n", {1: "vfat"})
    put(disk, tmp_path, "EFI/Microsoft/Boot/bootmgfw.efi")
    assert "EFI/Microsoft/Boot/bootmgfw.efi" in repaired(disk, PC).text


def test_a_partition_without_a_loader_is_told(tmp_path: Path) -> None:
    disk = disk_of(tmp_path / "empty.img", 8, "label: gpt\nstart=2048,size=8192,type=U\n", {1: "vfat"})
    with pytest.raises(DiskError, match="none that is known"):
        repaired(disk, PC)


def test_a_disk_for_bios_is_left(linux: WrittenDisk) -> None:
    outcome = repaired(linux)
    assert outcome.state is StepState.SKIPPED
    assert "BIOS" in outcome.text
