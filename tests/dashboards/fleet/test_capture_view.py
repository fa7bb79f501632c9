from typing import Any

import pytest

from dashboards.fleet.capture_view import capture_view
from dashboards.fleet.fold import Fleet
from dashboards.rooms.rooms import Rooms
from protocol.capture import CaptureStep
from protocol.operators import CaptureNews, CapturesNews
from tests.dashboards.fleet import news


def capture(number: int = 1, **fields: Any) -> CaptureNews:
    known: dict[str, Any] = {
        "capture_id": f"{number:016x}",
        "receiver_id": news.receiver_id(number),
        "machine": f"pc-{number}",
        "seat": f"seat {number}",
        "image": "windows",
        "is_backup": False,
        "step": CaptureStep.RUNNING,
        "target": "disk",
        "disk_size": 1 << 30,
        "ordered_by": "anna",
        "began_at": 1000.0,
        "done": 0.5,
        "read_bytes": 100,
        "sent_bytes": 50,
        "version": 0,
        "findings": 2,
        "reason": "",
    }
    return CaptureNews(**{**known, **fields})


def page(*captures: CaptureNews, sequence: int = 1, generation: str = news.GENERATION, **fields: Any) -> CapturesNews:
    return CapturesNews(
        **{"page": 0, "pages": 1, **fields}, generation=generation, sequence=sequence, captures=captures
    )


def test_a_view_is_what_was_told() -> None:
    told = capture()
    view = capture_view(told)
    assert {name: getattr(told, name) for name in told.__struct_fields__ if name != "receiver_id"} == {
        name: getattr(view, name) for name in view.__slots__
    }


@pytest.mark.parametrize("step", CaptureStep)
def test_what_can_still_become_an_image_is_open(step: CaptureStep) -> None:
    ended = {CaptureStep.DONE, CaptureStep.REFUSED, CaptureStep.FAILED}
    assert capture_view(capture(step=step)).is_open is (step not in ended)


def test_the_fleet_shows_the_newest_pages_of_this_generation() -> None:
    fleet = Fleet()

    def shown() -> list[str]:
        return [each.machine for each in fleet.view(Rooms(), news.NO_HEALTH, 0.0).captures]

    assert shown() == []
    fleet.receive(page(capture(1)), 0.0)
    fleet.receive(news.host(), 0.0)
    assert shown() == ["pc-1"]
    assert fleet.receive(page(capture(1), capture(2), sequence=3, pages=2), 0.0)
    assert not fleet.receive(page(sequence=2), 0.0)
    fleet.receive(page(capture(3), sequence=3, page=1, pages=2), 0.0)
    assert shown() == ["pc-1", "pc-2", "pc-3"]
    fleet.receive(page(capture(2), sequence=4), 0.0)
    assert shown() == ["pc-2"]
    fleet.receive(news.host(generation=news.LATER, started_at=2000.0), 1.0)
    assert shown() == []
    fleet.receive(page(capture(4), generation=news.LATER), 1.0)
    assert shown() == ["pc-4"]
