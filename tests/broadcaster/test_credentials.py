import dataclasses
import random

import pytest

from broadcaster.credentials import CastCredentials
from tests.sample_messages import DIRECTOR, IMAGE_KEY
from tests.sample_trust import credentials
from tests.simulator.image import draw_image


def test_nothing_secret_shows() -> None:
    made = CastCredentials(
        director=DIRECTOR, image_key=IMAGE_KEY.public, image_signature=bytes(64), broker_tls=None, lane_tls=None
    )
    shown = f"{made!r} {made}"
    secret = b"d" * 32  # of DIRECTOR
    assert repr(secret) not in shown
    assert secret.decode() not in shown
    assert secret.hex() not in shown


def test_they_do_not_change_while_a_cast_runs() -> None:
    made = credentials(draw_image(random.Random(1), 4).manifest)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.director = IMAGE_KEY  # type: ignore[misc]  # that is what is tested
