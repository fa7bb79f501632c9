import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.errors import DiskError
from receiver.configure.target_root import MAX_READ, TargetRoot


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    return tmp_path / "root"


@pytest.fixture
def root(folder: Path) -> Iterator[TargetRoot]:
    with TargetRoot(folder) as opened:
        yield opened


def outside(folder: Path) -> list[str]:
    return names(folder.parent / "outside")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


OWN = os.geteuid()


def test_a_file_is_written_with_the_folders_that_lead_to_it(root: TargetRoot, folder: Path) -> None:
    assert root.write("a/b/c.conf", b"text", mode=0o640, owner=OWN, group=os.getegid())
    there = folder / "a/b/c.conf"
    assert there.read_bytes() == b"text"
    assert there.stat().st_mode & 0o7777 == 0o640
    assert not root.write("a/b/c.conf", b"text", mode=0o640, owner=OWN, group=os.getegid())
    assert names(folder / "a/b") == ["c.conf"]


def test_a_file_keeps_its_attributes_unless_others_are_named(root: TargetRoot, folder: Path) -> None:
    (folder / "etc/secret").write_bytes(b"old")
    (folder / "etc/secret").chmod(0o600)
    root.write("/etc/secret", b"new")
    assert (folder / "etc/secret").stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize("to", ["absolute", "climbing"])
def test_a_link_that_leads_out_is_followed_within_the_root(root: TargetRoot, folder: Path, to: str) -> None:
    target = str(folder.parent / "outside") if to == "absolute" else "../../../../../outside"
    (folder / "link").symlink_to(target)
    if to == "absolute":  # there is no such folder inside, and none is made in the place of a link
        with pytest.raises(DiskError, match="No such file"):
            root.write("link/passwd", b"x", owner=OWN, group=os.getegid())
    else:
        (folder / "outside").mkdir()
        root.write("link/passwd", b"x", owner=OWN, group=os.getegid())
        assert (folder / "outside/passwd").read_bytes() == b"x"
    assert outside(folder) == []


def test_an_absolute_link_within_the_target_is_legal(root: TargetRoot, folder: Path) -> None:
    (folder / "usr/lib").mkdir(parents=True)
    (folder / "lib").symlink_to("/usr/lib")
    root.write("lib/unit", b"x", owner=OWN, group=os.getegid())
    assert (folder / "usr/lib/unit").read_bytes() == b"x"
    assert root.has("lib/unit")
    assert root.read("/lib/unit") == b"x"
    assert root.names("lib") == ["unit"]
    assert root.real_path("lib") == (folder / "usr/lib").resolve()
    assert root.real_file("lib/unit") == (folder / "usr/lib/unit").resolve()


def test_a_link_in_the_place_of_a_file_is_replaced(root: TargetRoot, folder: Path) -> None:
    victim = folder.parent / "outside/victim"
    victim.write_bytes(b"mine")
    (folder / "etc/hostname").symlink_to(victim)
    root.write("etc/hostname", b"pc-1\n", owner=OWN, group=os.getegid())
    assert victim.read_bytes() == b"mine"
    assert not (folder / "etc/hostname").is_symlink()


def test_reading_through_a_link_that_leads_out_finds_nothing(root: TargetRoot, folder: Path) -> None:
    (folder.parent / "outside/shadow").write_bytes(b"secret")
    (folder / "etc/shadow").symlink_to(folder.parent / "outside/shadow")
    assert root.read("etc/shadow") is None
    assert root.real_file("etc/shadow") is None
    assert root.link_target("etc/shadow") == str(folder.parent / "outside/shadow")
    assert root.link_target("etc/none") == ""


def test_magic_links_are_not_followed(root: TargetRoot, folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    assert root.read("loop") is None
    assert not root.has("loop/x")


def test_odd_files_are_not_read(root: TargetRoot, folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    (folder / "long").write_bytes(b"")
    os.truncate(folder / "long", MAX_READ + 1)
    assert root.read("fifo") is None  # and it does not wait for somebody to write
    assert root.read("long") is None
    assert root.read("etc") is None
    assert root.read("none/at/all") is None


@pytest.mark.parametrize("path", ["..", "a/..", "", "/", "."])
def test_what_is_no_name_is_refused(root: TargetRoot, path: str) -> None:
    with pytest.raises(DiskError):
        root.write(path, b"x")


def test_a_file_in_the_place_of_a_folder_is_told(root: TargetRoot, folder: Path) -> None:
    (folder / "etc/file").write_bytes(b"")
    with pytest.raises(DiskError, match="Not a directory"):
        root.write("etc/file/below", b"x")


def test_links_are_put_and_replaced(root: TargetRoot, folder: Path) -> None:
    root.link("a/wants", "/etc/unit")
    root.link("a/wants", "/etc/unit")
    root.link("a/wants", "/etc/other")
    assert (folder / "a/wants").readlink() == Path("/etc/other")


def test_removing(root: TargetRoot, folder: Path) -> None:
    (folder.parent / "outside/kept").write_bytes(b"")
    (folder / "drivers/sub").mkdir(parents=True)
    (folder / "drivers/out").symlink_to(folder.parent / "outside")
    root.remove_folder("drivers")
    root.remove_folder("drivers")
    assert not (folder / "drivers").exists()
    assert outside(folder) == ["kept"]
    (folder / "etc/x").write_bytes(b"")
    assert root.remove("etc/x")
    assert not root.remove("etc/x")
    assert not root.remove("none/x")


def test_renaming(root: TargetRoot, folder: Path) -> None:
    root.write("new/a", b"x", owner=OWN, group=os.getegid())
    root.rename("new", "there/drivers")
    assert (folder / "there/drivers/a").read_bytes() == b"x"
    root.sync()


def test_where_case_is_ignored_names_are_as_the_disk_spells_them(folder: Path) -> None:
    (folder / "WINDOWS/Panther").mkdir(parents=True)
    with TargetRoot(folder, ignore_case=True) as root:
        root.write("Windows/panther/Unattend.xml", b"1", owner=OWN, group=os.getegid())
        root.write("windows/Panther/unattend.xml", b"2", owner=OWN, group=os.getegid())
        assert root.read("WINDOWS/PANTHER/UNATTEND.XML") == b"2"
    assert names(folder / "WINDOWS/Panther") == ["Unattend.xml"]


def test_nothing_is_left_of_a_file_that_cannot_be_written(root: TargetRoot, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="/etc/x: writing failed: No such file"):
        root.write("etc/x", tmp_path / "no-such-source")
    assert names(folder / "etc") == []


def test_a_path_with_a_zero_byte_is_no_path(root: TargetRoot, folder: Path) -> None:
    (folder / "etc/passwd").write_bytes(b"root")
    for refused in (
        lambda: root.write("etc\0/passwd", b"x"),
        lambda: root.read("etc/passwd\0x"),
        lambda: root.remove_folder("etc\0x/passwd"),
    ):
        with pytest.raises(DiskError, match="Invalid argument"):
            refused()
    assert not root.has("etc/passwd\0x")
    assert (folder / "etc/passwd").read_bytes() == b"root"
