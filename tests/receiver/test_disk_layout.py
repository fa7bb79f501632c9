"""The areas of a disk: together with the body they cover the image once, and never overlap."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocol.manifest import CHUNK_SIZES, Manifest
from receiver.disk_layout import EDGE_LENGTH, MARKER_LENGTH, ZERO_PIECE_LENGTH, DiskLayout, Extent, incomplete_marker
from tests.receiver.sample_image import sample_image

MIB = 1 << 20
SECTOR = 512
BASE = sample_image(random.Random(20261121), 4096).manifest


def layout_of(disk_size: int, device_size: int, chunk_size: int = 1 << 18, *zero_ranges: tuple[int, int]) -> DiskLayout:
    changes = {"disk_size": disk_size, "chunk_size": chunk_size, "zero_ranges": zero_ranges}
    return DiskLayout(replace(BASE.header, **changes), device_size)


@given(
    disk_sectors=st.integers(1, 12_000),
    extra_sectors=st.integers(0, 5_000),
    chunk_size=st.sampled_from(CHUNK_SIZES),
)
def test_areas_are_apart_and_hold_all_places_of_a_table(disk_sectors: int, extra_sectors: int, chunk_size: int) -> None:
    disk_size, device_size = disk_sectors * SECTOR, (disk_sectors + extra_sectors) * SECTOR
    layout = layout_of(disk_size, device_size, chunk_size)
    head, tail, beyond = layout.head, layout.tail, layout.beyond
    assert head == (0, min(EDGE_LENGTH, device_size))
    assert head.end <= tail.offset <= tail.end <= max(head.end, disk_size)
    assert max(tail.end, head.end) <= beyond.offset or beyond.length == 0
    assert tail.length < EDGE_LENGTH + chunk_size
    covered = [extent for extent in (head, tail, beyond) if extent.length]
    for end in (disk_size, device_size):
        last_mebibyte = max(0, end - EDGE_LENGTH)
        gap = last_mebibyte
        for extent in covered:
            if extent.offset <= gap < extent.end:
                gap = extent.end
        assert gap >= end
    for offset in range(0, disk_size, chunk_size):
        area = layout.deferred_area(offset)
        end = min(offset + chunk_size, disk_size)
        if area is None:
            assert head.end <= offset
            assert end <= tail.offset
        else:
            assert area.offset <= offset < end <= area.end


def test_zero_ranges_are_cut_at_the_edges_and_into_pieces() -> None:
    size = 200 * MIB
    layout = layout_of(size, size, 1 << 18, (0, 8), (16, 4), (40, size // (1 << 18) - 40))
    assert layout.zero_pieces[:2] == (Extent(MIB, MIB), Extent(4 * MIB, MIB))
    pieces = layout.zero_pieces[2:]
    assert (pieces[0].offset, pieces[-1].end) == (10 * MIB, size - MIB)
    assert all(piece.length <= ZERO_PIECE_LENGTH for piece in pieces)
    assert [piece.end for piece in pieces[:-1]] == [piece.offset for piece in pieces[1:]]


def test_zero_ranges_within_the_edges_need_no_zeroing() -> None:
    assert layout_of(2 * MIB, 2 * MIB, 1 << 18, (1, 6)).zero_pieces == ()


@pytest.mark.parametrize("name", ["lab", "x" * 1000, "Räume 🖥" * 100, "\x55\xaa" * 300, ""])
def test_the_marker_is_readable_and_no_table(name: str) -> None:
    manifest = Manifest(replace(BASE.header, name=name), b"")
    marker = incomplete_marker(manifest)
    assert len(marker) == MARKER_LENGTH
    assert marker.startswith(b"slatecast: INCOMPLETE DISK")
    assert manifest.digest.hex().encode() in marker
    assert marker[440:] == bytes(72)  # no disk signature, no partition, no 0x55AA
    assert marker[439] == 0
