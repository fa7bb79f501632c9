import asyncio

import pytest

from protocol.link.backlog import MESSAGE_OVERHEAD, Backlog, Message


@pytest.mark.asyncio
async def test_oldest_stays_until_it_is_removed() -> None:
    backlog = Backlog()
    first, second = Message("a", b"1"), Message("a", b"2")
    backlog.put(first)
    backlog.put(second)
    assert await backlog.oldest() is first
    assert await backlog.oldest() is first
    backlog.remove(first)
    assert await backlog.oldest() is second


@pytest.mark.asyncio
async def test_oldest_waits_for_a_message() -> None:
    backlog = Backlog()
    waiting = asyncio.create_task(backlog.oldest())
    await asyncio.sleep(0)
    assert not waiting.done()
    backlog.put(Message("a", b"1"))
    assert await waiting == Message("a", b"1")


@pytest.mark.parametrize("payload_length", [0, 1000])
def test_full_backlog_drops_and_counts_the_oldest(payload_length: int) -> None:
    backlog = Backlog(capacity=3 * (MESSAGE_OVERHEAD + payload_length))
    for number in range(5):
        backlog.put(Message(str(number), bytes(payload_length)))
    assert len(backlog) == 3
    assert backlog.dropped_count == 2
    assert asyncio.run(_topics(backlog)) == ["2", "3", "4"]


def test_message_larger_than_the_backlog_is_dropped() -> None:
    backlog = Backlog(capacity=MESSAGE_OVERHEAD)
    backlog.put(Message("a", b"1"))
    assert (len(backlog), backlog.dropped_count) == (0, 1)


def test_removing_makes_room_again() -> None:
    backlog = Backlog(capacity=MESSAGE_OVERHEAD)
    for _ in range(10):
        message = Message("a", b"")
        backlog.put(message)
        backlog.remove(message)
        backlog.remove(message)
    assert backlog.dropped_count == 0


def test_retained_message_replaces_the_queued_state_of_its_topic_only() -> None:
    backlog = Backlog()
    for message in (
        Message("a", b"old", retain=True),
        Message("a", b"event"),
        Message("b", b"state", retain=True),
        Message("a", b"new", retain=True),
    ):
        backlog.put(message)
    assert asyncio.run(_payloads(backlog)) == [b"event", b"state", b"new"]
    assert backlog.dropped_count == 0


def test_message_that_supersedes_replaces_only_its_like() -> None:
    backlog = Backlog()
    for message in (
        Message("a", b"old", supersedes=True),
        Message("a", b"event"),
        Message("b", b"other", supersedes=True),
        Message("a", b"new", supersedes=True),
    ):
        backlog.put(message)
    assert asyncio.run(_payloads(backlog)) == [b"event", b"other", b"new"]
    assert backlog.dropped_count == 0


@pytest.mark.asyncio
async def test_drained_waits_for_removal() -> None:
    backlog = Backlog()
    await backlog.drained()
    message = Message("a", b"1")
    backlog.put(message)
    waiting = asyncio.create_task(backlog.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    backlog.remove(message)
    await waiting


@pytest.mark.asyncio
async def test_closed_backlog_ends_after_its_last_message() -> None:
    backlog = Backlog()
    waiting = asyncio.create_task(backlog.oldest())
    await asyncio.sleep(0)
    backlog.close()
    assert await waiting is None
    backlog.put(Message("a", b"1"))
    assert await _payloads(backlog) == [b"1"]


async def _messages(backlog: Backlog) -> list[Message]:
    backlog.close()
    taken = []
    while (message := await backlog.oldest()) is not None:
        backlog.remove(message)
        taken.append(message)
    return taken


async def _topics(backlog: Backlog) -> list[str]:
    return [message.topic for message in await _messages(backlog)]


async def _payloads(backlog: Backlog) -> list[bytes]:
    return [message.payload for message in await _messages(backlog)]


def test_what_is_withdrawn_is_not_sent() -> None:
    backlog = Backlog(capacity=3 * (MESSAGE_OVERHEAD + 1))
    for topic in ("a", "b", "a"):
        backlog.put(Message(topic, b"1"))
    backlog.withdraw("a")
    assert asyncio.run(_topics(backlog)) == ["b"]
    assert backlog.dropped_count == 0
