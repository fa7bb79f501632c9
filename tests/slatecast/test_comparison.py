import random
from pathlib import Path

import pytest

from protocol.errors import IntegrityError
from slatecast.comparison import compare_disk
from tests.simulator.image import CHUNK_SIZE, SimulatedImage, draw_image


@pytest.fixture
def image() -> SimulatedImage:
    return draw_image(random.Random(7), 20)


@pytest.fixture
def files(tmp_path: Path, image: SimulatedImage) -> tuple[Path, Path]:
    reference, disk = tmp_path / "reference", tmp_path / "disk"
    for path in (reference, disk):
        path.write_bytes(image.disk)
    return reference, disk


def spoil(disk: Path, offset: int) -> None:
    with disk.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def test_everything_but_free_space_is_compared(image: SimulatedImage, files: tuple[Path, Path]) -> None:
    header = image.manifest.header
    stored = sum(chunk.raw_length for chunk in image.manifest)
    zero = sum(count for _, count in header.zero_ranges) * CHUNK_SIZE
    assert compare_disk(image.manifest, *files) == stored + zero


def test_free_space_may_differ(image: SimulatedImage, files: tuple[Path, Path]) -> None:
    covered = {chunk.offset // CHUNK_SIZE for chunk in image.manifest}
    for first, count in image.manifest.header.zero_ranges:
        covered |= set(range(first, first + count))
    free = next(number for number in range(len(image.disk) // CHUNK_SIZE) if number not in covered)
    spoil(files[1], free * CHUNK_SIZE)
    compare_disk(image.manifest, *files)


def test_one_wrong_bit_is_found_with_its_place(image: SimulatedImage, files: tuple[Path, Path]) -> None:
    for offset in (image.manifest[3].offset, image.manifest.header.zero_ranges[0][0] * CHUNK_SIZE):
        spoil(files[1], offset + 17)
        with pytest.raises(IntegrityError, match=f"disk at byte {offset}: expected digest"):
            compare_disk(image.manifest, *files)
        spoil(files[1], offset + 17)


def test_a_disk_that_ends_too_early_differs(image: SimulatedImage, files: tuple[Path, Path]) -> None:
    with files[1].open("r+b") as file:
        file.truncate(len(image.disk) // 2)
    with pytest.raises(IntegrityError):
        compare_disk(image.manifest, *files)
