import subprocess
from pathlib import Path

import pytest

from broadcaster.environment import boot_image
from broadcaster.environment.boot_image import write_boot_image
from protocol.disk.system_tools import find_tool
from protocol.errors import ConfigError, LibraryError
from tests.broadcaster.environment.small_environment import small_environment
from tests.broadcaster.library.disks import run

MISSING = [package for tool, package in boot_image.TOOLS.items() if find_tool(tool) is None]
if not boot_image.GRUB_FOLDER.is_dir():
    MISSING.append("grub-pc-bin")
with_tools = pytest.mark.skipif(bool(MISSING), reason=f"apt install {' '.join(MISSING)}")
ARGUMENTS = ["slatecast.mode=receive", "slatecast.server=10.0.0.1:8884"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_environment(tmp_path / "boot")
    return tmp_path / "boot"


def take_out(image: Path, name: str, target: Path) -> bytes:
    run("xorriso", "-osirrox", "on", "-indev", str(image), "-extract", name, str(target))
    return target.read_bytes()


@pytest.mark.slow
@with_tools
def test_for_all_firmware_and_the_same_bytes_each_time(folder: Path, tmp_path: Path) -> None:
    image = tmp_path / "slatecast.iso"
    size = write_boot_image(folder, image, ARGUMENTS)
    assert size == image.stat().st_size
    before = image.read_bytes()
    write_boot_image(folder, image, ARGUMENTS)
    assert image.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boot", "slatecast.iso"]

    report = run("xorriso", "-indev", str(image), "-report_el_torito", "plain", "-report_system_area", "plain")
    assert "El Torito boot img :   1  BIOS" in report
    assert "El Torito boot img :   2  UEFI" in report
    assert "grub2-mbr" in report
    assert take_out(image, "/boot/vmlinuz", tmp_path / "vmlinuz") == b"this is vmlinuz"
    menu = take_out(image, "/boot/grub/grub.cfg", tmp_path / "grub.cfg").decode()
    assert "linux /boot/vmlinuz quiet slatecast.mode=receive slatecast.server=10.0.0.1:8884\n" in menu
    assert "@" not in menu.partition("\n")[2]

    start = next(
        int(line.split(":")[1].split()[1])
        for line in report.splitlines()
        if line.startswith("GPT start and size :   2")
    )
    efi = f"{image}@@{start * 512}"
    for name, content in (
        ("EFI/BOOT/BOOTX64.EFI", b"this is shimx64.efi"),
        ("EFI/BOOT/grubx64.efi", b"this is grubx64.efi"),
        ("grub/grub.cfg", menu.encode()),
    ):
        typed = subprocess.run(["mtype", "-i", efi, f"::{name}"], check=True, capture_output=True)
        assert typed.stdout == content


@pytest.mark.slow
@with_tools
def test_a_serial_line(folder: Path, tmp_path: Path) -> None:
    write_boot_image(folder, tmp_path / "x.iso", [], has_serial=True)
    menu = take_out(tmp_path / "x.iso", "/boot/grub/grub.cfg", tmp_path / "grub.cfg").decode()
    assert menu.startswith("serial ")
    assert "quiet console=tty1 console=ttyS0,115200\n" in menu


@pytest.mark.parametrize("argument", ["a b", "a;b", "${x}", 'a"', "a'", "a\\", "a\nb", "", "ä", "a|b", "a{b}", "a#b"])
def test_an_argument_is_no_line_of_the_menu(folder: Path, tmp_path: Path, argument: str) -> None:
    with pytest.raises(ConfigError, match="cannot be an argument"):
        write_boot_image(folder, tmp_path / "x.iso", [argument])


def test_without_a_tool(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot_image, "find_tool", lambda name: None if name == "mformat" else name)
    with pytest.raises(LibraryError, match="apt install mtools"):
        write_boot_image(folder, tmp_path / "x.iso", ARGUMENTS)


@with_tools
def test_a_failure_leaves_the_old_image(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LibraryError("xorriso failed: no space")

    (tmp_path / "x.iso").write_text("old")
    monkeypatch.setattr(boot_image, "_make", fail)
    with pytest.raises(LibraryError, match="xorriso failed"):
        write_boot_image(folder, tmp_path / "x.iso", ARGUMENTS)
    assert (tmp_path / "x.iso").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boot", "x.iso"]


def test_of_no_environment(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no environment"):
        write_boot_image(tmp_path, tmp_path / "x.iso", ARGUMENTS)
