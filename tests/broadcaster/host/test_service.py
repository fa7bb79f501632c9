import pytest

from protocol.commands import FetchReport, StartSession
from protocol.operators import SessionStep
from tests.broadcaster.host.hosted_room import HostedRoom

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.asyncio]


async def test_a_room_from_plan_to_report(hosted: HostedRoom) -> None:
    async with hosted.host() as (_, operator):
        for machine in ("a", "b"):
            hosted.receive(machine)
        await operator.until(lambda: operator.machines() == {"a", "b"}, "both receivers")
        tsi = (await operator.do(hosted.plan("a", "b")))["tsi"]
        await operator.until(
            lambda: (
                tsi in operator.sessions
                and operator.outcomes(tsi) == {"seat a": "planned", "seat b": "planned"}
                and all(seat.has_scanned for seat in operator.seats(tsi).values())
            ),
            "both planned",
        )
        for name, seat in operator.seats(tsi).items():
            assert seat.target.endswith(f"{name.removeprefix('seat ')}.disk")
            assert seat.blocks_missing == len(hosted.manifest)
        assert operator.sessions[tsi].step is SessionStep.PLANNED
        assert all(map(hosted.is_untouched, "ab"))
        assert await operator.do(StartSession(tsi=tsi, expected_seats=2)) == {}
        await operator.until(lambda: operator.sessions[tsi].step is SessionStep.ENDED, "the end")
        assert operator.outcomes(tsi) == {"seat a": "verified", "seat b": "verified"}
        report = await operator.do(FetchReport(tsi=tsi))
    assert report["session"] == tsi
    assert [seat["outcome"] for seat in report["seats"]] == ["verified"] * 2
