"""The console's link against real brokers, with a scripted broadcaster at the other end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from dashboards import link as link_module
from dashboards.config import BrokerAccess
from dashboards.fleet.fold import Fleet
from dashboards.fleet.views import FleetView
from dashboards.link import ConsoleLink
from dashboards.rooms.rooms import Rooms
from protocol.commands import (
    COMMANDS_TOPIC,
    FetchAudit,
    FetchReport,
    PlannedSeat,
    PlanSession,
    VerifyImage,
    WakeMachines,
)
from protocol.errors import MessageError, RefusedError, TransportError
from protocol.link.mqtt import BrokerAddress
from protocol.operators import HostNews, news_topic
from protocol.signing import SigningKey
from tests.brokers import RunningBroker, freeze, thaw
from tests.dashboards.played_fleet import PlayedFleet
from tests.dashboards.speaking_fleet import SpeakingFleet, speaking_fleet
from tests.end_to_end.room import free_port

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.asyncio]

DIRECTOR = SigningKey(b"d" * 32)
CONSOLE = SigningKey(b"c" * 32)
ASK = FetchReport(tsi="0" * 16)


@asynccontextmanager
async def console(address: BrokerAddress) -> AsyncIterator[ConsoleLink]:
    async with ConsoleLink(Fleet(), BrokerAccess(address), director_key=DIRECTOR.public, console=CONSOLE) as link:
        yield link


@asynccontextmanager
async def both(broker: RunningBroker) -> AsyncIterator[tuple[ConsoleLink, SpeakingFleet]]:
    """A console that has the picture of a broadcaster."""
    async with (
        console(broker.address) as link,
        speaking_fleet(broker.address, PlayedFleet(), DIRECTOR, CONSOLE.public) as speaker,
    ):
        await told(link, speaker)
        yield link, speaker


async def told(link: ConsoleLink, speaker: SpeakingFleet) -> None:
    """The broadcaster tells until the console has heard it."""
    async with asyncio.timeout(20):
        while not link.health().is_broadcaster_heard:
            speaker.tell()
            await link.until(lambda: link.health().is_broadcaster_heard, 0.2)


async def so(condition: Callable[[], object]) -> None:
    """Wait for what the other end does."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is at the other end of a broker
            await asyncio.sleep(0.01)


def picture(link: ConsoleLink) -> FleetView:
    return link._fleet.view(Rooms(), link.health(), 0.0)


# --- the picture -----------------------------------------------------------------------------------------------------


async def test_the_picture_fills_with_one_telling(broker: RunningBroker) -> None:
    async with both(broker) as (link, speaker):
        speaker.played.plan("Room 1")
        speaker.tell()
        assert await link.until(lambda: bool(picture(link).sessions) and bool(picture(link).sessions[0].seats), 5)
        assert len(picture(link).images) == 3
        health = link.health()
        assert (health.is_broker_connected, health.is_broadcaster_heard) == (True, True)
        assert str(broker.address) in health.broker_text
        assert link.rejected_count == 0


async def test_what_the_director_did_not_sign_is_counted_and_not_believed(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with both(broker) as (link, speaker):
        host = speaker.played.host()
        lie = msgspec.structs.replace(host, sequence=host.sequence + 100, warnings=("buy this",))
        speaker.say(lie, SigningKey(b"x" * 32))
        speaker.link.publish(news_topic(host), b"\xff" * 1000)
        await so(lambda: link.rejected_count == 2)
        believed = picture(link).health.host
        assert believed is not None
        assert believed.warnings == ()
        assert any("not signed by it" in problem for problem in link.health().problems)
        monkeypatch.setattr(link_module, "REJECTED_TOLD", 0.0)
        assert not any("not signed by it" in problem for problem in link.health().problems)


async def test_a_broker_that_comes_later_goes_and_comes_back(broker: RunningBroker) -> None:
    await broker.stop()
    async with console(broker.address) as link:
        await so(lambda: "nothing listens there" in link.health().broker_text)
        assert link.health().problems[0].startswith("The broker is gone")
        with pytest.raises(TransportError, match="nothing was ordered: The broker is gone"):
            await link.order(ASK, "anna")
        await broker.start()
        async with speaking_fleet(broker.address, PlayedFleet(), DIRECTOR, CONSOLE.public) as speaker:
            await told(link, speaker)
            await broker.stop()
            await so(lambda: not link.is_connected)
            assert not link.health().is_broadcaster_heard
            await broker.start()
            await so(lambda: link.is_connected and speaker.link.is_connected)
            await told(link, speaker)
            assert await link.order(ASK, "anna") == {}


async def test_no_broker_at_all() -> None:
    async with console(BrokerAddress("127.0.0.1", free_port())) as link:
        await so(lambda: "nothing listens there" in link.health().broker_text)
        assert not await link.until(lambda: False, 0.01)


# --- orders ----------------------------------------------------------------------------------------------------------


async def test_an_order_is_answered_in_parts_with_progress(broker: RunningBroker) -> None:
    async with both(broker) as (link, speaker):
        speaker.part_length = 1000
        speaker.progress = (0.25, 0.5)
        speaker.replies[FetchAudit] = lambda command, operator: {"entries": ["x" * 50] * 100, "by": operator}
        shares: list[float] = []
        async with asyncio.timeout(20):
            answer = await link.order(FetchAudit(count=7), "anna", lambda share, text: shares.append(share))
        assert (len(answer["entries"]), answer["by"], shares) == (100, "anna", [0.25, 0.5])
        assert speaker.orders[0].generation == speaker.played.generation


async def test_a_refusal_is_told_in_the_broadcasters_words(broker: RunningBroker) -> None:
    async with both(broker) as (link, speaker):

        def refuse(command: object, operator: str) -> dict[str, object]:
            raise RefusedError("seat 03 is used by bob: agree with him")

        speaker.replies[PlanSession] = refuse
        with pytest.raises(RefusedError, match="seat 03 is used by bob: agree with him"):
            await link.order(
                PlanSession(room="Room 1", image="lab", seats=(PlannedSeat(machine="m", seat="1"),)), "anna"
            )


async def test_an_order_is_repeated_until_it_is_answered_and_acted_on_once(broker: RunningBroker) -> None:
    async with both(broker) as (link, speaker):
        acts: list[str] = []

        def act(command: object, operator: str) -> dict[str, int]:
            acts.append(operator)
            return {"acts": len(acts)}

        speaker.replies[WakeMachines] = act
        speaker.lost_answers = 1
        answer = await link.order(WakeMachines(addresses=("02:00:00:00:00:01",)), "anna")
        assert (answer, acts) == ({"acts": 1}, ["anna"])
        assert len(speaker.orders) >= 2
        assert len({order.command_id for order in speaker.orders}) == 1


async def test_a_part_that_was_lost_comes_with_the_next_answer(broker: RunningBroker) -> None:
    async with both(broker) as (link, speaker):
        speaker.part_length = 100
        speaker.lost_answers = 2
        speaker.replies[FetchAudit] = lambda command, operator: {"entries": ["x" * 50] * 10}
        assert len((await link.order(FetchAudit(), "anna"))["entries"]) == 10


async def test_nobody_answers(broker: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "REPEAT_INTERVAL", 0.05)
    monkeypatch.setattr(link_module, "ANSWER_PATIENCE", 0.3)
    async with both(broker) as (link, speaker):
        speaker.is_deaf = True
        with pytest.raises(TransportError, match=r"nobody has answered .* look what became of the order"):
            await link.order(ASK, "anna")
        assert len(speaker.orders) >= 3
        assert not link._pending


async def test_nothing_is_sent_to_a_broadcaster_that_is_gone(broker: RunningBroker) -> None:
    async with both(broker) as (link, speaker):
        speaker.is_deaf = True
        ordering = asyncio.create_task(link.order(ASK, "anna"))
        await so(lambda: speaker.orders)
        speaker.played.now += 10
        speaker.played.restart()
        speaker.tell()
        with pytest.raises(TransportError, match="started again before it answered"):
            await ordering
        assert {order.generation for order in speaker.orders} != {speaker.played.generation}


async def test_an_order_that_could_not_be_sent_is_taken_back(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "REPEAT_INTERVAL", 0.05)
    monkeypatch.setattr(link_module, "ANSWER_PATIENCE", 0.3)
    async with both(broker) as (link, _):
        freeze(broker)
        try:
            with pytest.raises(TransportError):
                await link.order(ASK, "anna")
            assert link._link is not None
            waiting = [message.topic for message in link._link._outbox._messages]
            assert COMMANDS_TOPIC not in waiting
        finally:
            thaw(broker)


async def test_what_the_broadcaster_would_drop_is_told_at_once(broker: RunningBroker) -> None:
    async with both(broker) as (link, speaker):
        with pytest.raises(MessageError, match="length <= 64"):
            await link.order(VerifyImage(name="x" * 65, version=1), "anna")
        assert not speaker.orders


async def test_who_shows_the_progress_may_fail(broker: RunningBroker) -> None:
    async with both(broker) as (link, speaker):
        speaker.progress = (0.5,)

        def broken(share: float, text: str) -> None:
            raise RuntimeError("the page is closed")

        assert await link.order(ASK, "anna", broken) == {}
        assert await link.order(ASK, "anna") == {}


async def test_an_order_before_the_broadcaster_was_heard(broker: RunningBroker) -> None:
    async with console(broker.address) as link:
        await so(lambda: link.is_connected)
        with pytest.raises(TransportError, match="The broadcaster has not been heard"):
            await link.order(ASK, "anna")


async def test_answers_and_news_of_others_do_nothing(broker: RunningBroker) -> None:
    async with both(broker) as (link, speaker):
        before = link._fleet.host
        speaker.link.publish(f"{COMMANDS_TOPIC[:-8]}answers/{'0' * 32}", b"nothing")
        await so(lambda: link.rejected_count == 1)
        assert isinstance(before, HostNews)
        assert await link.order(ASK, "anna") == {}
