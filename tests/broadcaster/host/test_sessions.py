import logging

import msgspec
import pytest

from broadcaster.host import sessions as module
from broadcaster.host.hosting import Hosting, encode_hosting
from broadcaster.host.service import SessionHost
from broadcaster.saved_cast import CASTS_FOLDER, CastStore, SavedCast
from protocol.commands import PlannedSeat, StopSession
from protocol.errors import RefusedError
from protocol.link.multicast import DATA_PORT
from tests.broadcaster.host.hosted_room import HostedRoom
from tests.broadcaster.host.test_session_commands import Desk
from tests.sample_messages import TSI, report

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.asyncio]

HOSTING = Hosting(
    room="R1",
    image="lab",
    version=1,
    seats=(PlannedSeat(machine="a", seat="seat a"),),
    rate_bits_per_second=0,
    wait_seconds=300.0,
    ordered_by="anna",
    opened_at=1.7e9,
    expected_seats=1,
    comers={report(1).receiver_id: "a"},
)


def leave_behind(hosted: HostedRoom, **changes: object) -> None:
    """The state of a hosted session whose process was killed."""
    state = SavedCast(
        tsi=TSI,
        session_secret=bytes(32),
        image_name="lab",
        image_version=1,
        manifest_digest=hosted.manifest.digest,
        group="239.192.7.9",
        port=DATA_PORT,
        interface_name="lo",
        use_ipv6=False,
        expected_seats=1,
        elapsed_seconds=12.0,
        reports=(report(1, seat="PC a"),),
        hosting=encode_hosting(HOSTING),
    )
    CastStore(hosted.library.root / CASTS_FOLDER).create(msgspec.structs.replace(state, **changes)).close()


def kept(hosted: HostedRoom) -> list[str]:
    return [path.name for path in (hosted.library.root / CASTS_FOLDER).glob("*.cast")]


async def test_what_was_left_behind_goes_on_with_all_that_was_known_of_it(hosted: HostedRoom) -> None:
    leave_behind(hosted, is_paused=True)
    async with hosted.host() as (host, operator):
        await operator.until(lambda: TSI in operator.sessions and bool(operator.seats(TSI)), "the session, its seats")
        session = operator.sessions[TSI]
        assert (session.room, session.ordered_by, session.step.value) == ("R1", "anna", "paused")
        assert list(operator.seats(TSI)) == ["seat a"]
        assert "PC a joined" not in operator.said(TSI)
        assert [each.holds("a") for each in host.sessions.open()] == [True]
    assert kept(hosted) == [f"{TSI}.cast"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"is_released": False}, "it was only planned"),
        ({"hosting": b"nonsense"}, "what it was for cannot be read"),
        ({"interface_name": "eth7"}, "it ran on eth7, and this is lo"),
        ({"manifest_digest": bytes(32)}, "its image has been replaced meanwhile"),
        ({"image_version": 7}, "has no version 7"),
    ],
)
async def test_what_cannot_go_on_is_forgotten_and_not_announced_any_more(
    hosted: HostedRoom, caplog: pytest.LogCaptureFixture, changes: dict[str, object], why: str
) -> None:
    leave_behind(hosted, **changes)
    cleared: list[str] = []
    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(SessionHost, "_clear_announcement", lambda _, tsi: cleared.append(tsi))
        async with hosted.host() as (host, _):
            assert host.sessions.open() == []
    assert cleared == [TSI]
    assert f"session {TSI} is not resumed: " in caplog.text
    assert why in caplog.text
    assert kept(hosted) == []


async def test_an_ended_session_is_told_for_a_while(hosted: HostedRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted.host() as (host, operator):
        Desk(hosted, host, operator)
        tsi = (await operator.do(hosted.plan("machine-1")))["tsi"]
        assert host.sessions.using("lab", 1) == (tsi,)
        await operator.do(StopSession(tsi=tsi))
        await operator.until(lambda: operator.host is not None and operator.host.sessions == ())
        assert [session.tsi for session in host.sessions.all()] == [tsi]
        assert host.sessions.using("lab", 1) == ()
        monkeypatch.setattr(module, "LINGER", 0.0)
        assert host.sessions.open() == []
        assert tsi in host.sessions._sessions, "a look from another thread changes nothing"
        assert list(host.sessions.all()) == []
        with pytest.raises(RefusedError, match="there is no session"):
            host.sessions.need(tsi)
        assert host.sessions.hosting_of(tsi).room == "R1"
        assert host.sessions.outcomes_of(tsi)


async def test_machines_of_an_ended_session_are_free(hosted: HostedRoom) -> None:
    async with hosted.host() as (host, operator):
        Desk(hosted, host, operator)
        first = (await operator.do(hosted.plan("machine-1")))["tsi"]
        await operator.do(StopSession(tsi=first))
        await operator.until(lambda: operator.host is not None and operator.host.sessions == ())
        second = (await operator.do(hosted.plan("machine-1")))["tsi"]
        assert [session.tsi for session in host.sessions.open()] == [second]
