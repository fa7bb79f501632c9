"""Images that somebody with an image key made to hurt receivers: bombs and lies, signed and on their proper way.

All digests are right, so nothing stops such a block before the decompressor.
"""

import random
import time
import tracemalloc

import msgspec
import pytest

from broadcaster.announcement import build_announcement
from protocol.blocks import SYMBOL_COUNT, BlockBuffer
from protocol.errors import IntegrityError, ManifestError
from protocol.manifest import CHUNK_SIZE, Manifest, StoredChunk, build_manifest
from protocol.messages import FecOti
from protocol.signing import Purpose
from receiver.deployment import Deployment
from tests.fuzz.crafted_chunks import CHUNK_LENGTH, crafted_chunks
from tests.receiver.memory_device import MemoryDevice
from tests.sample_orders import IMAGE_KEY
from tests.simulator.image import ENCODING_SYMBOL_LENGTH, draw_image

IMAGE = draw_image(random.Random(48), 6, 0.5)
SBN = 3
"""neither in the first nor in the last MiB, so it is written when it comes"""

MOST_MEMORY = 64 * 1024
"""[bytes] for a chunk of 4 KiB"""

MOST_SECONDS = 0.25

CRAFTED = {name: data for name, data in crafted_chunks().items() if name not in {"good", "two frames"}}
TOO_LONG = {name for name, data in CRAFTED.items() if not 1 <= len(data) <= CHUNK_LENGTH}
FITTING = sorted(set(CRAFTED) - TOO_LONG)


def image_with(crafted: bytes) -> Manifest:
    """IMAGE, with these stored bytes in place of one chunk's, as if the chunk were so compressed."""
    manifest = IMAGE.manifest
    chunks = list(manifest)
    offset, raw_length = chunks[SBN].offset, chunks[SBN].raw_length
    chunks[SBN] = StoredChunk(
        chunks[SBN].chunk_id,
        offset,
        raw_length,
        len(crafted),
        chunks[SBN].raw_digest,
        manifest.stored_digest.of(offset, raw_length, crafted),
    )
    return build_manifest(manifest.header, chunks)


def block_of(toi: int, sbn: int, stored: bytes) -> BlockBuffer:
    k = -(-len(stored) // ENCODING_SYMBOL_LENGTH)
    block = BlockBuffer(bytearray(stored.ljust((k + 64) * ENCODING_SYMBOL_LENGTH, b"\0")))
    block.reset(toi, sbn, k)
    block.ledger[:k] = b"\1" * k
    block.ledger[SYMBOL_COUNT] = k
    return block


def deployment_of(manifest: Manifest, device: MemoryDevice) -> Deployment:
    signature = IMAGE_KEY.sign(Purpose.IMAGE, manifest.digest)
    announced = build_announcement(
        manifest,
        tsi=1,
        image_key=IMAGE_KEY.public,
        image_signature=signature,
        source="192.0.2.1",
        group="239.192.0.1",
        port=7000,
        oti=FecOti(encoding_symbol_length=ENCODING_SYMBOL_LENGTH),
    )
    deployment = Deployment(announced, lambda: device, begin_writing=lambda proved_blocks: None, is_delta=False)
    assert len(manifest.encode()) <= CHUNK_SIZE
    assert deployment.store_block(block_of(0, 0, manifest.encode()))
    deployment.load_manifest()
    return deployment


@pytest.mark.parametrize("name", FITTING)
def test_a_crafted_block_is_an_error_in_bounded_time_and_memory_and_not_written(name: str) -> None:
    device = MemoryDevice(len(IMAGE.disk), content=b"\xa5" * len(IMAGE.disk))
    manifest = image_with(CRAFTED[name])
    deployment = deployment_of(manifest, device)
    block = block_of(1, SBN, CRAFTED[name])
    before, operations = device.platter(), device.operations
    tracemalloc.start()
    began = time.thread_time()
    with pytest.raises(IntegrityError, match="does not unpack to 4096 bytes"):
        deployment.store_block(block)
    took = time.thread_time() - began
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < MOST_MEMORY
    assert took < MOST_SECONDS
    assert (device.platter(), device.operations) == (before, operations)


@pytest.mark.parametrize("name", sorted(TOO_LONG))
def test_a_crafted_block_longer_than_its_chunk_is_no_manifest(name: str) -> None:
    with pytest.raises(ManifestError, match="stored length"):
        image_with(CRAFTED[name])


def test_a_crafted_block_that_unpacks_to_other_bytes_is_found_by_read_back() -> None:
    good = crafted_chunks()["good"]
    device = MemoryDevice(len(IMAGE.disk))
    deployment = deployment_of(image_with(good), device)
    for sbn, stored in enumerate(IMAGE.stored):
        assert deployment.store_block(block_of(1, sbn, good if sbn == SBN else stored))
    deployment.write_zero_ranges(lambda: False)
    assert deployment.read_back(lambda done, total: None, lambda: False) == [SBN]
    assert deployment.store_block(block_of(1, SBN, good))
    with pytest.raises(IntegrityError, match="the disk keeps other bytes"):
        deployment.read_back(lambda done, total: None, lambda: False)


def test_the_image_is_good_but_for_what_is_crafted() -> None:
    """Or else the tests above would refuse it for another reason."""
    manifest = IMAGE.manifest
    assert manifest[SBN].raw_length == CHUNK_LENGTH
    assert (1 << 20) <= manifest[SBN].offset < len(IMAGE.disk) - (1 << 20) - CHUNK_LENGTH
    assert msgspec.structs.asdict(image_with(crafted_chunks()["good"]).header)["image_id"] == manifest.header.image_id
    deployment = deployment_of(manifest, MemoryDevice(len(IMAGE.disk)))
    assert all(deployment.store_block(block_of(1, sbn, stored)) for sbn, stored in enumerate(IMAGE.stored))
