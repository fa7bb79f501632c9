import random

import msgspec
import pytest

from broadcaster.announcement import build_announcement
from protocol.blocks import REPAIR_COUNT, REPAIR_ESIS, SYMBOL_COUNT, BlockBuffer
from protocol.errors import DiskError, IntegrityError, ManifestError, RefusedError, SessionStateError, TargetError
from protocol.fec import encode_repair
from protocol.manifest import CHUNK_SIZE as MANIFEST_BLOCK_SIZE
from protocol.manifest import StoredChunk, build_manifest
from protocol.messages import Announcement, FecOti
from receiver.arming import Arming
from receiver.deployment import Deployment
from receiver.disk_layout import DiskLayout
from tests.receiver.memory_device import SECTOR, MemoryDevice
from tests.simulator.disk import is_bootable
from tests.simulator.image import CHUNK_SIZE, ENCODING_SYMBOL_LENGTH, SimulatedImage, draw_image

MIB = 1 << 20
LONG_SYMBOL = 1416


@pytest.fixture(scope="module")
def image() -> SimulatedImage:
    return draw_image(random.Random(11), 12, 0.6)


def at_once(proved_blocks: int) -> None:
    """Nothing keeps the disk from being written, once the path is proved."""
    assert proved_blocks > 0


def stored_blocks(image: SimulatedImage) -> list[bytes]:
    """The stored bytes of each block."""
    return [image.library.store.read(chunk.raw_digest) or b"" for chunk in image.manifest]


@pytest.fixture
def device(image: SimulatedImage) -> MemoryDevice:
    return MemoryDevice(len(image.disk))


def announce(image: SimulatedImage) -> Announcement:
    return build_announcement(
        image.manifest,
        tsi=1,
        image_key=bytes(32),
        image_signature=bytes(64),
        source="192.0.2.1",
        group="239.192.0.1",
        port=7000,
        oti=FecOti(encoding_symbol_length=ENCODING_SYMBOL_LENGTH),
    )


def block_of(
    toi: int, sbn: int, stored: bytes, *, lost: int = 0, symbol_length: int = ENCODING_SYMBOL_LENGTH
) -> BlockBuffer:
    """A complete block that lost its first ``lost`` symbols and got as many repair symbols instead."""
    k = -(-len(stored) // symbol_length)
    source = stored.ljust(k * symbol_length, b"\0")
    esis = range(k, k + lost)
    block = BlockBuffer(bytearray(source + encode_repair(source, k, symbol_length, esis)))
    block.symbols[: lost * symbol_length] = bytes(lost * symbol_length)
    block.reset(toi, sbn, k)
    block.ledger[lost:k] = b"\1" * (k - lost)
    block.ledger[SYMBOL_COUNT] = k
    block.ledger[REPAIR_COUNT] = lost
    block.ledger[REPAIR_ESIS : REPAIR_ESIS + lost] = bytes(esis)
    return block


def with_manifest(image: SimulatedImage, device: MemoryDevice, *, is_delta: bool = True) -> Deployment:
    """A deployment that has stored object 0 and marked the disk."""
    deployment = Deployment(announce(image), lambda: device, begin_writing=at_once, is_delta=is_delta)
    assert deployment.store_block(block_of(0, 0, image.manifest.encode()))
    assert deployment.load_manifest().digest == image.manifest.digest
    return deployment


def store_disk(deployment: Deployment, image: SimulatedImage) -> None:
    blocks = [block_of(1, sbn, stored) for sbn, stored in enumerate(stored_blocks(image))]
    assert deployment.store_blocks(blocks) == [True] * len(blocks)


def read_back(deployment: Deployment) -> list[int]:
    return deployment.read_back(lambda done, total: None, lambda: False)


def scan(deployment: Deployment) -> tuple[set[int], list[tuple[int, int]]]:
    """The blocks that are there, and all that was told of the progress."""
    present: set[int] = set()
    progress: list[tuple[int, int]] = []
    deployment.scan(present.update, lambda done, total: progress.append((done, total)), lambda: False)
    return present, progress


def fetch(deployment: Deployment, image: SimulatedImage, missing: set[int]) -> None:
    for sbn in missing:
        assert deployment.store_block(block_of(1, sbn, stored_blocks(image)[sbn]))
    deployment.write_zero_ranges(lambda: False)
    assert read_back(deployment) == []
    deployment.commit()


def body_sbn(image: SimulatedImage) -> int:
    """A block that is written when it comes, not kept for the commit."""
    return next(
        sbn for sbn, chunk in enumerate(image.manifest) if MIB <= chunk.offset < len(image.disk) - MIB - CHUNK_SIZE
    )


def test_the_whole_way(image: SimulatedImage, device: MemoryDevice) -> None:
    deployment = with_manifest(image, device)
    store_disk(deployment, image)
    deployment.write_zero_ranges(lambda: False)
    assert read_back(deployment) == []
    assert not is_bootable(device.platter())
    deployment.commit()
    assert image.is_on(device.platter())
    assert is_bootable(device.platter())


def test_verified_is_all_that_the_image_says_of_the_disk(image: SimulatedImage, device: MemoryDevice) -> None:
    chunks = {chunk.chunk_id for chunk in image.manifest}
    zeros = {each for first, count in image.manifest.header.zero_ranges for each in range(first, first + count)}
    assert zeros
    lengths = [min(CHUNK_SIZE, len(image.disk) - each * CHUNK_SIZE) for each in chunks | zeros]
    assert with_manifest(image, device).verified_bytes() == sum(lengths)


def test_lost_symbols_are_mended(image: SimulatedImage, device: MemoryDevice) -> None:
    deployment = Deployment(announce(image), lambda: device, begin_writing=at_once)
    assert deployment.store_block(block_of(0, 0, image.manifest.encode(), lost=2))
    deployment.load_manifest()
    sbn = body_sbn(image)
    assert deployment.store_block(block_of(1, sbn, stored_blocks(image)[sbn], lost=1))
    deployment.read_back(lambda done, total: None, lambda: False)
    chunk = image.manifest[sbn]
    at = slice(chunk.offset, chunk.offset + chunk.raw_length)
    assert device.platter()[at] == image.disk[at]


@pytest.mark.parametrize("toi", [0, 1])
def test_a_block_with_one_wrong_bit_is_never_stored(image: SimulatedImage, device: MemoryDevice, toi: int) -> None:
    deployment = with_manifest(image, device)
    sbn = body_sbn(image) if toi else 0
    stored = bytearray(stored_blocks(image)[sbn] if toi else image.manifest.encode())
    before = device.operations
    for position in (0, len(stored) // 2, len(stored) - 1):
        stored[position] ^= 0x80
        assert not deployment.store_block(block_of(toi, sbn, bytes(stored)))
        stored[position] ^= 0x80
    assert device.operations == before
    assert deployment.store_block(block_of(toi, sbn, bytes(stored)))


def test_a_block_in_the_place_of_another_is_not_stored(image: SimulatedImage, device: MemoryDevice) -> None:
    deployment = with_manifest(image, device)
    same_length = [sbn for sbn in range(len(image.manifest)) if len(stored_blocks(image)[sbn]) == CHUNK_SIZE]
    assert not deployment.store_block(block_of(1, same_length[0], stored_blocks(image)[same_length[1]]))


def test_too_few_symbols_are_not_stored(image: SimulatedImage, device: MemoryDevice) -> None:
    block = block_of(0, 0, image.manifest.encode())
    block.ledger[0] = 0
    assert not Deployment(announce(image), lambda: device, begin_writing=at_once).store_block(block)


def test_nothing_touches_the_disk_before_the_manifest(image: SimulatedImage, device: MemoryDevice) -> None:
    deployment = Deployment(announce(image), lambda: device, begin_writing=at_once)
    with pytest.raises(SessionStateError):
        deployment.store_block(block_of(1, 0, stored_blocks(image)[0]))
    for call in (lambda: deployment.write_zero_ranges(lambda: False), lambda: read_back(deployment), deployment.commit):
        with pytest.raises(SessionStateError):
            call()
    with pytest.raises(ManifestError):
        deployment.load_manifest()
    assert device.operations == 0


def test_a_manifest_that_is_not_the_announced_one_is_refused(image: SimulatedImage, device: MemoryDevice) -> None:
    # The blocks are as announced, and yet the announcement contradicts itself: a hostile broker can do that.
    other = announce(draw_image(random.Random(12), 12, 0.6))
    mixed = msgspec.structs.replace(announce(image), manifest_digest=other.manifest_digest)
    deployment = Deployment(mixed, lambda: device, begin_writing=at_once)
    assert not deployment.store_block(block_of(0, 0, image.manifest.encode()))
    wrong_size = msgspec.structs.replace(announce(image), image=other.image)
    deployment = Deployment(wrong_size, lambda: device, begin_writing=at_once)
    assert deployment.store_block(block_of(0, 0, image.manifest.encode()))
    with pytest.raises(ManifestError, match="another disk size"):
        deployment.load_manifest()
    assert device.operations == 0


def test_a_target_that_is_refused_stays_untouched(image: SimulatedImage) -> None:
    small = MemoryDevice(len(image.disk) - SECTOR)
    deployment = Deployment(announce(image), lambda: small, begin_writing=at_once)
    assert deployment.store_block(block_of(0, 0, image.manifest.encode()))
    with pytest.raises(TargetError):
        deployment.load_manifest()
    assert small.operations == 0


def test_a_write_error_is_the_disks(image: SimulatedImage, device: MemoryDevice) -> None:
    deployment = with_manifest(image, device)
    sbn = body_sbn(image)
    device.bad_sectors = {image.manifest[sbn].offset // SECTOR}
    with pytest.raises(DiskError):
        deployment.store_block(block_of(1, sbn, stored_blocks(image)[sbn]))


def test_a_sync_error_is_final(image: SimulatedImage, device: MemoryDevice) -> None:
    deployment = with_manifest(image, device)
    store_disk(deployment, image)
    deployment.write_zero_ranges(lambda: False)
    device.fails_next_sync = True
    with pytest.raises(DiskError):
        read_back(deployment)
    for call in (lambda: read_back(deployment), deployment.commit):
        with pytest.raises(DiskError):
            call()
    assert not is_bootable(device.platter())


def test_damage_is_named_and_mended_by_the_same_block_again(image: SimulatedImage, device: MemoryDevice) -> None:
    deployment = with_manifest(image, device)
    store_disk(deployment, image)
    deployment.write_zero_ranges(lambda: False)
    sbn = body_sbn(image)
    device.corrupt(image.manifest[sbn].offset + 5)
    assert read_back(deployment) == [sbn]
    with pytest.raises(SessionStateError):
        deployment.commit()
    assert deployment.store_block(block_of(1, sbn, stored_blocks(image)[sbn]))
    assert read_back(deployment) == []
    deployment.commit()
    assert image.is_on(device.platter())


def test_a_disk_that_keeps_other_bytes_is_given_up(image: SimulatedImage, device: MemoryDevice) -> None:
    deployment = with_manifest(image, device)
    sbn = body_sbn(image)
    device.lying_sectors = {image.manifest[sbn].offset // SECTOR}
    store_disk(deployment, image)
    deployment.write_zero_ranges(lambda: False)
    assert read_back(deployment) == [sbn]
    assert deployment.store_block(block_of(1, sbn, stored_blocks(image)[sbn]))
    with pytest.raises(IntegrityError, match="keeps other bytes"):
        read_back(deployment)
    assert not is_bootable(device.platter())


def test_a_disk_that_loses_its_marker_is_found_before_anything_else(
    image: SimulatedImage, device: MemoryDevice
) -> None:
    device.lying_sectors = {0}
    deployment = Deployment(announce(image), lambda: device, begin_writing=at_once)
    assert deployment.store_block(block_of(0, 0, image.manifest.encode()))
    with pytest.raises(IntegrityError):
        deployment.load_manifest()


def test_a_manifest_of_several_blocks_is_put_together_in_any_order(image: SimulatedImage) -> None:
    count = 4000
    chunks = [StoredChunk(number, number * CHUNK_SIZE, CHUNK_SIZE, 9, bytes(32), bytes(32)) for number in range(count)]
    header = msgspec.structs.replace(image.manifest.header, disk_size=count * CHUNK_SIZE, zero_ranges=())
    manifest = build_manifest(header, chunks)
    announcement = build_announcement(
        manifest,
        tsi=1,
        image_key=bytes(32),
        image_signature=bytes(64),
        group="239.192.0.1",
        port=7000,
        source="192.0.2.1",
        oti=FecOti(),
    )
    announcement = msgspec.structs.replace(announcement, oti=FecOti(encoding_symbol_length=LONG_SYMBOL))
    blocks = [manifest.read(offset, MANIFEST_BLOCK_SIZE) for offset in (0, MANIFEST_BLOCK_SIZE)]
    deployment = Deployment(announcement, lambda: MemoryDevice(count * CHUNK_SIZE), begin_writing=at_once)
    assert deployment.store_block(block_of(0, 1, blocks[1], symbol_length=LONG_SYMBOL))
    with pytest.raises(ManifestError):
        deployment.load_manifest()
    assert deployment.store_block(block_of(0, 0, blocks[0], symbol_length=LONG_SYMBOL))
    assert deployment.load_manifest().encode() == manifest.encode()


class TestWhatIsThereAlready:
    def test_of_the_same_image_is_everything(self, image: SimulatedImage) -> None:
        everything = set(range(len(image.manifest)))
        device = MemoryDevice(len(image.disk), content=image.disk)
        deployment = with_manifest(image, device)
        present, progress = scan(deployment)
        assert present == everything
        assert progress[-1][0] == progress[-1][1] > 0
        fetch(deployment, image, set())
        assert image.is_on(device.platter())
        assert is_bootable(device.platter())

    def test_of_another_image_is_nothing(self, image: SimulatedImage, device: MemoryDevice) -> None:
        deployment = with_manifest(image, device)
        assert scan(deployment) == (set(), [(0, 0)])
        fetch(deployment, image, set(range(len(image.manifest))))
        assert image.is_on(device.platter())

    def test_is_of_no_use_without_delta(self, image: SimulatedImage) -> None:
        device = MemoryDevice(len(image.disk), content=image.disk)
        deployment = with_manifest(image, device, is_delta=False)
        assert scan(deployment) == (set(), [(0, 0)])
        with pytest.raises(SessionStateError, match=f"{len(image.manifest)} chunks"):
            deployment.commit()
        fetch(deployment, image, set(range(len(image.manifest))))
        assert image.is_on(device.platter())

    def test_of_the_edges_is_read_before_they_are_blanked(self, image: SimulatedImage) -> None:
        edges = {0, len(image.manifest) - 1}
        content = image.disk[:MIB] + bytes(len(image.disk) - 2 * MIB) + image.disk[-MIB:]
        device = MemoryDevice(len(image.disk), content=content)
        deployment = with_manifest(image, device)
        assert not any(device.platter()[512:MIB])
        present, progress = scan(deployment)
        assert present >= edges
        assert progress == [(0, 0)]
        fetch(deployment, image, set(range(len(image.manifest))) - present)
        assert image.is_on(device.platter())

    @pytest.mark.parametrize("has_power_cut", [False, True])
    @pytest.mark.parametrize("seed", range(6))
    def test_after_a_sudden_end_is_what_was_written(
        self, image: SimulatedImage, device: MemoryDevice, seed: int, has_power_cut: bool
    ) -> None:
        rng = random.Random(f"power cut {seed}")
        deployment = with_manifest(image, device)
        written = set(rng.sample(range(len(image.manifest)), 8))
        for sbn in written:
            assert deployment.store_block(block_of(1, sbn, stored_blocks(image)[sbn]))
        if has_power_cut:
            device.crash(rng)
        disk = device.platter()
        resumed = with_manifest(image, device)
        present, _ = scan(resumed)
        layout = DiskLayout(image.manifest.header, device.size)
        body = {sbn for sbn in written if layout.deferred_area(image.manifest[sbn].offset) is None}
        kept = {
            sbn
            for sbn in body
            if disk[image.manifest[sbn].offset :][:CHUNK_SIZE] == image.disk[image.manifest[sbn].offset :][:CHUNK_SIZE]
        }
        assert present == (kept if has_power_cut else body)
        fetch(resumed, image, set(range(len(image.manifest))) - present)
        assert image.is_on(device.platter())
        assert is_bootable(device.platter())

    def test_is_not_asked_for_before_the_manifest(self, image: SimulatedImage, device: MemoryDevice) -> None:
        with pytest.raises(SessionStateError):
            scan(Deployment(announce(image), lambda: device, begin_writing=at_once))


def test_counts_what_the_disk_takes(image: SimulatedImage, device: MemoryDevice) -> None:
    assert (Deployment(announce(image), lambda: device, begin_writing=at_once).bytes_written) == 0
    deployment = with_manifest(image, device)
    before, busy_before = deployment.bytes_written, deployment.disk_busy_seconds
    sbn = body_sbn(image)
    assert deployment.store_block(block_of(1, sbn, stored_blocks(image)[sbn]))
    assert deployment.bytes_written - before == CHUNK_SIZE
    assert deployment.disk_busy_seconds > busy_before


# --- permission to write ---------------------------------------------------------------------------------------------


def test_permission_is_asked_for_once_before_the_disk_is_opened_with_what_is_proved(
    image: SimulatedImage, device: MemoryDevice
) -> None:
    happened: list[str] = []

    def open_device() -> MemoryDevice:
        happened.append(f"open after {device.operations} operations")
        return device

    deployment = Deployment(
        announce(image), open_device, begin_writing=lambda proved: happened.append(f"{proved} proved")
    )
    assert deployment.store_block(block_of(0, 0, image.manifest.encode(), lost=3))
    assert happened == []
    deployment.load_manifest()
    assert happened == ["1 proved", "open after 0 operations"]
    assert device.operations > 0


def test_without_permission_the_disk_is_not_even_opened(image: SimulatedImage) -> None:
    def refuse(proved_blocks: int) -> None:
        raise RefusedError("stopped at the seat")

    def open_device() -> MemoryDevice:
        raise AssertionError("opened")

    deployment = Deployment(announce(image), open_device, begin_writing=refuse)
    assert deployment.store_block(block_of(0, 0, image.manifest.encode()))
    with pytest.raises(RefusedError, match="stopped at the seat"):
        deployment.load_manifest()
    with pytest.raises(SessionStateError):
        deployment.write_zero_ranges(lambda: False)
    assert deployment.bytes_written == 0


def test_a_block_that_is_not_the_announced_one_proves_nothing(image: SimulatedImage, device: MemoryDevice) -> None:
    arming = Arming(0.0, 0.0, is_held=False)
    deployment = Deployment(
        announce(image), lambda: device, begin_writing=lambda proved: arming.begin_writing(0.0, proved_blocks=proved)
    )
    damaged = bytearray(image.manifest.encode())
    damaged[100] ^= 0x01
    assert not deployment.store_block(block_of(0, 0, bytes(damaged)))
    deployment._manifest_bytes[:] = image.manifest.encode()  # however it came there, it did not come whole
    with pytest.raises(SessionStateError, match="before one block was proved"):
        deployment.load_manifest()
    assert (arming.has_begun, device.operations) == (False, 0)
