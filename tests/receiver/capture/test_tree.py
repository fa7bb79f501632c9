import os
from pathlib import Path

import pytest

from protocol.disk.partitions import read_partition_table
from receiver.capture import tree as module
from receiver.capture.tree import MAX_READ, Tree, mounted_tree
from tests.receiver.capture.reference_disk import ext4_file, filled, needs, ntfs_file, opened, put
from tests.receiver.loop_device import needs_root


def test_what_is_there(tmp_path: Path) -> None:
    put(tmp_path, "etc/hosts", "127.0.0.1")
    put(tmp_path, "etc/long", bytes(MAX_READ + 10))
    tree = Tree(tmp_path)
    assert tree.names() == ["etc"]
    assert tree.names("etc") == ["hosts", "long"]
    assert tree.read("etc/hosts") == tree.read("/etc//./hosts") == b"127.0.0.1"
    assert len(tree.read("etc/long") or b"") == MAX_READ
    for path in ("etc", "etc/none", "none/hosts", "etc/hosts/deeper"):
        assert tree.read(path) is None
        assert not tree.names(f"{path}/more")


def test_no_link_is_followed_and_nothing_is_waited_for(tmp_path: Path) -> None:
    secret = put(tmp_path, "outside/secret", "secret")
    root = tmp_path / "root"
    put(root, "etc/hosts", "x")
    (root / "absolute").symlink_to(secret)
    (root / "relative").symlink_to("../outside/secret")
    (root / "folder").symlink_to("../outside")
    (root / "inner").symlink_to("etc/hosts")
    os.mkfifo(root / "pipe")
    tree = Tree(root)
    for path in (
        "absolute",
        "relative",
        "folder/secret",
        "inner",
        "pipe",
        "../outside/secret",
        "etc/../../outside/secret",
    ):
        assert tree.read(path) is None, path
    assert not tree.names("folder")


def test_names_of_a_folder_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NAMES", 3)
    for number in range(9):
        put(tmp_path, str(number), "")
    assert len(Tree(tmp_path).names()) == 3


def test_case_counts_unless_it_is_ignored(tmp_path: Path) -> None:
    put(tmp_path, "Windows/Panther/Unattend.xml", "x")
    assert Tree(tmp_path).read("windows/panther/unattend.xml") is None
    assert Tree(tmp_path, ignores_case=True).read("windows/panther/unattend.xml") == b"x"


@needs_root
@pytest.mark.system
def test_a_file_system_is_only_looked_at(tmp_path: Path) -> None:
    image = ext4_file(tmp_path / "ext4.img")
    with filled(image, tmp_path / "root") as root:
        put(root, "etc/hosts", "x")
    before = image.read_bytes()
    with opened(image, tmp_path) as source:
        (partition,) = read_partition_table(source).partitions
        with mounted_tree(source, partition) as tree:
            assert tree.read("etc/hosts") == b"x"
            options = next(line for line in Path("/proc/mounts").read_text().splitlines() if f" {tree.root} " in line)
            assert {"ro", "nodev", "nosuid", "noexec"} <= set(options.split()[3].split(","))
        assert not tree.root.exists()
    assert image.read_bytes() == before


@needs_root
@needs("mkntfs", "ntfs-3g")
@pytest.mark.system
def test_ntfs_is_read_in_any_case(tmp_path: Path) -> None:
    image = ntfs_file(tmp_path / "ntfs.img", {"Windows/Panther/Unattend.xml": b"x"}, tmp_path)
    with opened(image, tmp_path) as source:
        (partition,) = read_partition_table(source).partitions
        with mounted_tree(source, partition) as tree:
            assert tree.read("windows/panther/unattend.XML") == b"x"
