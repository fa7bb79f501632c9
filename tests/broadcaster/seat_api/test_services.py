import pytest

from broadcaster.captures.intake import CaptureIntake
from broadcaster.seat_api.services import Captures, Configurations, NoConfigurations, NoRestores, Restores
from protocol.seat_api import RestoreWish


@pytest.mark.asyncio
async def test_where_nothing_is_offered_nothing_is_given() -> None:
    restores: Restores = NoRestores()
    assert (restores.offer("r"), restores.place_of("r"), restores.notice("r")) == (None, ("", ""), "")
    assert (await restores.wish("r", RestoreWish(image="a", version=1))).refusal
    configurations: Configurations = NoConfigurations()
    assert await configurations.configuration("t", "r") is None
    assert await configurations.file("t", "r", bytes(32)) is None
    await configurations.step("t", "r", b"{}")


def test_an_intake_is_what_the_api_asks_of_captures() -> None:
    kind: type[Captures] = CaptureIntake
    assert kind is CaptureIntake
