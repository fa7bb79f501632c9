from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.receiver.configure.written_disk import WrittenDisk, disk_of, linux_tree, run


@pytest.fixture(scope="session")
def linux_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with one ext4 that holds a small Linux."""
    folder = tmp_path_factory.mktemp("linux")
    script = "label: gpt\nstart=2048,size=65536\n"
    return disk_of(folder / "template.img", 34, script, {1: "ext4"}, linux_tree(folder / "tree")).path


@pytest.fixture
def linux(linux_template: Path, tmp_path: Path) -> Iterator[WrittenDisk]:
    path = tmp_path / "disk.img"
    run("cp", "--sparse=always", str(linux_template), str(path))
    yield WrittenDisk(path)
    path.unlink(missing_ok=True)


@pytest.fixture
def windows(tmp_path: Path) -> WrittenDisk:
    disk = disk_of(tmp_path / "windows.img", 40, "label: gpt\nstart=2048,size=71680\n", {1: "ntfs"})
    with disk.mounted() as folder:
        (folder / "WINDOWS/System32").mkdir(parents=True)
    return disk
