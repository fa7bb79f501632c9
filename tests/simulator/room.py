"""The room: one broadcaster, N receivers with disks, driven as the real services drive the sessions."""

import random
from collections.abc import Callable

from broadcaster.announcement import build_announcement
from broadcaster.encoder import BlockEncoder, SealedSymbols
from broadcaster.pacing import Pacer
from broadcaster.rate import RateControl
from broadcaster.session import SenderSession, StartPolicy
from protocol.blocks import BlockBuffer
from protocol.errors import DiskError, IntegrityError
from protocol.messages import Announcement, FecOti, Message, Presence, SessionPhase, announcement_topic, decode_tsi
from protocol.seal import Seal
from receiver.deployment import Deployment
from receiver.session import BlockDecodable, Event, ObjectCompleted, ReceiverSession
from tests.simulator.broker import SimulatedBroker
from tests.simulator.disk import SimulatedDisk
from tests.simulator.image import ENCODING_SYMBOL_LENGTH, SimulatedImage
from tests.simulator.network import LinkFaults, SimulatedMulticast
from tests.simulator.schedule import Schedule

TICK = 0.02
"""[s] How often a party looks whether a message is due."""


class SimulatedBroadcaster:
    """A sender session with its encoder, pacer and two lines out."""

    def __init__(
        self,
        schedule: Schedule,
        network: SimulatedMulticast,
        broker: SimulatedBroker,
        image: SimulatedImage,
        rng: random.Random,
        policy: StartPolicy,
        rate_bits_per_second: int,
    ) -> None:
        self._schedule = schedule
        self._network = network
        self._broker = broker
        tsi, secret = rng.getrandbits(64), rng.randbytes(32)
        self.announcement = build_announcement(
            image.manifest,
            tsi=tsi,
            session_secret=secret,
            group="239.192.0.1",
            port=7000,
            oti=FecOti(encoding_symbol_length=ENCODING_SYMBOL_LENGTH),
        )
        seal = Seal(secret, image.manifest.digest, tsi, ENCODING_SYMBOL_LENGTH)
        self._encoder = BlockEncoder(image.manifest, image.stored.__getitem__, seal, ENCODING_SYMBOL_LENGTH)
        self._pacer = Pacer(rate_bits_per_second, schedule.now)
        self.session = SenderSession(
            self.announcement,
            manifest_object=self._encoder.manifest_object(),
            disk_object=self._encoder.disk_object(),
            policy=policy,
            rate=RateControl(rate_bits_per_second, schedule.now),
            now=schedule.now,
        )
        broker.connect("broadcaster", self._receive)
        schedule.after(0.0, self._transmit)
        schedule.after(0.0, self._speak)

    def _receive(self, message: Message) -> None:
        self.session.receive_message(message, self._schedule.now)

    def _transmit(self) -> None:
        transmission = self.session.next_transmission(self._schedule.now)
        if transmission is None:
            if self.session.phase is not SessionPhase.ENDED:
                self._schedule.after(TICK, self._transmit)
            return
        self._schedule.note(f"send {transmission}")
        self._send(self._encoder.encode(transmission), 0)

    def _send(self, symbols: SealedSymbols, offset: int) -> None:
        """One datagram at a time, so that loss and reorder fall between any two."""
        if offset >= len(symbols.datagrams):
            self.session.transmitted(symbols.transmission, self._schedule.now)
            self._pacer.set_rate(self.session.rate.rate_bits_per_second)
            self._transmit()
            return
        datagram = bytes(symbols.datagrams[offset : offset + symbols.datagram_length])
        self._network.send(datagram)
        self._pacer.spend(len(datagram), self._schedule.now)
        self._schedule.after(
            self._pacer.wait_time(self._schedule.now), lambda: self._send(symbols, offset + symbols.datagram_length)
        )

    def _speak(self) -> None:
        while (message := self.session.next_message(self._schedule.now)) is not None:
            self._broker.publish(message, retain=isinstance(message, Announcement))
            if self.session.phase is SessionPhase.ENDED:
                self._broker.forget(announcement_topic(self.announcement.tsi))
                return
        self._schedule.after(TICK, self._speak)


class SimulatedReceiver:
    """A receiver session with its deployment on a disk that keeps its content over crashes."""

    def __init__(
        self,
        schedule: Schedule,
        network: SimulatedMulticast,
        broker: SimulatedBroker,
        rng: random.Random,
        device: SimulatedDisk,
        faults: LinkFaults,
        seat: str,
    ) -> None:
        self._schedule = schedule
        self._network = network
        self._broker = broker
        self._rng = rng
        self.faults = faults
        self._bad_memory_ratio = rng.choice([0.0, 0.0, 0.0, 0.05])
        self.device = device
        self.seat = seat
        self.start()

    def start(self) -> None:
        """Boot: a new identity, nothing known but what the broker says."""
        self.receiver_id = f"{self._rng.getrandbits(128):032x}"
        self.session: ReceiverSession | None = None
        self.is_alive = True
        self._boot = object()
        self._broker.connect(self.receiver_id, self._receive, self._presence(is_online=False))
        self._broker.publish(self._presence(is_online=True), retain=True)
        self._if_alive(TICK, self._speak)

    def crash(self) -> None:
        """Power off: what was not synced is lost in part."""
        self.is_alive = False
        self._schedule.note(f"crash {self.seat}")
        self._network.leave(self.receiver_id)
        self._broker.cut(self.receiver_id)
        self.device.crash(self._rng)

    def _receive(self, message: Message) -> None:
        if not self.is_alive:
            return
        if isinstance(message, Announcement) and self.session is None:
            self._join(message)
        elif self.session is not None:
            self.session.receive_message(message, self._schedule.now)
            self._pump()

    def _join(self, announcement: Announcement) -> None:
        self._seal = Seal(
            announcement.session_secret,
            announcement.manifest_digest,
            decode_tsi(announcement.tsi),
            announcement.oti.encoding_symbol_length,
        )
        self.session = ReceiverSession(
            announcement,
            receiver_id=self.receiver_id,
            seat=self.seat,
            target="memory",
            rng=self._rng,
            now=self._schedule.now,
            buffer_limit=self._rng.choice([20_000, 10_000_000]) + 191 * ENCODING_SYMBOL_LENGTH,
        )
        self._deployment = Deployment(announcement, lambda: self.device)
        self._network.join(self.receiver_id, self._receive_datagram, self.faults)

    def _receive_datagram(self, datagram: bytes) -> None:
        assert self.session is not None
        self._seal.open_batch(memoryview(datagram), len(datagram), self.session.find_block)
        self.session.batch_opened(len(datagram), self._schedule.now)
        self._pump()

    def _speak(self) -> None:
        if self.session is not None:
            while (message := self.session.next_message(self._schedule.now)) is not None:
                self._broker.publish(message)
        self._if_alive(TICK, self._speak)

    def _pump(self) -> None:
        assert self.session is not None
        while (event := self.session.next_event()) is not None:
            self._schedule.note(f"{self.seat} {type(event).__name__}")
            self._if_alive(self._rng.uniform(0.0, 0.02), lambda event=event: self._work(event))  # type: ignore[misc]  # mypy cannot type default arguments of a lambda

    def _work(self, event: Event) -> None:
        assert self.session is not None
        try:
            if isinstance(event, BlockDecodable):
                self._damage_in_memory(event.block)
                if self._deployment.store_block(event.block):
                    self.session.block_stored(event.block, self._schedule.now)
                else:
                    self.session.block_rejected(event.block)
            elif isinstance(event, ObjectCompleted) and event.toi == 0:
                self.session.manifest_loaded(self._deployment.load_manifest(), self._schedule.now)
                self._deployment.write_zero_ranges(lambda: False)
            elif isinstance(event, ObjectCompleted):
                self._finish()
        except DiskError as error:
            self.session.failed(str(error), self._schedule.now)
        except IntegrityError as error:
            self.session.damaged(str(error), self._schedule.now)
        self._pump()

    def _damage_in_memory(self, block: BlockBuffer) -> None:
        """Bad memory behind the seal: only the digest of the block can find it."""
        if self._rng.random() < self._bad_memory_ratio:
            block.symbols[self._rng.randrange(block.source_block_length * ENCODING_SYMBOL_LENGTH)] ^= 0x04

    def _finish(self) -> None:
        assert self.session is not None
        damaged = self._deployment.read_back(lambda done, total: None, lambda: False)
        if damaged:
            self.session.read_back_failed(damaged, self._schedule.now)
        else:
            self._deployment.commit()
            self.session.verified(self._schedule.now)

    def _if_alive(self, delay: float, callback: Callable[[], None]) -> None:
        boot = self._boot

        def run() -> None:
            if self.is_alive and self._boot is boot:
                callback()

        self._schedule.after(delay, run)

    def _presence(self, *, is_online: bool) -> Presence:
        return Presence(receiver_id=self.receiver_id, seat=self.seat, is_online=is_online)
