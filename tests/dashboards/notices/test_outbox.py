import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from dashboards.notices.events import Event
from dashboards.notices.outbox import MAX_WAITING, Outbox, Target
from protocol.errors import RefusedError, TransportError
from tests.dashboards.notices.happened import ended

pytestmark = pytest.mark.asyncio


class ScriptedTarget:
    """Does with each attempt what comes next; delivers when nothing is left."""

    def __init__(self, *script: Exception | None, name: str = "scripted") -> None:
        self.name = name
        self.script = list(script)
        self.attempts: list[Event] = []
        self.delivered: list[Event] = []

    async def deliver(self, event: Event) -> None:
        self.attempts.append(event)
        if self.script and (error := self.script.pop(0)) is not None:
            raise error
        self.delivered.append(event)


class HangingTarget(ScriptedTarget):
    async def deliver(self, event: Event) -> None:
        self.attempts.append(event)
        await asyncio.Event().wait()


@asynccontextmanager
async def running(
    *targets: Target,
    attempt_timeout: float = 5.0,
    give_up_after: float = 60.0,
    clock: Callable[[], float] | None = None,
) -> AsyncIterator[Outbox]:
    outbox = Outbox(
        targets,
        attempt_timeout=attempt_timeout,
        first_pause=0.001,
        give_up_after=give_up_after,
        **({} if clock is None else {"clock": clock}),
    )
    outbox.start()
    yield outbox
    await outbox.stop()


async def settled(outbox: Outbox) -> None:
    """Until everything is delivered or given up; the test's time limit ends it."""
    while outbox.waiting:  # noqa: ASYNC110 - an outbox tells nobody that it is empty
        await asyncio.sleep(0)


async def test_each_event_goes_to_each_target_once() -> None:
    targets = ScriptedTarget(), ScriptedTarget()
    async with running(*targets) as outbox:
        for number in (1, 2, 1, 1):
            outbox.put(ended(number))
        await settled(outbox)
        outbox.put(ended(2))
        await settled(outbox)
    assert [target.delivered for target in targets] == [[ended(1), ended(2)]] * 2
    assert outbox.problems == ()


async def test_a_failure_for_now_is_repeated_and_told_meanwhile() -> None:
    target = ScriptedTarget(TransportError("no\nway"), TransportError("still no way"))
    told: list[tuple[str, ...]] = []
    async with running(target) as outbox:
        outbox.put(ended())
        while outbox.waiting:
            told.append(outbox.problems)
            await asyncio.sleep(0)
    assert target.attempts == [ended()] * 3
    assert target.delivered == [ended()]
    assert ("Notices to scripted are tried again: no�way.",) in told
    assert not outbox.problems


async def test_a_refusal_is_final_and_the_next_event_goes_on() -> None:
    target = ScriptedTarget(RefusedError("go away"))
    async with running(target) as outbox:
        outbox.put(ended(1))
        await settled(outbox)
        assert outbox.problems == ("Notices to scripted: 'Lab: 29 of 30 seats verified' was not sent: go away.",)
        outbox.put(ended(2))
        await settled(outbox)
        assert not outbox.problems
    assert target.delivered == [ended(2)]


async def test_a_bug_of_a_target_does_not_stop_it() -> None:
    target = ScriptedTarget(KeyError("secret"))
    async with running(target) as outbox:
        outbox.put(ended(1))
        await settled(outbox)
        assert "KeyError" in outbox.problems[0]
        assert "secret" not in outbox.problems[0]
        outbox.put(ended(2))
        await settled(outbox)
    assert target.delivered == [ended(2)]


async def test_it_gives_up_in_the_end() -> None:
    target = ScriptedTarget(*[TransportError("down")] * 10_000)
    async with running(target, give_up_after=0.05) as outbox:
        outbox.put(ended())
        await settled(outbox)
        assert outbox.problems == ("Notices to scripted: 'Lab: 29 of 30 seats verified' was not sent: down.",)
    assert 1 < len(target.attempts) < 100


async def test_what_waited_behind_others_is_tried_once_more_only() -> None:
    now = [0.0]
    target = ScriptedTarget(*[TransportError("down")] * 10_000)
    outbox = Outbox([target], first_pause=0.001, give_up_after=60.0, clock=lambda: now[0])
    outbox.put(ended(1))
    outbox.put(ended(2))
    now[0] = 3600.0
    outbox.start()
    await settled(outbox)
    await outbox.stop()
    assert target.attempts == [ended(1), ended(2)]


async def test_a_target_that_hangs_holds_nobody() -> None:
    hanging, good = HangingTarget(name="hanging"), ScriptedTarget()
    async with running(hanging, good, attempt_timeout=0.01, give_up_after=0.0) as outbox:
        for number in range(5):
            outbox.put(ended(number))
        await settled(outbox)
        assert "Notices to hanging: " in outbox.problems[0]
        assert "no answer within 0.01 s" in outbox.problems[0]
    assert len(good.delivered) == len(hanging.attempts) == 5


async def test_the_queue_is_bounded() -> None:
    target = ScriptedTarget()
    outbox = Outbox([target])
    for number in range(MAX_WAITING + 3):
        outbox.put(ended(number))
    assert outbox.waiting == MAX_WAITING
    assert "too many wait, and the oldest was not sent" in outbox.problems[0]
    outbox.start()
    await settled(outbox)
    await outbox.stop()
    assert target.delivered == [ended(number) for number in range(3, MAX_WAITING + 3)]


async def test_the_end_waits_for_what_can_be_delivered() -> None:
    target, hanging = ScriptedTarget(), HangingTarget()
    outbox = Outbox([target, hanging])
    outbox.start()
    outbox.put(ended())
    await outbox.stop(patience=0.05)
    assert target.delivered == [ended()]
    assert len(asyncio.all_tasks()) == 1


async def test_nobody_to_tell() -> None:
    async with running() as outbox:
        outbox.put(ended())
        assert (outbox.waiting, outbox.problems) == (0, ())
