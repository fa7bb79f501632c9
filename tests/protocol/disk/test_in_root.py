import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.disk.in_root import open_in_root


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "outside").write_text("outside")
    inside = tmp_path / "root"
    (inside / "etc").mkdir(parents=True)
    (inside / "etc" / "passwd").write_text("inside")
    (inside / "absolute").symlink_to("/etc/passwd")
    (inside / "up").symlink_to("../../../../../etc/passwd")
    (inside / "out").symlink_to("../outside")
    (inside / "magic").symlink_to("/proc/self/root")
    descriptor = os.open(inside, os.O_PATH | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def read(root: int, path: str) -> str:
    with os.fdopen(open_in_root(root, path, os.O_RDONLY)) as file:
        return file.read()


@pytest.mark.parametrize(
    "path", ["etc/passwd", "/etc/passwd", "../../etc/passwd", "etc/../../../etc/passwd", "absolute", "up"]
)
def test_every_path_and_link_stays_inside(root: int, path: str) -> None:
    assert read(root, path) == "inside"


@pytest.mark.parametrize("path", ["out", "../outside", "magic/etc/passwd", "nothing", "etc/passwd/x"])
def test_what_would_lead_outside_is_not_there(root: int, path: str) -> None:
    with pytest.raises(OSError, match=r"No such|Not a directory"):
        read(root, path)


def test_the_root_itself(root: int) -> None:
    for path in ("", "/", ".", ".."):
        descriptor = open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)
        assert "etc" in os.listdir(descriptor)  # noqa: PTH208 - of a descriptor
        os.close(descriptor)


def test_a_zero_byte_cuts_nothing_short(root: int) -> None:
    with pytest.raises(ValueError, match="null byte"):
        open_in_root(root, "etc/passwd\0x", os.O_RDONLY)
