import json
from pathlib import Path
from typing import Any

import pytest

from protocol.capture import FindingKind
from protocol.disk.chunk_plan import plan_chunks
from protocol.disk.partitions import Partition, PartitionTable
from protocol.disk.system_tools import find_tool
from protocol.disk.used_blocks import UsedBlocks, every_block
from protocol.ranges import RangeSet
from receiver.capture import disk_findings as module
from receiver.capture.disk_findings import disk_findings, place, smart_trouble
from receiver.capture.page_files import PageFiles
from receiver.capture.reading import Survey
from receiver.capture.run import inspect
from tests.receiver.capture.reference_disk import MIB, needs, ntfs_file, opened, put
from tests.receiver.loop_device import needs_root


def surveyed(
    tmp_path: Path, filesystem: str, method: str = "", *, overlapping: bool = False, kept: str = ""
) -> list[Any]:
    disk = put(tmp_path, "disk", bytes(MIB - 512) + b"x" * 512)
    partition = Partition(2, 0, MIB, "", filesystem, "data")
    used = every_block(method) if method else UsedBlocks("partclone.extfs", RangeSet())
    pages = PageFiles(RangeSet(), ((kept, "why"),) if kept else ())
    table = PartitionTable("gpt", (partition,), overlapping)
    with opened(disk, tmp_path) as source:
        plan = plan_chunks(source.size, source.data_ranges(), RangeSet())
        return list(disk_findings(Survey(source, table, (used,), (pages,), plan)))


@pytest.mark.parametrize(
    ("filesystem", "method", "kind", "code", "words"),
    [
        ("BitLocker", "no known", FindingKind.REFUSAL, "bitlocker", "manage-bde -off"),
        ("crypto_LUKS", "kept whole", FindingKind.WARNING, "luks", "same key"),
        ("swsuspend", "kept whole", FindingKind.REFUSAL, "hibernated", "poweroff"),
        ("ext4", "ext4 was not cleanly unmounted, or is hibernated", FindingKind.REFUSAL, "dirty", "shut it down"),
        ("LVM2_member", "LVM2_member is kept whole", FindingKind.WARNING, "kept-whole", "used or not"),
        ("ext4", "partclone.extfs is not installed: apt install partclone", FindingKind.WARNING, "kept-whole", "apt"),
    ],
)
def test_what_is_said(tmp_path: Path, filesystem: str, method: str, kind: FindingKind, code: str, words: str) -> None:
    (finding,) = surveyed(tmp_path, filesystem, method)
    assert (finding.kind, finding.code, finding.where) == (kind, code, "partition 2 (data)")
    assert words in finding.text


def test_nothing_to_say(tmp_path: Path) -> None:
    assert not surveyed(tmp_path, "ext4")
    assert not surveyed(tmp_path, "", "no known file system")


def test_overlaps_and_page_files_that_are_kept(tmp_path: Path) -> None:
    codes = [finding.code for finding in surveyed(tmp_path, "ext4", overlapping=True, kept="/swapfile")]
    assert codes == ["overlapping", "page-file-kept"]


@needs_root
@needs("mkntfs", "ntfs-3g")
@pytest.mark.system
def test_a_hibernated_windows(tmp_path: Path) -> None:
    image = ntfs_file(tmp_path / "disk", {"hiberfil.sys": b"hibr" + bytes(MIB)}, tmp_path, 16 * MIB)
    (first, *_) = inspect(image)
    assert (first.kind, first.code) == (FindingKind.REFUSAL, "hibernated")
    assert "powercfg /h off" in first.text


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"smart_status": {"passed": False}}, "failing"),
        ({"nvme_smart_health_information_log": {"critical_warning": 4}}, "critical warning"),
        ({"ata_smart_attributes": {"table": [{"id": 197, "raw": {"value": 8}}]}}, "8 sectors"),
        (
            {"smart_status": {"passed": True}, "ata_smart_attributes": {"table": [{"id": 197, "raw": {"value": 0}}]}},
            None,
        ),
        ({"nvme_smart_health_information_log": {"critical_warning": 0}}, None),
        ({}, None),
        ([], None),
        ({"ata_smart_attributes": {"table": [1, {"id": 197}, {"id": 197, "raw": 5}]}}, None),
        ({"smart_status": 5, "ata_smart_attributes": 7}, None),
    ],
)
def test_what_smartctl_answers(answer: Any, words: str | None) -> None:
    trouble = smart_trouble(json.loads(json.dumps(answer)))
    assert (words in trouble) if words is not None and trouble is not None else trouble is words


@pytest.mark.parametrize(
    ("script", "kind", "code"),
    [
        ('echo \'{"smart_status":{"passed":false}}\'', FindingKind.REFUSAL, "failing-disk"),
        ("echo nonsense; echo broken >&2", FindingKind.WARNING, "health-unknown"),
        ("exec sleep 20", FindingKind.REFUSAL, "failing-disk"),
    ],
)
@pytest.mark.system
@pytest.mark.slow
def test_how_the_disk_says_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, kind: FindingKind, code: str
) -> None:
    tool = put(tmp_path, "smartctl", f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setattr(module, "find_tool", lambda name: str(tool) if name == "smartctl" else find_tool(name))
    monkeypatch.setattr(module, "SMART_PATIENCE", 1)
    (finding,) = module._health("/dev/sda")
    assert (finding.kind, finding.code) == (kind, code)


def test_without_smartctl_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_tool", lambda _name: None)
    (finding,) = module._health("/dev/sda")
    assert (finding.code, finding.kind) == ("health-unknown", FindingKind.WARNING)
    assert "apt install smartmontools" in finding.text


def test_places() -> None:
    assert place(Partition(0, 0, 1, "", "", "")) == "the disk"
    assert len(place(Partition(1, 0, 1, "", "", "x" * 100))) == 64
