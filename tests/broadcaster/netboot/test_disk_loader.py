import shutil
import stat
from pathlib import Path

import pytest

from broadcaster.netboot import disk_loader as module
from broadcaster.netboot.disk_loader import make_disk_loader
from broadcaster.netboot.scripts import grub_own_disk
from protocol.errors import ConfigError

needs_grub = pytest.mark.skipif(
    shutil.which("grub-mkstandalone") is None or not Path("/usr/lib/grub/x86_64-efi").is_dir(),
    reason="needs GRUB: apt install grub-common grub-efi-amd64-bin",
)


@pytest.mark.system
@needs_grub
def test_it_is_a_program_of_uefi_with_its_configuration_inside(tmp_path: Path) -> None:
    target = tmp_path / "disk.efi"
    assert make_disk_loader(target, grub_own_disk())
    made = target.read_bytes()
    assert made.startswith(b"MZ")
    assert grub_own_disk().encode() in made
    assert len(made) < 1 << 20, "firmware loads it by TFTP at each start"
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


@pytest.mark.system
@needs_grub
def test_it_is_said_why_it_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be|cannot make .*No such file"):
        make_disk_loader(tmp_path / "no folder" / "disk.efi", grub_own_disk())


@pytest.mark.parametrize("missing", ["tool", "modules"])
def test_without_grub_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    if missing == "tool":
        monkeypatch.setattr(module, "find_tool", lambda _name: None)
    else:
        monkeypatch.setattr(module, "_FROM_PACKAGE", tmp_path / "moddep.lst")
    assert not make_disk_loader(tmp_path / "disk.efi", grub_own_disk())
    assert not list(tmp_path.iterdir())
