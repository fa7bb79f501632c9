import shutil
from pathlib import Path

import pytest

from broadcaster.netboot.presence import ENDING, ServingMark, is_served


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    return tmp_path / "library" / "boot-orders.json"


@pytest.fixture
def mark(orders: Path) -> ServingMark:
    orders.parent.mkdir()
    return ServingMark(orders)


def test_it_is_served_while_the_mark_is_held(orders: Path, mark: ServingMark) -> None:
    assert not is_served(orders)
    mark.hold()
    mark.hold()
    assert is_served(orders)
    another = ServingMark(orders)
    another.hold()
    mark.close()
    assert is_served(orders), "one more interface is served"
    another.close()
    another.close()
    assert not is_served(orders)


def test_whichever_comes_first(orders: Path, mark: ServingMark) -> None:
    mark.hold()
    assert not is_served(orders), "the broadcaster had made no file yet"
    mark.hold()
    assert is_served(orders)
    shutil.rmtree(orders.parent)
    orders.parent.mkdir()
    assert not is_served(orders)
    mark.hold()
    assert is_served(orders)
    mark.close()


def test_only_its_owner_may_hold_it(orders: Path, mark: ServingMark) -> None:
    is_served(orders)
    assert orders.with_name(orders.name + ENDING).stat().st_mode & 0o777 == 0o600


def test_nobody_is_seen_where_nothing_can_be_made_or_followed(orders: Path) -> None:
    assert not is_served(orders)
    orders.parent.mkdir()
    strange = orders.parent.parent / "strange"
    strange.touch()
    orders.with_name(orders.name + ENDING).symlink_to(strange)
    mark = ServingMark(orders)
    mark.hold()
    assert not is_served(orders)
    assert mark._descriptor is None
