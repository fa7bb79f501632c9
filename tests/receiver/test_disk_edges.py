"""The edges of the disk: kept where they match already, and blanked as far as a failing disk lets us."""

import random

import pytest

from protocol.errors import DiskError, IntegrityError
from receiver.disk_edges import DiskEdges
from receiver.disk_layout import DiskLayout, incomplete_marker
from tests.receiver.memory_device import SECTOR, MemoryDevice
from tests.receiver.sample_image import SampleImage, sample_image

MIB = 1 << 20
CHUNK = 64 * 1024
SIZE = 4 * MIB
EXTRA = 2 * MIB
HEAD, TAIL, BEYOND = 0, SIZE - MIB, SIZE + EXTRA - MIB
SEED = 20261121


@pytest.fixture(scope="module")
def image() -> SampleImage:
    return sample_image(random.Random(SEED), SIZE, chunk_size=CHUNK)


@pytest.fixture
def device(image: SampleImage) -> MemoryDevice:
    return MemoryDevice(SIZE + EXTRA, 512, image.disk.ljust(SIZE + EXTRA, b"\xa5"))


def edges_of(device: MemoryDevice, image: SampleImage) -> DiskEdges:
    return DiskEdges(device, image.manifest, DiskLayout(image.manifest.header, device.size))


def blank_areas(device: MemoryDevice, image: SampleImage) -> list[int]:
    """Offsets of the areas that hold nothing but zeros and the marker."""
    disk, marker = device.platter(), incomplete_marker(image.manifest)
    blank = {HEAD: marker.ljust(MIB, b"\0"), TAIL: bytes(MIB), BEYOND: bytes(MIB)}
    return [offset for offset, content in blank.items() if disk[offset : offset + MIB] == content]


class TestBlank:
    def test_leaves_nothing_but_the_marker(self, image: SampleImage, device: MemoryDevice) -> None:
        edges_of(device, image).blank()
        assert blank_areas(device, image) == [HEAD, TAIL, BEYOND]

    @pytest.mark.parametrize("area", [HEAD, TAIL, BEYOND])
    def test_a_bad_area_keeps_no_other_from_being_blanked(
        self, image: SampleImage, device: MemoryDevice, area: int
    ) -> None:
        bad = area + MIB // 2
        device.bad_sectors.add(bad // SECTOR)
        with pytest.raises(DiskError) as error:
            edges_of(device, image).blank()
        assert error.value.offset == bad
        assert blank_areas(device, image) == [offset for offset in (HEAD, TAIL, BEYOND) if offset != area]

    def test_the_first_of_several_errors_is_the_one_to_be_told(self, image: SampleImage, device: MemoryDevice) -> None:
        device.lying_sectors.add(HEAD // SECTOR + 9)
        device.bad_sectors.update({BEYOND // SECTOR, (TAIL + 4096) // SECTOR})
        with pytest.raises(DiskError) as error:
            edges_of(device, image).blank()
        assert error.value.offset == TAIL + 4096

    def test_areas_that_are_not_kept_are_found(self, image: SampleImage, device: MemoryDevice) -> None:
        device.lying_sectors.add(TAIL // SECTOR)
        with pytest.raises(IntegrityError, match=f"at byte {TAIL}"):
            edges_of(device, image).blank()
        assert blank_areas(device, image) == [HEAD, BEYOND]

    def test_a_disk_that_takes_no_marker_stays_as_it_was(self, image: SampleImage, device: MemoryDevice) -> None:
        device.bad_sectors.add(0)
        before = device.platter()
        with pytest.raises(DiskError):
            edges_of(device, image).blank()
        assert device.platter() == before

    def test_once_marked_a_bad_sector_0_keeps_no_area_from_being_blanked(
        self, image: SampleImage, device: MemoryDevice
    ) -> None:
        edges = edges_of(device, image)
        edges.blank()
        for offset in (TAIL, BEYOND):
            device.write_at(offset, b"half a table")
        device.bad_sectors.add(0)
        with pytest.raises(DiskError):
            edges.blank()
        assert blank_areas(device, image) == [HEAD, TAIL, BEYOND]


class TestOldContent:
    def test_is_kept_for_the_commit_where_it_matches(self, image: SampleImage, device: MemoryDevice) -> None:
        edges = edges_of(device, image)
        tail = image.manifest[len(image.manifest) - 1]
        device.corrupt(tail.offset)
        kept = [chunk for chunk in image.manifest if not MIB <= chunk.offset < TAIL and edges.keep_matching(chunk)]
        assert tail not in kept
        edges.blank()
        edges.hold(tail.offset, image.raw(len(image.manifest) - 1))
        edges.commit()
        disk = device.platter()
        for chunk in [*kept, tail]:
            assert disk[chunk.offset :][: chunk.raw_length] == image.disk[chunk.offset :][: chunk.raw_length]

    def test_of_the_body_is_not_kept(self, image: SampleImage, device: MemoryDevice) -> None:
        body = next(chunk for chunk in image.manifest if chunk.offset >= MIB)
        assert not edges_of(device, image).keep_matching(body)

    def test_that_cannot_be_read_is_not_there(self, image: SampleImage, device: MemoryDevice) -> None:
        device.bad_sectors.add(0)
        edges = edges_of(device, image)
        assert not edges.keep_matching(image.manifest[0])
        assert not edges.has_marker()

    def test_tells_a_cast_of_this_very_image(self, image: SampleImage, device: MemoryDevice) -> None:
        edges = edges_of(device, image)
        assert not edges.has_marker()
        edges.blank()
        assert edges.has_marker()
        other = sample_image(random.Random(SEED + 1), SIZE, chunk_size=CHUNK)
        assert not edges_of(device, other).has_marker()
