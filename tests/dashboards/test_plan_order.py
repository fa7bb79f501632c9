import dataclasses

import pytest

from dashboards.plan_order import PlanOrder


def test_what_is_not_said_is_left_to_room_and_library() -> None:
    order = PlanOrder(room="Lab", image="lab-ubuntu")
    assert (order.version, order.rate_bits_per_second, order.seats) == (0, 0, ())
    assert order.configuration is None
    assert order.backs_up is None


def test_nobody_changes_it_on_its_way() -> None:
    order = PlanOrder(room="Lab", image="lab-ubuntu")
    with pytest.raises(dataclasses.FrozenInstanceError):
        order.backs_up = True  # type: ignore[misc]  # which is the point
