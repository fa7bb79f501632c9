"""The broadcaster that runs for days: one front door, one link for operators, and a broadcast for each open session.

    receivers --presence--> attendance --------.
    console  --orders--> commands --> sessions --+--> news, once a second and when something happens --> operators
    library --------------> catalogue ---------'

Orders and news travel over a link of its own, so that no session's traffic delays them. When it ends, by SIGTERM or for
whatever reason, sessions that were started are suspended; its next start goes on with them. A plan is dropped.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Final, Self

from broadcaster.admissions import Admissions
from broadcaster.audit import AUDIT_FILE, AuditLog
from broadcaster.budget import MessageBudget
from broadcaster.configurations.served import ServedConfigurations
from broadcaster.configurations.shelf import CONFIGURATIONS_FOLDER, ConfigurationShelf
from broadcaster.control_side import BROADCASTER, BrokerInUse, Control
from broadcaster.front_door import FrontDoor
from broadcaster.host.attendance import Attendance
from broadcaster.host.backup_gate import BackupGate
from broadcaster.host.boot_desk import BootDesk
from broadcaster.host.capture_commands import CaptureCommands
from broadcaster.host.catalogue import Catalogue
from broadcaster.host.commands import Commands, Handler
from broadcaster.host.config import HostConfig
from broadcaster.host.host_audit import HostAudit
from broadcaster.host.hosted_session import HostParts
from broadcaster.host.image_commands import ImageCommands
from broadcaster.host.kept_reports import REPORTS_FOLDER, KeptReports
from broadcaster.host.newsroom import Newsroom, Place
from broadcaster.host.policies import Policies
from broadcaster.host.receiver_commands import ReceiverCommands
from broadcaster.host.record_commands import RecordCommands
from broadcaster.host.restores import Restores
from broadcaster.host.room_commands import RoomCommands
from broadcaster.host.seat_side import SeatSide, open_seat_side
from broadcaster.host.session_commands import SessionCommands
from broadcaster.host.sessions import Sessions
from broadcaster.host.vitals import Vitals, read_vitals
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from broadcaster.metrics import BroadcasterMetrics
from broadcaster.netboot.orders import ORDERS_FILE, write_orders
from broadcaster.netboot.presence import is_served
from broadcaster.saved_cast import CASTS_FOLDER, CastStore
from broadcaster.service import Broadcast
from broadcaster.waiting_room import RoomEvent
from protocol.commands import COMMANDS_TOPIC, Answer, Command, answer_topic, signed_answer
from protocol.envelope import open_payload
from protocol.errors import LibraryError, MessageError, SignatureError
from protocol.link.discovery import advertise
from protocol.link.front_door_address import FrontDoorAddress
from protocol.link.message_stream import sender_of
from protocol.link.mqtt import MqttLink
from protocol.messages import TOPIC_ROOT, Presence, announcement_topic

NEWS_INTERVAL: Final = 1.0
"""[s] How stale an operator's picture may be."""

NEWS_GAP: Final = 0.2
"""[s] between two rounds of news, however much happens: an eye follows no faster."""

LIBRARY_INTERVAL: Final = 10.0
"""[s] between two looks at the library, which commands of others may have changed."""

VITALS_INTERVAL: Final = 5.0
"""[s] between two looks at disk and interface."""

FAREWELL_SECONDS: Final = 2.0
"""[s] How long the last answers and news may take to reach the broker."""

ALL_PRESENCES: Final = f"{TOPIC_ROOT}/receivers/+/presence"

_logger = logging.getLogger(__name__)


class SessionHost:
    """Hosts the sessions of one library on one interface; enter it, then ``run``.

    Args:
        library: of the images, where reports, the audit log and the state of sessions are kept as well.
        keys: of this broadcaster; operators' orders are signed with ``keys.console``.
        config: where and how.
    """

    def __init__(self, library: Library, keys: KeyStore, config: HostConfig) -> None:
        self.commands: Commands
        """takes the operators' orders; there once entered"""
        self.sessions: Sessions
        """there once entered"""
        self.restores: Restores
        """there once entered"""
        self.seat_side: SeatSide
        """captures and the seat API; there once entered"""
        self.configurations: ServedConfigurations
        """what verified seats do to their disks; there once entered"""
        self.newsroom: Newsroom
        """tells operators; there once entered"""
        self._library = library
        self._keys = keys
        self._config = config
        self._control = Control(config.interface, keys, config.control)
        self._audit = HostAudit(AuditLog(library.root / AUDIT_FILE, keys.director))
        self._store = CastStore(library.root / CASTS_FOLDER)
        self._reports = KeptReports(library.root / REPORTS_FOLDER)
        self._shelf = ConfigurationShelf(library.root / CONFIGURATIONS_FOLDER)
        self._catalogue = Catalogue(library, keys.trust)
        self._attendance = Attendance()
        self._policies = Policies(library.root)
        self._boot_desk = BootDesk(self._policies, partial(write_orders, library.root / ORDERS_FILE))
        self._admissions = Admissions(keys.director.public)
        self._budget = MessageBudget()
        self._has_news = asyncio.Event()
        self._library_changed = asyncio.Event()
        self._resources = contextlib.AsyncExitStack()

    @property
    def door(self) -> FrontDoorAddress:
        """Where receivers enrol; there once entered."""
        interface = self._config.interface
        return FrontDoorAddress(interface.ipv4 or interface.ipv6 or "", self._door.port)

    @property
    def broker(self) -> BrokerInUse:
        """The broker of its rooms; there once entered."""
        return self._broker

    async def __aenter__(self) -> Self:
        """Open everything, and go on with the sessions that were open when the last host ended.

        Raises:
            ConfigError: token, CA file or metrics port cannot be used, or amqtt is not installed.
            TransportError: the broker cannot be reached, or something cannot listen.
        """
        async with contextlib.AsyncExitStack() as stack:
            await self._open(stack)
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Suspend the sessions, and close everything."""
        await self._resources.aclose()

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        config = self._config
        stack.push_async_callback(self._audit.close)
        self._broker = await stack.enter_async_context(self._control.broker(None))
        self._link = MqttLink(
            self._broker.address,
            BROADCASTER,
            tls=self._broker.tls,
            admit=self._admit,
            on_reconnect=self._broker_is_back,
        )
        await stack.enter_async_context(self._link)
        self.seat_side = await stack.enter_async_context(self._open_seat_side())
        self._door = await stack.enter_async_context(self._front_door())
        if config.is_advertised:
            await stack.enter_async_context(advertise(config.interface, self._door.port))
        parts = HostParts(
            self._library, self._keys, config, self._control, self._broker, self._reports, self._has_news.set
        )
        self.sessions = Sessions(parts, self._store, self._attendance, BackupGate(self.seat_side.captures.desk))
        self.restores = Restores(
            self._policies, self.sessions, self._attendance, lambda: self.newsroom.images, self._shelf.check
        )
        self.seat_side.api.restores = self.restores
        self.configurations = await stack.enter_async_context(
            ServedConfigurations(self._shelf, self._reports, self.sessions, self.door.host, self._has_news.set)
        )
        self.seat_side.api.configurations = self.configurations
        self.commands = Commands(
            self._keys.console.public,
            self._handlers(),
            say=self._answer,
            flushed=self._link.flush,
            on_done=self._has_news.set,
        )
        self.newsroom = Newsroom(
            self._link,
            self._keys.director,
            Place(config.interface, self._broker, self.door, str(self._library.root)),
            generation=lambda: self.commands.generation,
            sessions=self.sessions,
            attendance=self._attendance,
            waiting_room=self._door.waiting_room,
            captures=self.seat_side.captures.desk,
            vitals=await self._vitals(),
        )
        stack.enter_context(BroadcasterMetrics(self._broadcasts, config.metrics_port, config.metrics_host))
        await self._look_at_library()
        stack.push_async_callback(self._farewell)
        stack.push_async_callback(self.commands.close)
        stack.push_async_callback(self.sessions.close)
        stack.push_async_callback(self.restores.close)
        await self.sessions.resume(self._clear_announcement)
        await self._link.subscribe(ALL_PRESENCES)
        await self._link.subscribe(COMMANDS_TOPIC)

    def _front_door(self) -> contextlib.AbstractAsyncContextManager[FrontDoor]:
        return self._control.front_door(self._broker, self._room_event, self.seat_side.api.url)

    def _open_seat_side(self) -> contextlib.AbstractAsyncContextManager[SeatSide]:
        return open_seat_side(
            self._library,
            self._keys,
            self._control,
            self._attendance,
            kept_for=self._backups_kept,
            on_change=self._has_news.set,
            on_image=self._library_changed.set,
        )

    def _backups_kept(self, machine: str) -> int:
        place = self._policies.place_of(machine)
        return self._policies.of("").backups_kept if place is None else place[0].backups_kept

    def _handlers(self) -> Mapping[type[Command], Handler]:
        waiting_room = self._door.waiting_room
        return {
            **SessionCommands(self.sessions, self._shelf).handlers,
            **ImageCommands(self._library, self._keys, self.sessions, self._library_changed.set).handlers,
            **ReceiverCommands(waiting_room, self._config.interface, self._audit.deciding).handlers,
            **CaptureCommands(self.seat_side.captures.desk).handlers,
            **RoomCommands(self._policies, self._boot_desk).handlers,
            **RecordCommands(
                self._library, self._keys, self.sessions, self._reports, self.configurations.records
            ).handlers,
        }

    async def run(self) -> None:
        """Host until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._watch_library())
            tasks.create_task(self._watch_shelf())
            tasks.create_task(self._watch_netboot())
            tasks.create_task(self._watch_machine())
            tasks.create_task(self._tell())

    # --- in ------------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        async for topic, payload in self._link.messages():
            if topic == COMMANDS_TOPIC:
                self.commands.receive(payload)
            elif payload:
                self._hear(topic, payload)

    def _hear(self, topic: str, payload: bytes) -> None:
        try:
            message = open_payload(topic, payload, self._admissions.key_for)
        except (MessageError, SignatureError) as error:
            _logger.debug("message dropped: %s", error)
            return
        if isinstance(message, Presence) and self._attendance.hear(message, time.monotonic()):
            self._has_news.set()

    def _admit(self, topic: str) -> bool:
        receiver_id = sender_of(topic)
        return receiver_id is None or self._budget.admit_unproved(receiver_id, time.monotonic())

    def _broker_is_back(self) -> None:
        self._attendance.excuse_silence(time.monotonic())
        self._has_news.set()

    def _room_event(self, event: RoomEvent) -> None:
        self._audit.happened(event)
        self._has_news.set()

    # --- out -----------------------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        """Tell the news when there are some, and else once a second."""
        while True:
            self._has_news.clear()
            if self._link.is_connected:
                self._attendance.expire(time.monotonic())
            self.newsroom.tell()
            await self._settle_boot_orders()
            await asyncio.sleep(NEWS_GAP)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(NEWS_INTERVAL - NEWS_GAP):
                    await self._has_news.wait()

    async def _settle_boot_orders(self) -> None:
        if self._boot_desk.has_orders and self._boot_desk.settle(self.sessions.verified_machines()):
            try:
                await asyncio.to_thread(self._boot_desk.write)
            except LibraryError as error:
                _logger.warning("machines that are done may boot the environment once more: %s", error)

    def _answer(self, answer: Answer) -> None:
        self._link.publish(answer_topic(answer.command_id), signed_answer(answer, self._keys.director))

    def _clear_announcement(self, tsi: str) -> None:
        self._link.publish(announcement_topic(tsi), b"", retain=True)

    async def _farewell(self) -> None:
        """The last news: what became of the sessions."""
        self.newsroom.tell()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._link.flush()

    # --- looks ---------------------------------------------------------------------------------------------------

    async def _watch_library(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LIBRARY_INTERVAL):
                    await self._library_changed.wait()
            self._library_changed.clear()
            await self._look_at_library()

    async def _look_at_library(self) -> None:
        newsroom = self.newsroom
        before = newsroom.images
        try:
            newsroom.images, newsroom.image_faults = await asyncio.to_thread(self._catalogue.read)
        except LibraryError as error:
            newsroom.images, newsroom.image_faults = [], [str(error)]
        if newsroom.images != before:
            self._has_news.set()

    async def _watch_shelf(self) -> None:
        """Whoever has just written a configuration plans with it next: it is not looked for with the library."""
        while True:
            names = await asyncio.to_thread(self._shelf.names)
            if names != self.newsroom.configurations:
                self.newsroom.configurations = names
                self._has_news.set()
            await asyncio.sleep(NEWS_INTERVAL)

    async def _watch_netboot(self) -> None:
        """A netboot part comes and goes by itself, on this machine or where it reads the same library."""
        while True:
            can_boot = await asyncio.to_thread(is_served, self._library.root / ORDERS_FILE)
            if can_boot != self.newsroom.can_boot:
                self.newsroom.can_boot = can_boot
                self._has_news.set()
            await asyncio.sleep(NEWS_INTERVAL)

    async def _watch_machine(self) -> None:
        while True:
            await asyncio.sleep(VITALS_INTERVAL)
            self.newsroom.vitals = await self._vitals()

    async def _vitals(self) -> Vitals:
        return await asyncio.to_thread(read_vitals, self._config.interface, self._library.root)

    def _broadcasts(self) -> list[Broadcast]:
        return [session.broadcast for session in self.sessions.open() if session.has_opened]
