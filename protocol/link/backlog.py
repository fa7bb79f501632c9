"""A queue of messages that never grows beyond its bound: the oldest make room, and are counted.

It belongs to one event loop, with any number of producers and one consumer. The consumer looks at the oldest message
and removes it when it has been dealt with, so that one whose delivery failed is still there. A message that is the
state of its topic, as a retained one always is, takes the place of the one that still waits.
"""

import asyncio
from collections import deque
from typing import Final, NamedTuple

MAX_BACKLOG: Final = 8 << 20
"""[bytes] of one queue: stops a flooding peer, or a broker that is away, from taking the memory."""

MESSAGE_OVERHEAD: Final = 1024
"""[bytes] counted per message beside its payload, so that a flood of empty messages is bounded as well."""


class Message(NamedTuple):
    """One MQTT message on its way in or out."""

    topic: str
    payload: bytes
    qos: int = 1
    """0 at most once, 1 at least once"""
    retain: bool = False
    """the broker keeps it as the state of the topic"""
    supersedes: bool = False
    """it says the whole truth of its topic: an earlier one that still waits is void"""


class Backlog:
    """The queue; ``capacity`` in bytes."""

    def __init__(self, capacity: int = MAX_BACKLOG) -> None:
        self.dropped_count = 0
        self._capacity = capacity
        self._messages: deque[Message] = deque()
        self._length = 0
        self._is_closed = False
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message) -> None:
        """Append; the oldest messages are dropped when there is no room."""
        if _is_state(message):
            for stale in [queued for queued in self._messages if _is_state(queued) and queued.topic == message.topic]:
                self.remove(stale)
        self._messages.append(message)
        self._length += _cost(message)
        while self._length > self._capacity:
            self.remove(self._messages[0])
            self.dropped_count += 1
        self._signal()

    async def oldest(self) -> Message | None:
        """The oldest message, which stays queued; None when the backlog is closed and empty."""
        while not self._messages:
            if self._is_closed:
                return None
            self._filled.clear()
            await self._filled.wait()
        return self._messages[0]

    def remove(self, message: Message) -> None:
        """Take out this very message, if it is still there."""
        for position, queued in enumerate(self._messages):
            if queued is message:
                del self._messages[position]
                self._length -= _cost(message)
                break
        self._signal()

    def withdraw(self, topic: str) -> None:
        """Take out all that waits on ``topic``."""
        for message in [queued for queued in self._messages if queued.topic == topic]:
            self.remove(message)

    def close(self) -> None:
        """Nothing more will come: ``oldest`` ends once the queue is empty."""
        self._is_closed = True
        self._filled.set()

    async def drained(self) -> None:
        """Wait until the queue is empty."""
        await self._emptied.wait()

    def _signal(self) -> None:
        if self._messages:
            self._filled.set()
            self._emptied.clear()
        else:
            self._emptied.set()


def _cost(message: Message) -> int:
    return MESSAGE_OVERHEAD + len(message.payload)


def _is_state(message: Message) -> bool:
    return message.retain or message.supersedes
