"""One cast with everything around it: keys, control, discovery, broadcast, metrics and the picture on the terminal."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console

from broadcaster.audit import AUDIT_FILE, AuditLog
from broadcaster.cast_audit import CastAudit
from broadcaster.cast_config import CastConfig
from broadcaster.cast_record import CastRecord
from broadcaster.control_side import BROADCASTER, BrokerInUse, Control, ControlSetting
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from broadcaster.library.signing import signed_by
from broadcaster.metrics import BroadcasterMetrics
from broadcaster.report import SessionReport
from broadcaster.saved_cast import CASTS_FOLDER, CastStore, OpenCast
from broadcaster.service import INTERRUPTED, Broadcast
from broadcaster.waiting_room import RoomEvent, Settled
from protocol.enrolment import VerdictState
from protocol.link.discovery import advertise
from protocol.link.front_door_address import FrontDoorAddress
from protocol.link.mqtt import BrokerAddress
from protocol.manifest import Manifest
from slatecast.cli.admitting import Admitting
from slatecast.cli.room_display import room_display, say
from slatecast.cli.words import rate_in_words, seconds_in_words


@dataclass(frozen=True, slots=True)
class CastSetting:
    """What surrounds a cast, beside what it sends."""

    control: ControlSetting
    metrics_port: int | None = None
    resumes: bool = True
    """go on with a cast of this image that was killed, if there is one"""
    on_open: Callable[[FrontDoorAddress], None] = lambda _: None
    """called when receivers can enrol"""


def run_cast(
    library: Library, manifest: Manifest, keys: KeyStore, config: CastConfig, setting: CastSetting
) -> SessionReport:
    """Cast one image and say what became of every seat; after Ctrl-C, what had become of them by then.

    Raises:
        TransportError: interface, group, broker or a port cannot be used.
        IntegrityError: the image is damaged in the library; the damaged block was not sent.
        LibraryError: the library cannot be read, or the image is not signed by a key that this room knows.
        ConfigError: the token or the CA file of the broker cannot be used.
    """
    cast = _Cast(library, manifest, keys, config, setting)
    with library.in_use(manifest):
        return asyncio.run(cast.run())


class _Cast:
    def __init__(
        self, library: Library, manifest: Manifest, keys: KeyStore, config: CastConfig, setting: CastSetting
    ) -> None:
        self._library = library
        self._manifest = manifest
        self._config = config
        self._setting = setting
        self._signature = signed_by(library, manifest, keys.trust)
        self._image = _in_words(library, manifest)
        self._control = Control(config.interface, keys, setting.control)
        self._admitting = Admitting(config.policy.expected_seats)
        self._audit = CastAudit(AuditLog(library.root / AUDIT_FILE, keys.director), keys.director)

    async def run(self) -> SessionReport:
        # In a thread, as all that waits for the disk.
        record = await asyncio.to_thread(self._record)
        with self._audit:
            async with self._control.broker(record.broker_port) as broker:
                broadcast = Broadcast(
                    self._library,
                    self._manifest,
                    self._config,
                    record=record,
                    broker=broker.address,
                    credentials=self._control.credentials(broker, self._signature),
                    on_order=self._audit.ordered,
                )
                # A name of its own for each cast: a broker ends the connection of whoever has the same one.
                async with broadcast.link(f"{BROADCASTER}-{secrets.token_hex(8)}"), broadcast:
                    self._audit.started(
                        broadcast.session.announcement,
                        expected_seats=self._config.policy.expected_seats,
                        is_resumed=record.resumed is not None,
                    )
                    return await self._audit.finished(await self._open_to_receivers(broadcast, record, broker))

    async def _open_to_receivers(self, broadcast: Broadcast, record: CastRecord, broker: BrokerInUse) -> SessionReport:
        interface = self._config.interface
        async with (
            self._control.front_door(broker, self._happened) as door,
            advertise(interface, door.port),
        ):
            where = FrontDoorAddress(interface.ipv4 or interface.ipv6 or "", door.port)
            self._say_what_begins(broadcast, record, broker.address, where)
            self._setting.on_open(where)
            with (
                self._admitting.open(door.waiting_room),
                BroadcasterMetrics(lambda: [broadcast], self._setting.metrics_port),
                room_display(broadcast, Console(stderr=True), self._admitting),
            ):
                try:
                    return await broadcast.run()
                except asyncio.CancelledError:  # Ctrl-C: what the session came to is worth telling
                    broadcast.abort(INTERRUPTED)  # it has ended already, unless it had not even begun
                    return broadcast.report()

    def _happened(self, event: RoomEvent) -> None:
        self._admitting.on_event(event)
        if isinstance(event, Settled) and event.applicant.state is VerdictState.ADMITTED:
            applicant = event.applicant
            how = "token" if applicant.token_proof else "operator"
            self._audit.admitted(applicant.receiver_id, applicant.seat, how)

    def _record(self) -> CastRecord:
        store = CastStore(self._library.root / CASTS_FOLDER)
        earlier: OpenCast | None = store.find(self._manifest.digest, self._config.interface.name)
        if earlier is not None and not self._setting.resumes:
            earlier.finish()
            earlier = None
        return CastRecord(store, self._manifest, earlier)

    def _say_what_begins(
        self, broadcast: Broadcast, record: CastRecord, broker: BrokerAddress, door: FrontDoorAddress
    ) -> None:
        announcement = broadcast.session.announcement
        if record.resumed is not None:
            say(
                f"resuming session {announcement.tsi}, which ended without a farewell after "
                f"{seconds_in_words(record.earlier_seconds)}; --new begins a new one"
            )
        if self._setting.control.is_token_new:
            say(f"receivers with this token need no operator: {self._setting.control.token}")
        else:
            say("receivers with the token that was given need no operator")
        say(
            f"session {announcement.tsi}: {self._image} to group {announcement.group} "
            f"on {self._config.interface.name} at {rate_in_words(self._config.rate_bits_per_second)}, "
            f"broker {broker}, enrolment at {door}; waiting for {self._config.policy.expected_seats} seats"
        )


def _in_words(library: Library, manifest: Manifest) -> str:
    """Name and version; going back to an older one is allowed, and should not happen unseen."""
    header = manifest.header
    newest = max(library.versions(header.name), default=header.version)
    older = f" (OLDER than version {newest})" if header.version < newest else ""
    return f"{header.name} version {header.version}{older}"
