import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.broadcaster.library.disks import MIB, noise, sparse_file

pytestmark = [pytest.mark.system, pytest.mark.slow]


def demo(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "slatecast", "demo", *map(str, arguments)]
    environment = {**os.environ, "TMPDIR": str(folder), "COLUMNS": "200"}
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=environment)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return sparse_file(tmp_path / "image.img", 8 * MIB, {MIB: noise(1, 3 * MIB)})


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def test_every_disk_is_proved_and_nothing_is_left_behind(image: Path, scratch: Path) -> None:
    ran = demo(scratch, "--seats", 3, image)
    assert ran.returncode == 0, ran.stderr
    assert "3 of 3 seats verified" in ran.stdout
    assert f"3 disks compared with {image}: identical, 25.2 MB" in ran.stdout
    assert list(scratch.iterdir()) == []


def test_a_folder_is_kept(image: Path, scratch: Path) -> None:
    assert demo(scratch, "--seats", 1, "--folder", scratch, image).returncode == 0
    assert (scratch / "seat-1.disk").read_bytes() == image.read_bytes()
    assert (scratch / "library").is_dir()


def test_what_is_no_image_is_one_line(scratch: Path) -> None:
    text = scratch / "letter"
    text.write_text("dear reader")
    ran = demo(scratch, text)
    assert ran.returncode == 3
    assert ran.stderr.startswith(f"slatecast: {text}: ")
    assert len(ran.stderr.splitlines()) == 1
