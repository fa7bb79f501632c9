import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from broadcaster.host import commands as module
from broadcaster.host.commands import Commands, Work
from protocol.commands import (
    PART_LENGTH,
    Answer,
    AnyCommand,
    FetchAudit,
    Order,
    StopCapture,
    StopSession,
    VerifyImage,
    signed_order,
)
from protocol.errors import LibraryError, RefusedError
from protocol.signing import SigningKey

pytestmark = pytest.mark.asyncio

CONSOLE = SigningKey(bytes(31) + b"\1")
STRANGER = SigningKey(bytes(31) + b"\2")
STOP = StopSession(tsi="0" * 16)


class Desk:
    """Commands under test, what they did and what they said."""

    def __init__(self) -> None:
        self.done: list[tuple[AnyCommand, str]] = []
        self.said: list[Answer] = []
        self.result: object = {}
        self.has_said = asyncio.Event()
        self.flushes = 0
        self.work: Callable[[AnyCommand, Work], Awaitable[object]] | None = None
        self.commands = Commands(
            CONSOLE.public,
            {StopSession: self.handle, FetchAudit: self.handle, VerifyImage: self.handle},
            say=self.say,
            flushed=self.flushed,
        )

    async def handle(self, command: AnyCommand, work: Work) -> object:
        self.done.append((command, work.operator))
        if self.work is not None:
            return await self.work(command, work)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def say(self, answer: Answer) -> None:
        self.said.append(answer)
        self.has_said.set()

    async def flushed(self) -> None:
        self.flushes += 1

    def order(self, command: AnyCommand = STOP, **changes: Any) -> Order:
        order = Order(
            command_id=secrets.token_hex(16),
            generation=self.commands.generation,
            operator="anna",
            command=command,
        )
        return msgspec.structs.replace(order, **changes)

    async def send(self, order: Order, key: SigningKey = CONSOLE) -> list[Answer]:
        """What was said to it, once nothing is at work any more."""
        before = len(self.said)
        self.commands.receive(signed_order(order, key))
        await self.settled()
        return self.said[before:]

    async def settled(self) -> None:
        async with asyncio.timeout(5):
            await asyncio.gather(*self.commands._tasks)


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    await desk.commands.close()


async def test_an_order_is_carried_out_and_answered(desk: Desk) -> None:
    desk.result = {"tsi": "1"}
    (answer,) = await desk.send(desk.order())
    assert desk.done == [(STOP, "anna")]
    assert (answer.is_done, answer.error, answer.part, answer.parts) == (True, "", 0, 1)
    assert msgspec.json.decode(answer.body) == {"tsi": "1"}


async def test_an_order_that_comes_again_is_carried_out_once_and_answered_again(desk: Desk) -> None:
    order = desk.order()
    first = await desk.send(order)
    assert await desk.send(order) == first
    changed = msgspec.structs.replace(order, operator="mallory", command=FetchAudit())
    assert await desk.send(changed) == first
    assert len(desk.done) == 1


@pytest.mark.parametrize(
    "payload",
    [
        lambda desk: signed_order(desk.order(), STRANGER),
        lambda desk: signed_order(desk.order(), CONSOLE)[:-4],
        lambda desk: signed_order(desk.order(), CONSOLE).replace(b"anna", b"bert"),
        lambda desk: b"",
        lambda desk: b"{}",
    ],
    ids=["another key", "cut short", "altered", "empty", "unsigned"],
)
async def test_what_the_console_did_not_say_does_nothing(desk: Desk, payload: Callable[[Desk], bytes]) -> None:
    desk.commands.receive(payload(desk))
    await desk.settled()
    assert (desk.done, desk.said, desk.commands.rejected_count) == ([], [], 1)


async def test_an_order_that_nobody_carries_out_is_refused_in_words(desk: Desk) -> None:
    (answer,) = await desk.send(desk.order(StopCapture(capture_id="0" * 16)))
    assert (answer.is_done, answer.error) == (
        True,
        "this broadcaster does not take orders of the kind 'stop-capture'",
    )


async def test_an_order_of_an_earlier_start_is_refused(desk: Desk) -> None:
    (answer,) = await desk.send(desk.order(generation="0" * 32))
    assert "was started again since you looked" in answer.error
    assert not desk.done


async def test_when_too_many_came_no_earlier_one_counts_any_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ORDERS", 2)
    orders = [desk.order() for _ in range(2)]
    for order in orders:
        await desk.send(order)
    (answer,) = await desk.send(desk.order())
    assert "was started again" in answer.error
    for order in orders:
        assert "was started again" in (await desk.send(order))[0].error
    assert len(desk.done) == 2
    await desk.send(desk.order())
    assert len(desk.done) == 3


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RefusedError("not now"), "not now"),
        (LibraryError("x" * 1000), "x" * 400),
        (ValueError("a bug"), "that went wrong inside the broadcaster: its log says how"),
    ],
    ids=["refused", "long", "bug"],
)
async def test_what_cannot_be_done_is_told(desk: Desk, error: Exception, told: str) -> None:
    desk.result = error
    (answer,) = await desk.send(desk.order())
    assert (answer.is_done, answer.error) == (True, told)


async def test_a_long_answer_comes_in_parts_that_make_the_whole(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PARTS_AT_ONCE", 2)
    desk.result = secrets.token_bytes(2 * PART_LENGTH + 5)
    answers = await desk.send(desk.order(FetchAudit()))
    assert [(each.part, each.parts, each.is_done) for each in answers] == [(0, 3, True), (1, 3, True), (2, 3, True)]
    assert b"".join(each.body for each in answers) == desk.result
    assert desk.flushes == 1


async def test_parts_that_may_still_be_on_their_way_are_not_sent_again(desk: Desk) -> None:
    desk.result = bytes(PART_LENGTH + 1)
    order = desk.order()
    assert len(await desk.send(order)) == 2
    assert await desk.send(order) == []


async def test_an_answer_that_is_too_long_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PARTS", 1)
    desk.result = bytes(PART_LENGTH + 1)
    (answer,) = await desk.send(desk.order())
    assert "ask for less" in answer.error


async def test_answers_that_are_not_kept_any_more_are_not_worked_out_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ANSWERS", 1)
    order = desk.order()
    await desk.send(order)
    await desk.send(desk.order())
    (answer,) = await desk.send(order)
    assert "its answer is not kept any more" in answer.error
    assert len(desk.done) == 2


async def test_long_work_tells_how_far_it_is_to_whoever_asks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROGRESS_INTERVAL", 0.0)
    may_go_on = threading.Event()

    def long(work: Work) -> int:
        work.progress("reading", 1, 4)
        assert may_go_on.wait(5)
        return 7

    desk.work = lambda _command, work: work.in_thread(lambda: long(work))
    order = desk.order(VerifyImage(name="lab", version=1))
    desk.commands.receive(signed_order(order, CONSOLE))
    async with asyncio.timeout(5):
        await desk.has_said.wait()
    desk.commands.receive(signed_order(order, CONSOLE))
    assert [(each.is_done, each.progress, each.progress_text) for each in desk.said] == [(False, 0.25, "reading")] * 2
    may_go_on.set()
    await desk.settled()
    assert (desk.said[-1].is_done, desk.said[-1].body) == (True, b"7")
    assert len(desk.done) == 1


async def test_no_more_than_so_many_are_worked_on_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_AT_WORK", 1)
    gate = asyncio.Event()

    async def wait(_command: AnyCommand, _work: Work) -> object:
        await gate.wait()
        return {}

    desk.work = wait
    desk.commands.receive(signed_order(desk.order(), CONSOLE))
    second = desk.order()
    desk.commands.receive(signed_order(second, CONSOLE))
    assert "are being carried out already" in desk.said[-1].error
    gate.set()
    await desk.settled()
    assert (await desk.send(second))[0].error == ""


async def test_work_ends_with_the_broadcaster(desk: Desk) -> None:
    stopped = threading.Event()
    is_at_work = threading.Event()

    def endless(work: Work) -> None:
        is_at_work.set()
        try:
            while True:
                work.progress("importing", 1, 2)
        except RefusedError:
            stopped.set()
            raise

    desk.work = lambda _command, work: work.in_thread(lambda: endless(work))
    desk.commands.receive(signed_order(desk.order(), CONSOLE))
    await asyncio.to_thread(is_at_work.wait, 5)
    await desk.commands.close()
    assert await asyncio.to_thread(stopped.wait, 5)
    assert "the broadcaster is ending" in desk.said[-1].error
