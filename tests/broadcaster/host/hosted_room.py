"""A host under test with its operator: orders go out and news come in over a real broker, as from a console."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from broadcaster.control_side import ControlSetting
from broadcaster.host.config import HostConfig
from broadcaster.host.service import SessionHost
from broadcaster.keys import KeyStore
from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from protocol.commands import (
    ALL_ANSWERS,
    COMMANDS_TOPIC,
    Answer,
    AnyCommand,
    Order,
    PlannedSeat,
    PlanSession,
    open_answer,
    signed_order,
)
from protocol.errors import RefusedError
from protocol.link.interfaces import resolve_interface
from protocol.link.mqtt import BrokerAddress, MqttLink
from protocol.link.tls import pinned_context
from protocol.operators import (
    ALL_NEWS,
    HostNews,
    ImagesNews,
    News,
    ReceiversNews,
    SeatNews,
    SeatsNews,
    SessionNews,
    open_news,
)
from protocol.signing import SigningKey
from protocol.trust import encode_trust
from tests.end_to_end.room import KEYS, TOKEN, Room, Running, free_port

LO: Final = resolve_interface("lo")
RATE: Final = 200_000_000
PATIENCE: Final = 40.0
"""[s] Far longer than anything here takes on a busy machine with two cores."""


class Operator:
    """A console without pages: everything that it was told, and orders that it repeats until they are answered."""

    def __init__(self, link: MqttLink, keys: KeyStore) -> None:
        self.host: HostNews | None = None
        self.receivers: dict[int, ReceiversNews] = {}
        self.images: dict[int, ImagesNews] = {}
        self.sessions: dict[str, SessionNews] = {}
        self.answers: list[Answer] = []
        self._seats: dict[str, dict[int, SeatsNews]] = {}
        self._link = link
        self._keys = keys
        self._changed = asyncio.Condition()

    async def listen(self) -> None:
        """For as long as the link is open."""
        async for topic, payload in self._link.messages():
            if "/answers/" in topic:
                self.answers.append(open_answer(topic, payload, self._keys.director.public))
            else:
                self._take(open_news(topic, payload, self._keys.director.public))
            async with self._changed:
                self._changed.notify_all()

    def _take(self, news: News) -> None:
        match news:
            case HostNews():
                self.host = news
            case ReceiversNews():
                self.receivers[news.page] = news
            case ImagesNews():
                self.images[news.page] = news
            case SessionNews():
                self.sessions[news.tsi] = news
            case SeatsNews():
                self._seats.setdefault(news.tsi, {})[news.page] = news

    async def until(self, condition: Callable[[], bool], what: str = "it") -> None:
        """Wait for news with which ``condition`` holds."""
        try:
            async with asyncio.timeout(PATIENCE), self._changed:
                await self._changed.wait_for(condition)
        except TimeoutError:
            told = {tsi: (news.step, news.end_reason, news.happenings) for tsi, news in self.sessions.items()}
            raise AssertionError(f"{what} did not come: {told}, {self._seats}, {self.answers[-3:]}") from None

    def machines(self) -> set[str]:
        """That are there."""
        return {each.machine for page in self.receivers.values() for each in page.receivers}

    def sessions_of_machines(self) -> dict[str, str]:
        """In which session each machine takes part."""
        return {each.machine: each.session for page in self.receivers.values() for each in page.receivers}

    def seats(self, tsi: str) -> dict[str, SeatNews]:
        """By name."""
        return {seat.seat: seat for page in self._seats.get(tsi, {}).values() for seat in page.seats}

    def outcomes(self, tsi: str) -> dict[str, str]:
        """Of each seat by name."""
        return {name: seat.outcome for name, seat in self.seats(tsi).items()}

    def said(self, tsi: str) -> str:
        """What happened in a session, line by line."""
        session = self.sessions.get(tsi)
        return "" if session is None else "\n".join(each.text for each in session.happenings)

    def order(self, command: AnyCommand, operator: str = "anna", **changes: Any) -> Order:
        """As the console would give it now."""
        assert self.host is not None
        order = Order(
            command_id=secrets.token_hex(16), generation=self.host.generation, operator=operator, command=command
        )
        return msgspec.structs.replace(order, **changes)

    def send(self, order: Order, key: SigningKey | None = None) -> None:
        """Once."""
        self._link.publish(COMMANDS_TOPIC, signed_order(order, key or self._keys.console))

    async def answered(self, order: Order) -> Any:
        """The JSON of the answer, whose parts may come in any order.

        Raises:
            RefusedError: it was refused.
        """

        def parts() -> list[Answer]:
            return [each for each in self.answers if each.command_id == order.command_id and each.is_done]

        await self.until(lambda: bool(parts()) and len({each.part for each in parts()}) == parts()[0].parts)
        if parts()[0].error:
            raise RefusedError(parts()[0].error)
        bodies = {each.part: each.body for each in parts()}
        return msgspec.json.decode(b"".join(bodies[number] for number in sorted(bodies)))

    async def do(self, command: AnyCommand, operator: str = "anna") -> Any:
        """Order it and wait for the answer."""
        order = self.order(command, operator)
        self.send(order)
        return await self.answered(order)


class HostedRoom:
    """A library with one signed image, keys, and receivers that are real processes."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.keys = KeyStore.open_or_create(room.folder / KEYS)
        self.library = Library.open_or_create(room.library)
        self.source = room.source()
        self.manifest = add_image(self.library, self.source, "lab", signer=self.keys.image).manifest
        self.port, self.broker_port = free_port(), free_port()
        self.targets: dict[str, Path] = {}

    def config(self, broker: BrokerAddress | None = None, **changes: Any) -> HostConfig:
        """On loopback."""
        embedded_port = self.broker_port if broker is None else None
        control = ControlSetting(TOKEN, broker=broker, port=self.port, broker_port=embedded_port)
        fields = {"rate_bits_per_second": RATE, "is_advertised": False, **changes}
        return HostConfig(LO, control, **fields)

    @asynccontextmanager
    async def host(self, config: HostConfig | None = None) -> AsyncIterator[tuple[SessionHost, Operator]]:
        """A running host and its operator, who has heard of it."""
        async with SessionHost(self.library, self.keys, config or self.config()) as host:
            run = asyncio.create_task(host.run())
            try:
                async with self.operator(host.broker.address) as operator:
                    yield host, operator
            finally:
                run.cancel()
                await asyncio.gather(run, return_exceptions=True)
        assert run.cancelled(), run

    @asynccontextmanager
    async def operator(self, broker: BrokerAddress) -> AsyncIterator[Operator]:
        """One that has heard of the host."""
        authority = self.keys.authority
        tls = pinned_context(authority.certificate, authority.role_identity("console")) if broker.tls else None
        async with MqttLink(broker, "console", tls=tls) as link:
            operator = Operator(link, self.keys)
            listening = asyncio.create_task(operator.listen())
            for topic_filter in (*ALL_NEWS, ALL_ANSWERS):
                await link.subscribe(topic_filter)
            await operator.until(lambda: operator.host is not None, "news of the host")
            try:
                yield operator
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)

    def receive(self, machine: str, *options: object, size: int | None = None, token: str = TOKEN) -> Running:
        """A receiver that goes on after a session, with a disk full of old bytes.

        Without token it has to wait for the operator; it knows the broadcaster by its keys.
        """
        if not token:
            trust = self.room.folder / "trust.json"
            trust.write_bytes(encode_trust(self.keys.trust))
            options = (*options, "--trust", trust)
        if machine not in self.targets:
            self.targets[machine] = self.room.target(machine, size or self.source.stat().st_size)
        return self.room.start(
            *("receive", "--server", f"127.0.0.1:{self.port}", "--interface", "lo"),
            *("--target", self.targets[machine], "--seat", f"PC {machine}", "--machine", machine, *options),
            environment={"SLATECAST_RECEIVE_TOKEN": token},
        )

    def plan(self, *machines: str, **changes: Any) -> PlanSession:
        """Of the image, for these machines."""
        seats = tuple(PlannedSeat(machine=machine, seat=f"seat {machine}") for machine in machines)
        return PlanSession(**{"room": "R1", "image": "lab", "seats": seats, "wait_seconds": 30.0, **changes})

    def is_untouched(self, machine: str) -> bool:
        """Whether all of its disk is as it was."""
        content = self.targets[machine].read_bytes()
        return content == content[:1] * len(content)
