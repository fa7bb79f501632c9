import asyncio

import pytest
from nicegui import ui

from dashboards.desk import Progress
from dashboards.pages.paths import start_path
from dashboards.pages.plan_shrink import smallest_disk
from dashboards.user import User
from protocol.errors import RefusedError, TargetError
from protocol.messages import ImageSummary
from protocol.operators import SessionStep
from receiver.target import check_geometry
from tests.dashboards import played_session
from tests.dashboards.pages.test_new_plan import opened
from tests.dashboards.pages.visitor import settled, visiting
from tests.dashboards.played_desk import ADMIN, OPERATOR, PlayedDesk
from tests.dashboards.played_session import CHUNK, Part

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

DISK = 16_000 * CHUNK * 4
SMALL = DISK // 2 + 12345


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> tuple[PlayedDesk, str]:
    """A plan of which some seats have disks that are too small, as a receiver says it."""
    image = ImageSummary(
        name="lab-ubuntu", version=2, disk_size=DISK, logical_sector_size=512, stored_bytes=1, least_size=DISK // 4
    )
    with pytest.raises(TargetError) as refused:
        check_geometry("/dev/sda", SMALL, 512, image)
    played = {**played_session._ENDS, Part.REFUSED: (0.0, "refused", str(refused.value)[:400])}
    monkeypatch.setattr(played_session, "_ENDS", played)
    desk = PlayedDesk()
    tsi = desk.played.plan("Room 1")
    desk.advance(15)
    return desk, tsi


async def test_a_receiver_says_which_size_it_has(planned: tuple[PlayedDesk, str]) -> None:
    desk, tsi = planned
    session = desk.session(tsi)
    assert session is not None
    assert smallest_disk(session) == (2, SMALL)


async def test_a_disk_on_which_it_cannot_fit_offers_nothing() -> None:
    desk = PlayedDesk()
    tsi = desk.played.plan("Room 1")
    desk.advance(15)
    session = desk.session(tsi)
    assert session is not None
    assert smallest_disk(session) == (0, 0)
    async with visiting(desk, ADMIN) as visitor:
        await visitor.open(start_path(tsi=tsi))
        assert not visitor.says("Disks that are too small")


async def test_the_image_is_made_smaller_and_planned_instead(
    planned: tuple[PlayedDesk, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, tsi = planned
    go_on = asyncio.Event()
    shrink = desk.shrink_image

    async def slow(user: User, name: str, version: int, size: int, progress: Progress) -> tuple[str, int, int]:
        progress(0.5, "shrinking ext4")
        await go_on.wait()
        return await shrink(user, name, version, size, progress)

    monkeypatch.setattr(desk, "shrink_image", slow)
    async with visiting(desk, ADMIN) as visitor:
        await visitor.open(start_path(tsi=tsi))
        assert visitor.says("2 seats were refused because the disk is too small.")
        await visitor.press("Shrink the image")
        await visitor.after(1)
        assert visitor.says("lab-ubuntu version 2 is made smaller. shrinking ext4")
        assert not visitor.all_buttons("Shrink the image")
        go_on.set()
        await settled()
        await visitor.open(start_path(tsi=tsi))  # the work goes on without the page, and is found again
        assert visitor.says("Version 3 fits on a disk of")
        paths = opened(visitor)
        await visitor.press("Plan version 3 instead")
        assert desk.played.sessions[tsi].step is SessionStep.ENDED
        assert paths == [start_path("Room 1", image="lab-ubuntu", version=3)]
        await visitor.open(paths[0])
        (version,) = [each for each in visitor.all(ui.select) if each.props.get("label") == "Version"]
        assert version.value == 3


async def test_a_failure_is_told_and_can_be_tried_again(
    planned: tuple[PlayedDesk, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, tsi = planned

    async def refuse(*_: object) -> tuple[str, int, int]:
        raise RefusedError("nothing of it can be made smaller")

    monkeypatch.setattr(desk, "shrink_image", refuse)
    async with visiting(desk, ADMIN) as visitor:
        await visitor.open(start_path(tsi=tsi))
        await visitor.press("Shrink the image")
        await visitor.after(1)
        assert visitor.says("The last try failed: nothing of it can be made smaller")
        assert visitor.all_buttons("Shrink the image")


async def test_an_operator_is_told_who_may(planned: tuple[PlayedDesk, str]) -> None:
    desk, tsi = planned
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(start_path(tsi=tsi))
        assert visitor.says("Ask an admin to do so.")
        assert not visitor.all_buttons("Shrink the image")
