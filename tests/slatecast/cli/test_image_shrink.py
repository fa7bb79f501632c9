from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from broadcaster.library.library import Library
from protocol.errors import ConfigError, RefusedError
from protocol.manifest import PartitionInfo
from slatecast.cli import image_shrink
from tests.broadcaster.library.disks import MIB, noise, sparse_file
from tests.slatecast.cli.test_image import Commands


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    commands = Commands(tmp_path / "library")
    commands.output("add", str(sparse_file(tmp_path / "disk.img", 2 * MIB, {0: noise(1, MIB)})), "--name", "lab")
    return commands


@pytest.mark.parametrize(
    ("size", "asked"), [("smallest", None), ("1000", 1000), ("1.5G", 1_500_000_000), ("2Gi", 2 << 30)]
)
def test_sizes_as_people_write_them(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, size: str, asked: int | None
) -> None:
    def played(library: Library, name: str, version: int | None, disk_size: int | None, **_: Any) -> SimpleNamespace:
        assert (name, version, disk_size) == ("lab", 1, asked)
        manifest = library.load("lab")
        part = PartitionInfo(number=2, offset=0, length=1, type="", filesystem="ext4", label="", used_bytes=1)
        added = SimpleNamespace(manifest=manifest, new_bytes=5000, signature=None)
        return SimpleNamespace(before=manifest.header, partition=part, moved=(part,), added=added)

    monkeypatch.setattr(image_shrink, "shrink_image", played)
    result = commands("shrink", "lab@1", "--to", size)
    assert result.exception is None
    assert "image lab, version 1: 2.1 MB (2097152 bytes) instead of 2.1 MB; 5.0 kB of new chunks" in result.output
    assert "made the ext4 in partition 2 smaller, moved partition 2 down" in result.output
    assert "the image key is kept elsewhere" in result.output


@pytest.mark.parametrize("size", ["", "0", "x", "-5G", "1e9", "99999999T"])
def test_what_is_no_size_is_refused(commands: Commands, size: str) -> None:
    assert isinstance(commands.error("shrink", "lab", "--to", size), ConfigError)


def test_what_cannot_be_made_smaller(commands: Commands) -> None:
    error = commands.error("shrink", "lab", "--to", "1M")
    assert isinstance(error, RefusedError)
    assert "it has no partition table" in str(error)
