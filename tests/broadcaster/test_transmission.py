import dataclasses

import pytest

from broadcaster.transmission import TransferObject, Transmission


def test_a_decision_is_the_same_wherever_it_is_looked_at() -> None:
    """It passes through three threads."""
    transmission = Transmission(1, 7, 10, range(10, 13), is_first_pass=False)
    assert transmission == Transmission(1, 7, 10, range(10, 13), is_first_pass=False)
    assert transmission != dataclasses.replace(transmission, is_first_pass=True)
    for name in ("sbn", "esis"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(transmission, name, 0)


def test_every_block_of_an_object_has_a_length_of_its_own() -> None:
    shape = TransferObject(3, lambda sbn: (186, 20, 1)[sbn])
    assert [shape.source_block_length(sbn) for sbn in range(shape.block_count)] == [186, 20, 1]
