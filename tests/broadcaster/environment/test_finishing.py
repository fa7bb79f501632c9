import subprocess
from pathlib import Path

import pytest

from broadcaster.environment import finishing
from broadcaster.environment.finishing import finish, leave_out, take_file, take_loaders
from broadcaster.environment.recipe import CONSOLE_FONTS, LARGE_FONT, LOADERS
from protocol.errors import LibraryError
from tests.broadcaster.library.disks import needs


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def test_what_no_program_opens_is_left_out(tmp_path: Path) -> None:
    kept = ("usr/bin/partclone.ntfs", "usr/lib/udev/rules.d/60-persistent-storage.rules", "etc/ld.so.conf")
    gone = ("usr/share/doc/bash/copyright", "etc/apt/sources.list", "usr/lib/udev/rules.d/64-btrfs.rules", "dev/sda")
    gone_too = ("var/log/dpkg.log", "etc/hostname", "boot/vmlinuz-6", "usr/bin/perl", "var/cache/apt/archives/x.deb")
    touch(tmp_path, *kept, *gone, *gone_too)
    leave_out(tmp_path)
    assert all((tmp_path / name).exists() for name in kept)
    assert not any((tmp_path / name).exists() for name in gone + gone_too)
    assert (tmp_path / "proc").is_dir()


def test_a_folder_behind_a_link_is_not_emptied(tmp_path: Path) -> None:
    touch(tmp_path, "outside/precious")
    root = tmp_path / "root"
    (root / "usr/share").mkdir(parents=True)
    (root / "usr/share/doc").symlink_to(tmp_path / "outside")
    leave_out(root)
    assert (tmp_path / "outside/precious").exists()


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    """The packages that single files are taken from, made by dpkg-deb."""
    folder = tmp_path / "downloads"
    files: dict[str, list[str]] = {CONSOLE_FONTS: [LARGE_FONT]}
    for package, inside in LOADERS.values():
        files.setdefault(package, []).append(inside)
    for package, names in files.items():
        tree = tmp_path / "trees" / package
        touch(tree, *names, "DEBIAN/control")
        if package == "ipxe":  # as Debian has it: a link to a place that this machine may have, too
            (tree / "boot").mkdir()
            (tree / "usr/lib/ipxe/ipxe.efi").rename(tree / "boot/ipxe.efi")
            (tree / "usr/lib/ipxe/ipxe.efi").symlink_to("/boot/ipxe.efi")
        (tree / "DEBIAN/control").write_text(
            f"Package: {package}\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n"
        )
        folder.mkdir(exist_ok=True)
        subprocess.run(
            ["dpkg-deb", "-Znone", "--build", str(tree), str(folder / f"{package}_1_all.deb")],
            check=True,
            capture_output=True,
        )
    return folder


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(finishing, "run_inside", lambda *_: "")
    folder = tmp_path / "root"
    touch(folder, "usr/share/base-passwd/passwd.master", "usr/share/base-passwd/group.master", "usr/bin/sed")
    touch(folder, "usr/bin/busybox", "usr/sbin/reboot", "etc/ld.so.conf")
    return folder


@needs("dpkg-deb", "dpkg")
def test_scripts_users_and_font(root: Path, downloads: Path) -> None:
    finish(root, downloads, None)
    assert (root / "init").stat().st_mode & 0o777 == 0o755
    for name in ("network", "lease", "seat", "name"):
        assert (root / "usr/lib/slatecast" / name).stat().st_mode & 0o111
    assert (root / "etc/passwd").exists()
    assert (root / "usr/share/consolefonts/large.psf.gz").read_text() == LARGE_FONT
    assert (root / "usr/bin/udhcpc").readlink() == Path("busybox")
    assert not (root / "usr/bin/sed").is_symlink()
    assert not (root / "usr/bin/reboot").exists()
    assert not (root / "etc/slatecast/trust").exists()


@needs("dpkg-deb", "dpkg")
def test_trust(root: Path, downloads: Path) -> None:
    finish(root, downloads, b"public keys")
    assert (root / "etc/slatecast/trust").read_bytes() == b"public keys"


@needs("dpkg-deb", "dpkg")
def test_loaders_by_the_names_they_are_served_as(downloads: Path, tmp_path: Path) -> None:
    take_loaders(downloads, tmp_path / "new")
    assert (tmp_path / "new/grubx64.efi").read_text() == "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"
    assert (tmp_path / "new/ipxe.efi").read_text() == "usr/lib/ipxe/ipxe.efi"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(LOADERS)


@needs("dpkg-deb", "dpkg")
def test_a_package_without_that_file(downloads: Path, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"ipxe_1_all.deb has no boot/other"):
        take_file(downloads, "ipxe", "boot/other", tmp_path / "x")
    with pytest.raises(LibraryError, match="nothing was not downloaded"):
        take_file(downloads, "nothing", "boot/other", tmp_path / "x")


@needs("dpkg-deb", "dpkg")
def test_a_package_whose_download_broke_off(downloads: Path, tmp_path: Path) -> None:
    (package,) = downloads.glob("ipxe_*")
    package.write_bytes(package.read_bytes()[:500])
    with pytest.raises(LibraryError, match=r"ipxe_1_all\.deb cannot be unpacked: dpkg-deb"):
        take_file(downloads, "ipxe", "boot/ipxe.efi", tmp_path / "x")


SCRIPTS = sorted(path for path in (Path(finishing.__file__).parent / "overlay").rglob("*") if path.is_file())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_in_the_language_of_plain_shells(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True)
    forbidden = ("mdadm", "lvm", "vgchange", "swapon", "fsck", "/dev/sd", "/dev/nvme", "/dev/vd")
    assert not [word for word in forbidden if word in script.read_text(encoding="utf-8")]
