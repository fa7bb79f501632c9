"""Disks that are labelled to be kept: real tables, in files and behind loop devices."""

import random
import subprocess
from pathlib import Path

import pytest

from protocol.errors import TargetError
from protocol.manifest import ManifestHeader
from receiver import keep_label as module
from receiver.keep_label import keep_label
from receiver.target import check_target, inspect_target
from tests.broadcaster.library.disks import needs
from tests.receiver.loop_device import loop_device, needs_root, run, sparse_file
from tests.receiver.sample_image import sample_image

MIB = 1 << 20

pytestmark = pytest.mark.system


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return sparse_file(tmp_path / "disk.img", 8 * MIB)


@pytest.fixture(scope="module")
def header() -> ManifestHeader:
    return sample_image(random.Random(20261121), MIB).manifest.header


def partition(disk: Path, *names: str, kind: str = "gpt") -> None:
    lines = [f"label: {kind}", *(f'size=2048, name="{name}"' if name else "size=2048" for name in names)]
    subprocess.run(["sfdisk", "--quiet", str(disk)], input="\n".join(lines) + "\n", text=True, check=True)


@needs("sfdisk", "fdisk")
@pytest.mark.parametrize(
    ("names", "label"),
    [
        (["keep"], "keep"),
        (["system", "Slatecast-Keep"], "Slatecast-Keep"),
        (["KEEP", "system"], "KEEP"),
        (["keepsakes", "up keep", "\N{LATIN SMALL LETTER E WITH ACUTE}"], ""),
        (["", ""], ""),
        ([], ""),
    ],
)
def test_a_partition_of_that_name_keeps_the_disk(
    disk: Path, names: list[str], label: str, header: ManifestHeader
) -> None:
    partition(disk, *names)
    assert keep_label(str(disk)) == label
    info = inspect_target(disk)
    assert info.keep_label == label
    if label:
        with pytest.raises(TargetError, match=f"is labelled '{label}'; rename that partition or choose another disk"):
            check_target(info, header)
        assert f"labelled '{label}'" in str(info)
    else:
        check_target(info, header)


@needs("sfdisk", "fdisk")
@needs_root
def test_no_partition_need_be_known_to_the_kernel(disk: Path) -> None:
    partition(disk, "slatecast-keep")
    with loop_device(disk) as device:
        assert inspect_target(device).keep_label == "slatecast-keep"


@needs("sfdisk", "fdisk")
def test_the_backup_table_counts_when_the_first_one_is_gone(disk: Path) -> None:
    partition(disk, "keep")
    run("dd", "if=/dev/zero", f"of={disk}", "bs=512", "count=1", "seek=1", "conv=notrunc")
    assert keep_label(str(disk)) == "keep"


@needs("sfdisk", "fdisk")
def test_another_kind_of_table_has_no_names(disk: Path) -> None:
    partition(disk, "", kind="dos")
    assert keep_label(str(disk)) == ""


def test_a_disk_without_a_table_is_not_kept_and_a_look_changes_nothing(disk: Path) -> None:
    before = random.Random(1).randbytes(8 * MIB)
    disk.write_bytes(before)
    assert keep_label(str(disk)) == ""
    assert disk.read_bytes() == before


def test_a_file_whose_name_looks_like_an_option(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    sparse_file(tmp_path / "--delete", MIB)
    assert keep_label("--delete") == ""


def test_what_cannot_be_looked_at_is_refused(monkeypatch: pytest.MonkeyPatch, disk: Path, tmp_path: Path) -> None:
    program = tmp_path / "partx"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setattr(module, "_TIMEOUT", 0.05)
        patched.setenv("PATH", str(tmp_path), prepend=":")
        with pytest.raises(TargetError, match=r"cannot be looked at by partx: .* timed out"):
            keep_label(str(disk))
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match="install util-linux"):
        keep_label(str(disk))
