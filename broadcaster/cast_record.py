"""What makes one cast the same cast after a restart: its numbers, secret and group, and the seats it had.

A new cast draws them; one that resumes takes them over from the state that ``saved_cast`` keeps on disk. Blocks of the
disk are not recorded: what the seats miss, they say anew.
"""

import asyncio
import contextlib
import logging
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

import msgspec

from broadcaster.catch_up import CatchUpLane
from broadcaster.saved_cast import CastStore, OpenCast, SavedCast
from broadcaster.session import SenderSession
from protocol.catch_up import LaneAddress
from protocol.errors import TransportError
from protocol.fields import decode_tsi, encode_tsi
from protocol.link.interfaces import InterfaceInfo
from protocol.link.mqtt import BrokerAddress
from protocol.link.multicast import DATA_PORT, group_for, listen_for_foreign
from protocol.manifest import Manifest
from protocol.messages import SignedCertificate

TAKEN_GROUP_LISTEN: Final = 0.2
"""[s] A running session sends at least a hundred datagrams in this time at the lowest rate."""

MAX_GROUP_TRIES: Final = 8

RECORD_INTERVAL: Final = 1.0
"""[s] How old the counters and seats of a resumed session may be; what is missing on disks it asks anew."""

_logger = logging.getLogger(__name__)


class CastRecord:
    """The record of one cast; ``resumed`` says whether it goes on where another process was killed."""

    def __init__(self, store: CastStore, manifest: Manifest, earlier: OpenCast | None, *, hosting: bytes = b"") -> None:
        """``earlier`` is a cast of the same image on the same interface, or None to begin a new one.

        ``hosting`` is what the host of a session needs to take it up again; without it, what ``earlier`` has of it.
        """
        self._store = store
        self._manifest = manifest
        self._open = earlier
        self._lock = threading.Lock()
        self._is_finished = False
        self._is_suspended = False
        saved = None if earlier is None else earlier.saved
        self.resumed = saved
        self.tsi: Final = secrets.randbits(64) if saved is None else decode_tsi(saved.tsi)
        self.session_secret: Final = secrets.token_bytes(32) if saved is None else saved.session_secret
        self.group = "" if saved is None else saved.group
        """set by ``choose_group`` for a new cast"""
        self.hosting = hosting or (b"" if saved is None else saved.hosting)
        """what the host of this session keeps of it, opaque here; what is set is kept with the next state"""
        self.generation: Final = 1 if saved is None else saved.generation + 2
        """counts the starts of this session, from 1 on"""

    @property
    def tsi_text(self) -> str:
        """The session as messages name it."""
        return encode_tsi(self.tsi)

    @property
    def catch_up_port(self) -> int | None:
        """TCP port of the catch-up lane that seats know already."""
        return None if self.resumed is None else self.resumed.catch_up_port

    @property
    def broker_port(self) -> int | None:
        """Port of the embedded broker that seats know already."""
        return None if self.resumed is None else self.resumed.broker_port

    @property
    def earlier_seconds(self) -> float:
        """How long the session ran before this process."""
        return 0.0 if self.resumed is None else self.resumed.elapsed_seconds

    @property
    def earlier_bytes(self) -> int:
        """UDP payload bytes that were sent before this process."""
        return 0 if self.resumed is None else self.resumed.bytes_on_wire

    @property
    def earlier_catch_up_bytes(self) -> int:
        """Bytes that the catch-up lane served before this process."""
        return 0 if self.resumed is None else self.resumed.catch_up_bytes

    @property
    def certificates(self) -> tuple[SignedCertificate, ...]:
        """Of the seats that were done before this process."""
        return () if self.resumed is None else self.resumed.certificates

    @property
    def dismissed_machines(self) -> tuple[str, ...]:
        """Machines that the operator had stopped before this process."""
        return () if self.resumed is None else self.resumed.dismissed_machines

    def is_held(self, is_held: bool) -> bool:
        """Whether the session is only planned: as it was before this process, or else ``is_held``."""
        return is_held if self.resumed is None else not self.resumed.is_released

    def choose_group(self, interface: InterfaceInfo, *, use_ipv6: bool) -> None:
        """Find a group address that nobody is heard to send to, unless the cast has one; listens, so it blocks.

        Raises:
            TransportError: all addresses that may be tried are taken.
        """
        if self.resumed is not None:
            return
        for attempt in range(MAX_GROUP_TRIES):
            self.group = group_for(self.tsi + attempt, ipv6=use_ipv6)
            if not listen_for_foreign(interface, self.group, DATA_PORT, TAKEN_GROUP_LISTEN):
                return
            _logger.warning("group %s is taken by another session, trying the next", self.group)
        raise TransportError(f"all of {MAX_GROUP_TRIES} group addresses are taken; wait for the other sessions to end")

    def restore(self, session: SenderSession, now: float) -> None:
        """Give a session that resumes its counters and seats back."""
        if self.resumed is None:
            return
        session.datagrams_sent = self.resumed.datagrams_sent
        session.repair_datagrams = self.resumed.repair_datagrams
        for report in self.resumed.reports:
            session.roster.restore(report, self.resumed.demotion_reasons.get(report.receiver_id, ""), now)
        for receiver_id in self.resumed.dismissed:
            session.dismiss(receiver_id, now)
        for receiver_id in self.resumed.moved:
            session.move_to_catch_up(receiver_id, now)
        if self.resumed.is_paused:
            session.pause(now)

    def snapshot(
        self,
        session: SenderSession,
        *,
        interface: InterfaceInfo,
        broker: BrokerAddress,
        lane: CatchUpLane,
        expected_seats: int,
        bytes_on_wire: int,
        catch_up_bytes: int,
        now: float,
        certificates: tuple[SignedCertificate, ...] = (),
        dismissed_machines: Iterable[str] = (),
    ) -> SavedCast:
        """The state as it now is."""
        header = self._manifest.header
        seats = list(session.roster.seats())
        running = 0.0 if session.started_at is None else now - session.started_at
        return SavedCast(
            tsi=self.tsi_text,
            session_secret=self.session_secret,
            image_name=header.name,
            image_version=header.version,
            manifest_digest=self._manifest.digest,
            group=self.group,
            port=DATA_PORT,
            interface_name=interface.name,
            use_ipv6=":" in self.group,
            broker_host=broker.host,
            broker_port=broker.port,
            catch_up_port=LaneAddress.parse(lane.url).port if lane.url else None,
            generation=self.generation - 1,
            expected_seats=expected_seats,
            elapsed_seconds=self.earlier_seconds + running,
            bytes_on_wire=bytes_on_wire,
            datagrams_sent=session.datagrams_sent,
            repair_datagrams=session.repair_datagrams,
            catch_up_bytes=catch_up_bytes,
            reports=tuple(seat.report for seat in seats),
            certificates=certificates,
            demotion_reasons={
                seat.report.receiver_id: seat.was_slow_because for seat in seats if seat.was_slow_because
            },
            is_released=not session.is_held,
            is_paused=session.is_paused,
            dismissed=session.roster.dismissed_ids(),
            dismissed_machines=tuple(sorted(dismissed_machines)),
            moved=session.moved_ids(),
            hosting=self.hosting,
        )

    @contextlib.asynccontextmanager
    async def kept(
        self, state: Callable[[], SavedCast], on_saved: Callable[[SavedCast], object], has_news: asyncio.Event
    ) -> AsyncIterator[None]:
        """Keep the record up to date; when the session ends, for whatever reason but our death, it is forgotten, unless
        it was ``suspended``.

        Args:
            state: the state as it now is.
            on_saved: told each state that a restart would find.
            has_news: set it to save at once instead of within RECORD_INTERVAL.
        """

        async def keep() -> None:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RECORD_INTERVAL):
                        await has_news.wait()
                has_news.clear()
                current = state()
                await asyncio.to_thread(self.save, current)
                on_saved(current)

        # Once before anything is said: a restart counts its starts, so that its messages supersede the earlier ones.
        await asyncio.to_thread(self.save, state())
        task = asyncio.create_task(keep())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            if self._is_suspended:
                await asyncio.to_thread(self.save, state())
                await asyncio.to_thread(self.close)
            else:
                await asyncio.to_thread(self.finish)

    def suspend(self) -> None:
        """The session does not end when it is left: another process will take it up."""
        self._is_suspended = True

    def close(self) -> None:
        """Leave the state for whoever looks for it."""
        with self._lock:
            self._is_finished = True
            if self._open is not None:
                self._open.close()

    def save(self, state: SavedCast) -> None:
        """Put the state on disk; blocks. After ``finish`` it does nothing."""
        with self._lock:
            if self._is_finished:
                return
            if self._open is None:
                self._open = self._store.create(state)
            elif msgspec.structs.replace(state, elapsed_seconds=0) != msgspec.structs.replace(
                self._open.saved, elapsed_seconds=0
            ):
                self._open.save(state)

    def finish(self) -> None:
        """The session has ended: there is nothing to resume."""
        with self._lock:
            self._is_finished = True
            if self._open is not None:
                self._open.finish()
