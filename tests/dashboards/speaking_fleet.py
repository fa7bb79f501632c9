"""A broadcaster that speaks the operators' protocol over a real broker: it tells what a played fleet tells, and obeys.

What it answers is set by the test: ``replies`` maps a command's type to what becomes of it. It acts on an order once,
as the real one does, and answers it again as often as it is repeated.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec

from protocol.commands import (
    COMMANDS_TOPIC,
    PART_LENGTH,
    Answer,
    Order,
    PlanSession,
    StartSession,
    StopSession,
    answer_topic,
    open_order,
    signed_answer,
)
from protocol.errors import RefusedError
from protocol.link.mqtt import BrokerAddress, MqttLink
from protocol.operators import News, news_topic, signed_news
from protocol.signing import SigningKey
from tests.dashboards.played_fleet import PlayedFleet

Reply = Callable[[Any, str], dict[str, Any]]
"""what a command of an operator comes to; raises RefusedError to refuse"""


class SpeakingFleet:
    """The broadcaster; ``director`` signs what it says, ``console_key`` is whose orders it takes."""

    def __init__(self, link: MqttLink, played: PlayedFleet, director: SigningKey, console_key: bytes) -> None:
        self.link = link
        self.played = played
        self.orders: list[Order] = []
        """each time that one came"""
        self.is_deaf = False
        """orders are heard and not answered"""
        self.lost_answers = 0
        """how many of the next answers are lost on the way"""
        self.progress: tuple[float, ...] = ()
        """told before each answer"""
        self.replies: dict[type, Reply] = {
            PlanSession: self._plan,
            StartSession: self._start,
            StopSession: self._stop,
        }
        self.part_length = PART_LENGTH
        self._director = director
        self._console_key = console_key
        self._answered: dict[str, list[Answer]] = {}

    def tell(self, seconds: float = 1.0) -> None:
        """Play on and publish all of it."""
        for news in self.played.step(seconds):
            self.say(news)

    def say(self, news: News, key: SigningKey | None = None) -> None:
        self.link.publish(news_topic(news), signed_news(news, key or self._director))

    async def answer_orders(self) -> None:
        """Until cancelled."""
        await self.link.subscribe(COMMANDS_TOPIC)
        async for _, payload in self.link.messages():
            order = open_order(payload, self._console_key)
            self.orders.append(order)
            if self.is_deaf or order.generation != self.played.generation:
                continue
            if order.command_id not in self._answered:
                self._answered[order.command_id] = self._answers(order)
            for answer in self._answered[order.command_id]:
                if self.lost_answers:
                    self.lost_answers -= 1
                    continue
                self.link.publish(answer_topic(order.command_id), signed_answer(answer, self._director))

    def _answers(self, order: Order) -> list[Answer]:
        under_way = [
            Answer(command_id=order.command_id, is_done=False, progress=share, progress_text=f"{share:.0%}")
            for share in self.progress
        ]
        try:
            reply: Reply = self.replies.get(type(order.command), _nothing)
            body = msgspec.json.encode(reply(order.command, order.operator))
        except RefusedError as error:
            refusal = Answer(command_id=order.command_id, is_done=True, progress=1.0, error=str(error))
            return [*under_way, refusal]
        parts = max(1, -(-len(body) // self.part_length))
        return under_way + [
            Answer(
                command_id=order.command_id,
                is_done=True,
                progress=1.0,
                part=part,
                parts=parts,
                body=body[part * self.part_length : (part + 1) * self.part_length],
            )
            for part in range(parts)
        ]

    def _plan(self, command: PlanSession, operator: str) -> dict[str, Any]:
        machines = frozenset(seat.machine for seat in command.seats)
        tsi = self.played.plan(command.room, command.image, command.version, ordered_by=operator, machines=machines)
        self.tell(0.0)
        return {"tsi": tsi}

    def _start(self, command: StartSession, operator: str) -> dict[str, Any]:
        self.played.start(command.tsi)
        self.tell(0.0)
        return {}

    def _stop(self, command: StopSession, operator: str) -> dict[str, Any]:
        self.played.stop(command.tsi, f"stopped by {operator}")
        self.tell(0.0)
        return {}


def _nothing(command: object, operator: str) -> dict[str, Any]:
    return {}


@asynccontextmanager
async def speaking_fleet(
    address: BrokerAddress, played: PlayedFleet, director: SigningKey, console_key: bytes
) -> AsyncIterator[SpeakingFleet]:
    """Speaks when it is told to, and answers orders by itself."""
    async with MqttLink(address, "speaking-fleet") as link:
        fleet = SpeakingFleet(link, played, director, console_key)
        answering = asyncio.create_task(fleet.answer_orders())
        await asyncio.sleep(0)
        try:
            yield fleet
        finally:
            answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering
