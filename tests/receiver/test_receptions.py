"""Both objects of a session in one memory; what each reception does by itself is in test_reception."""

import random

import pytest

from protocol.errors import SessionStateError
from protocol.messages import SessionPhase
from protocol.wire import TOI_DISK, TOI_MANIFEST
from receiver.receptions import SILENCE, Receptions
from tests.receiver.seat import MANIFEST_K, ROOM_FOR_ONE_BLOCK, K, add_symbols, manifest_of
from tests.sample_messages import announcement, status


def receptions(*, buffer_limit: int = 100 * ROOM_FOR_ONE_BLOCK) -> Receptions:
    return Receptions(announcement(), rng=random.Random(1), now=0.0, buffer_limit=buffer_limit)


def arrive(objects: Receptions, toi: int, sbn: int, k: int, count: int) -> bool:
    found = objects.find(toi, sbn, k, is_multicast=True)
    if found is not None:
        add_symbols(found[1], range(count), k)
    return found is not None


def test_of_the_disk_nothing_is_known_before_the_manifest() -> None:
    objects = receptions()
    assert not objects.has_manifest
    assert [each.toi for each in objects] == [TOI_MANIFEST, TOI_DISK]
    assert not arrive(objects, TOI_DISK, 0, K, K)
    with pytest.raises(SessionStateError, match="before the manifest was loaded"):
        objects._disk_block_length(0)
    objects.manifest_loaded(manifest_of(3))
    assert objects.has_manifest
    assert len(objects[TOI_DISK].missing) == 3


def test_blocks_can_be_decoded_when_enough_has_come() -> None:
    objects = receptions()
    assert arrive(objects, TOI_MANIFEST, 0, MANIFEST_K, MANIFEST_K - 1)
    assert objects.opened(1.0, is_multicast=True) == []
    assert arrive(objects, TOI_MANIFEST, 0, MANIFEST_K, MANIFEST_K)
    (block,) = objects.opened(2.0, is_multicast=True)
    assert (block.toi, block.sbn) == (TOI_MANIFEST, 0)
    assert objects.opened(2.0, is_multicast=True) == []
    assert objects.last_arrival == 2.0


def test_both_share_one_memory() -> None:
    objects = receptions(buffer_limit=ROOM_FOR_ONE_BLOCK)
    objects.manifest_loaded(manifest_of(2))
    assert arrive(objects, TOI_MANIFEST, 0, MANIFEST_K, 1)
    assert not arrive(objects, TOI_DISK, 0, K, 1)


def test_the_position_of_the_sender_is_believed_in_silence() -> None:
    objects = receptions()
    objects.manifest_loaded(manifest_of(4))
    objects.disk.first_pass.count_from(0)
    said = status(phase=SessionPhase.DISK, position=3)
    objects.believe(said, SILENCE / 2, takes_disk=True)
    assert objects.disk.first_pass.gone_by == 0
    objects.believe(said, SILENCE, takes_disk=True)
    assert objects.disk.first_pass.gone_by == 3


def test_the_manifest_is_fetched_first_and_nothing_by_who_is_not_on_the_lane() -> None:
    objects = receptions()
    objects.manifest_loaded(manifest_of(1))
    asked = {"takes_disk": True, "must_leave_group": True}
    objects.has_scanned = True
    assert objects.next_want(1.0, is_on_catch_up=False, **asked) is None
    wants = [objects.next_want(1.0, is_on_catch_up=True, **asked) for _ in range(3)]
    assert [(want.toi, want.sbn) for want in wants if want is not None] == [(TOI_MANIFEST, 0), (TOI_DISK, 0)]
