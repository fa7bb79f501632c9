from dataclasses import FrozenInstanceError

import pytest

from protocol.blocks import BlockBuffer
from receiver.events import BlockDecodable, ObjectCompleted, SessionLeft, Want


@pytest.mark.parametrize(
    "event",
    [BlockDecodable(BlockBuffer(bytearray())), ObjectCompleted(1), SessionLeft(is_acknowledged=True), Want(1, 2)],
    ids=lambda event: type(event).__name__,
)
def test_what_was_asked_for_cannot_be_changed(event: object) -> None:
    (name, *_) = event.__slots__  # type: ignore[attr-defined]  # dataclasses with slots, each of another type
    with pytest.raises(FrozenInstanceError):
        setattr(event, name, None)


def test_wants_are_told_apart_by_what_they_ask_for() -> None:
    assert Want(1, 2) == Want(1, 2, None)
    assert len({Want(1, 2), Want(0, 2), Want(1, 3), Want(1, 2, range(10, 12)), Want(1, 2, range(10, 13))}) == 5
