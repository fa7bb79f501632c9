"""The broadcaster of a simulated room: a sender session with encoder, interleaver, pacer and budget, as the real
service drives it. It may be killed at any moment and come back with the state that it saved a second ago at most.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from broadcaster.announcement import build_announcement
from broadcaster.budget import MessageBudget
from broadcaster.encoder import BlockEncoder, SealedSymbols
from broadcaster.interleaving import Interleaver
from broadcaster.pacing import Pacer
from broadcaster.rate import RateControl
from broadcaster.readiness import StartPolicy
from broadcaster.session import SenderSession
from protocol.errors import IntegrityError, MessageError
from protocol.fields import encode_tsi
from protocol.link.message_stream import sender_of
from protocol.messages import (
    FecOti,
    Message,
    MissingBlocks,
    Presence,
    ReceiverReport,
    RepairRequest,
    SessionPhase,
    announcement_topic,
    decode_message,
)
from protocol.seal import Seal
from protocol.wire import INTERLEAVED_BLOCKS
from tests.simulator.audit import SenderAudit
from tests.simulator.broker import Party, SimulatedBroker
from tests.simulator.image import ENCODING_SYMBOL_LENGTH, SimulatedImage
from tests.simulator.network import SimulatedMulticast
from tests.simulator.order import session_secret, signed
from tests.simulator.schedule import Schedule

MACHINE = "broadcaster"

IDLE_POLL = 0.04
"""[s] How often an idle transmitter looks whether there is something to send."""

LOOKAHEAD = INTERLEAVED_BLOCKS + 4
"""[transmissions] under way between a decision and the wire."""

RECORD_INTERVAL = 1.0
"""[s] How old a saved state is at most."""


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """What a broadcaster is started with."""

    policy: StartPolicy
    rate_bits_per_second: int
    batch_length: int
    """datagrams that leave in one system call"""
    max_repair_symbols: int
    has_lane: bool
    is_planned: bool = False
    """nothing may be written before an operator starts it"""
    has_tickets: bool = False
    """receivers take part by tickets, as an operator wants it"""


@dataclass(frozen=True, slots=True)
class _Saved:
    """What a restart finds on disk."""

    generation: int
    reports: tuple[ReceiverReport, ...] = ()
    slow_because: tuple[str, ...] = ()
    datagrams_sent: int = 0
    repair_datagrams: int = 0
    is_released: bool = False
    is_paused: bool = False
    dismissed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()


class SimulatedBroadcaster:
    """A broadcaster over all its runs."""

    def __init__(
        self,
        schedule: Schedule,
        network: SimulatedMulticast,
        broker: SimulatedBroker,
        image: SimulatedImage,
        rng: random.Random,
        settings: SenderSettings,
    ) -> None:
        self._schedule = schedule
        self._network = network
        self._broker = broker
        self._settings = settings
        tsi = rng.getrandbits(64)
        self.announcement = build_announcement(
            image.manifest,
            tsi=tsi,
            image_key=bytes(32),
            image_signature=bytes(64),
            source="192.0.2.1",
            group="239.192.0.1",
            port=7000,
            oti=FecOti(encoding_symbol_length=ENCODING_SYMBOL_LENGTH, max_repair_symbols=settings.max_repair_symbols),
            catch_up_url="https://192.0.2.1:7001" if settings.has_lane else "",
        )
        self.encoder = BlockEncoder(
            image.manifest,
            lambda sbn: image.library.read_stored(image.manifest, sbn),
            Seal(session_secret(encode_tsi(tsi)), image.manifest.digest, tsi, ENCODING_SYMBOL_LENGTH),
            ENCODING_SYMBOL_LENGTH,
        )
        self.objects = self.encoder.manifest_object(), self.encoder.disk_object()
        self.sessions: list[SenderSession] = []
        self.audits: list[SenderAudit] = []
        self.started_at: list[float] = []
        self.went_on_at: list[float] = []
        """s, when each run began with the disk, or ended"""
        self.nonsense_count = 0
        self.has_late_inventory = False
        """a seat told what it lacks when the disk was being sent already"""
        self._saved = _Saved(generation=0)
        self._machines: dict[str, str] = {}
        """by receiver id, of those that are there"""
        self._dismissed_machines: set[str] = set()
        self.start()

    @property
    def session(self) -> SenderSession:
        """The session of the newest run."""
        return self.sessions[-1]

    @property
    def problems(self) -> list[str]:
        """What the audits of all runs found."""
        return [problem for audit in self.audits for problem in audit.problems]

    def start(self) -> None:
        """Begin, or go on with the saved state."""
        now, saved, rate = self._schedule.now, self._saved, self._settings.rate_bits_per_second
        self._run = object()
        self.is_alive = True
        self.budget = MessageBudget()
        self._pacer = Pacer(rate, now)
        self._interleaver = Interleaver()
        self._encoded: deque[SealedSymbols] = deque()
        self._under_way = 0
        self.started_at.append(now)
        self.audits.append(SenderAudit(self._settings.max_repair_symbols))
        session = SenderSession(
            self.announcement,
            manifest_object=self.objects[0],
            disk_object=self.objects[1],
            policy=self._settings.policy,
            rate=RateControl(rate, now),
            now=now,
            generation=saved.generation + 1,
            is_held=self._settings.is_planned and not saved.is_released,
            on_nonsense=self._nonsense,
        )
        self.sessions.append(session)
        session.datagrams_sent, session.repair_datagrams = saved.datagrams_sent, saved.repair_datagrams
        for report, slow_because in zip(saved.reports, saved.slow_because, strict=True):
            session.roster.restore(report, slow_because, now)
        for receiver_id in saved.dismissed:
            session.dismiss(receiver_id, now)
        for receiver_id in saved.moved:
            session.move_to_catch_up(receiver_id, now)
        if saved.is_paused:
            session.pause(now)
        self._save()
        self._broker.connect(
            MACHINE,
            Party(
                receive=self._receive,
                on_lost=lambda: session.control_lost(self._schedule.now),
                on_restored=lambda: session.control_restored(self._schedule.now),
                is_broadcaster=True,
            ),
        )
        self._if_alive(0.0, self._transmit)
        self._if_alive(0.0, self._speak)
        self._if_alive(RECORD_INTERVAL, self._keep_record)

    def kill(self) -> None:
        """SIGKILL."""
        self._schedule.note("broadcaster killed")
        self.is_alive = False
        self._broker.disconnect(MACHINE)

    def _keep_record(self) -> None:
        self._save()
        self._if_alive(RECORD_INTERVAL, self._keep_record)

    def _save(self) -> None:
        seats = list(self.session.roster.seats())
        self._saved_settled = len(self.session.roster.settled_ids())
        self._saved = _Saved(
            generation=len(self.sessions),
            reports=tuple(seat.report for seat in seats),
            slow_because=tuple(seat.was_slow_because for seat in seats),
            datagrams_sent=self.session.datagrams_sent,
            repair_datagrams=self.session.repair_datagrams,
            is_released=not self.session.is_held,
            is_paused=self.session.is_paused,
            dismissed=self.session.roster.dismissed_ids(),
            moved=self.session.moved_ids(),
        )

    def changed(self) -> None:
        """The operator has changed something: a restart finds it, and everybody hears it."""
        self._save()
        self._say_what_is_due()

    def dismiss(self, receiver_id: str) -> str:
        """The machine of this receiver gets no ticket any more; gives its name."""
        machine = self._machines.get(receiver_id, "")  # somebody may have invented it
        self._dismissed_machines.add(machine)
        return machine

    def give_tickets(self) -> None:
        """To everybody that is there."""
        for receiver_id in list(self._machines):
            self._give_ticket(receiver_id)

    def _give_ticket(self, receiver_id: str) -> None:
        if self.session.phase is SessionPhase.ENDED or self._machines[receiver_id] in self._dismissed_machines:
            return
        said = signed(self.announcement.tsi, receiver_id, may_write=not self.session.is_held)
        self._broker.publish(MACHINE, said)

    def _nonsense(self, receiver_id: str, what: str) -> None:
        self.nonsense_count += 1
        self.budget.strike(receiver_id, what, self._schedule.now)

    def _receive(self, topic: str, payload: bytes) -> None:
        if not self.is_alive:
            return
        now, receiver_id = self._schedule.now, sender_of(topic)
        if receiver_id is None or not self.budget.admit(receiver_id, now):
            return
        try:
            message = decode_message(topic, payload)
        except MessageError as error:
            self._nonsense(receiver_id, str(error))
            return
        if isinstance(message, MissingBlocks) and self.session.phase is SessionPhase.DISK:
            self.has_late_inventory = self.audits[-1].is_served_otherwise = True
        if self._settings.has_tickets and isinstance(message, Presence) and message.is_online:
            self._machines[receiver_id] = message.machine
            self._give_ticket(receiver_id)
        nonsense_before = self.nonsense_count
        self.session.receive_message(message, now)
        if self.nonsense_count == nonsense_before:
            self._note_request(message, now)
        if self.session.next_timeout() <= now:
            self._say_what_is_due()

    def _note_request(self, message: Message, now: float) -> None:
        if isinstance(message, RepairRequest) and message.tsi == self.announcement.tsi:
            self.audits[-1].heard(message, self.session.roster.get(message.receiver_id), now)

    def _transmit(self) -> None:
        now = self._schedule.now
        self._fetch_transmissions(now)
        batch = self._interleaver.next_batch(self._settings.batch_length)
        if batch is None:
            if self.session.phase is not SessionPhase.ENDED:
                self._if_alive(IDLE_POLL, self._transmit)
            return
        self._network.send(batch.parts, batch.datagram_length)
        self._pacer.spend(batch.byte_count, now)
        for transmission in batch.finished:
            self._under_way -= 1
            self.audits[-1].left(transmission, now)
            self.session.transmitted(transmission, now)
        self._pacer.set_rate(self.session.rate.rate_bits_per_second)
        self._if_alive(self._pacer.wait_time(now), self._transmit)

    def _fetch_transmissions(self, now: float) -> None:
        while self._under_way < LOOKAHEAD and (transmission := self.session.next_transmission(now)) is not None:
            self._schedule.note(f"send {transmission}")
            self.audits[-1].is_served_otherwise |= any(seat.was_slow_because for seat in self.session.roster.seats())
            self.audits[-1].handed_out(transmission, now)
            try:
                self._encoded.append(self.encoder.encode(transmission))
            except IntegrityError as error:
                self.session.cannot_send(transmission.toi, transmission.sbn, str(error), now)
                continue
            self._under_way += 1
        if self.session.phase in (SessionPhase.DISK, SessionPhase.ENDED):
            while len(self.went_on_at) < len(self.sessions):
                self.went_on_at.append(now)
        while self._encoded and self._interleaver.has_room:
            self._interleaver.put(self._encoded.popleft())
        self.audits[-1].side_by_side(self._under_way - len(self._encoded))

    def _speak(self) -> None:
        self._say_what_is_due()
        if self.session.phase is not SessionPhase.ENDED:
            self._if_alive(max(0.01, self.session.next_timeout() - self._schedule.now), self._speak)

    def _say_what_is_due(self) -> None:
        if len(self.session.roster.settled_ids()) > self._saved_settled:
            self._save()  # before a receiver hears that it may leave: it would not be there to say it again
        while (message := self.session.next_message(self._schedule.now)) is not None:
            self._broker.publish(MACHINE, message)
            if self.session.phase is SessionPhase.ENDED:
                self._broker.forget(announcement_topic(self.announcement.tsi))
                return

    def _if_alive(self, delay: float, callback: Callable[[], None]) -> None:
        run = self._run

        def call() -> None:
            if self.is_alive and self._run is run:
                callback()

        self._schedule.after(delay, call)
