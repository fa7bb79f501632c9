"""One session under way with its socket, threads and disk; drives the session class as the simulator does.

    group --datagrams--> DatagramReader --> session --block is decodable--> DiskWork --> disk
    catch-up lane --datagrams--> LaneIntake --^  ^------- blocks found, stored ---'
    MQTT link <---- presence, report, repair request ---- session <---- announcement, status ---- MQTT link

This part moves decisions: what the session asks for goes to the parts that do it, and what it says to the link.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Coroutine

from protocol.blocks import BlockBuffer
from protocol.fields import decode_tsi
from protocol.link.message_stream import Voice
from protocol.link.tls import pinned_context
from protocol.messages import Message, MissingBlocks, ReceiverReport, RepairRequest
from protocol.seal import Seal
from protocol.ticket import Ticket
from receiver.arming import Arming
from receiver.config import ReceiverConfig, SessionOutcome
from receiver.datagram_reader import DatagramReader, open_group
from receiver.disk_work import DiskWork
from receiver.enrolment import Enrolment
from receiver.events import BlockDecodable, ObjectCompleted, PreviewPossible
from receiver.farewell import Farewell
from receiver.identity import ReceiverIdentity
from receiver.lane_intake import LaneIntake
from receiver.orders import AnnouncedOrder
from receiver.scout import watch_senders
from receiver.session import ReceiverSession


class ActiveSession:
    """One receiver's part in one session."""

    def __init__(
        self,
        ordered: AnnouncedOrder,
        config: ReceiverConfig,
        identity: ReceiverIdentity,
        enrolment: Enrolment,
        voice: Voice,
        *,
        last_sequence: int = 0,
        has_begun: bool = False,
    ) -> None:
        """With ``has_begun`` this receiver has written to its disk in this session before, so that nothing is left to
        be stopped; ``last_sequence`` is what its messages had come to by then.
        """
        self._announcement = announcement = ordered.announcement
        self._config = config
        self._voice = voice
        self._seal = Seal(
            ordered.order.session_secret,
            announcement.manifest_digest,
            decode_tsi(announcement.tsi),
            announcement.oti.encoding_symbol_length,
        )
        self._arming = Arming(
            0.0 if has_begun else config.countdown_seconds,
            time.monotonic(),
            is_held=not ordered.order.ticket.may_write,
        )
        self.session = ReceiverSession(
            announcement,
            receiver_id=identity.receiver_id,
            seat=config.seat,
            target=config.target,
            arming=self._arming,
            rng=random.Random(identity.receiver_id),
            now=time.monotonic(),
            buffer_limit=config.buffer_limit,
            last_sequence=last_sequence,
        )
        self.session.counters.link_bits_per_second = config.interface.speed_bits_per_second or 0
        self._work = DiskWork(
            self.session,
            ordered.order.ticket.disk,
            identity,
            is_delta=config.is_delta,
            firmware=config.firmware,
            target_fault=config.target_fault,
            take_disk=config.take_disk,
            on_step=self._pump,
            on_bug=self._stop_with,
        )
        self._lane = LaneIntake(
            announcement,
            self.session,
            self._seal,
            tls=lambda: pinned_context(enrolment.trust.authority, enrolment.certificate),
            on_arrival=self._pump,
        )
        self._farewell = Farewell()
        self._left: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._wake = asyncio.Event()

    async def run(self) -> SessionOutcome:
        """Take part until the final report is acknowledged or nobody is there to hear it."""
        with self._work:
            self._work.refuse_unfit_target()
            self._arming.restart(time.monotonic())
            with (
                open_group(self._announcement, self._config.interface) as socket,
                DatagramReader(socket, self.session, self._seal, self._pump) as reader,
            ):
                async with self._alongside(self._lane.run()), self._alongside(self._scout()):
                    is_acknowledged = await self._speak_until_left(reader)
        return SessionOutcome(self.session.state, self._reason(), is_acknowledged)

    def _reason(self) -> str:
        if self.session.state.is_final:
            return self.session.reason
        return f"the broadcaster {'fell silent' if self.session.has_lost_sender else 'ended the session'}"

    def receive_message(self, message: Message) -> None:
        """Take a message of the broadcaster."""
        self.session.receive_message(message, time.monotonic())
        self._pump()

    def release(self, ticket: Ticket) -> None:
        """Take the ticket, found good, that allows to write what was only planned."""
        self.session.released(ticket, time.monotonic())
        self._pump()

    async def _scout(self) -> None:
        session, interface = self._announcement, self._config.interface
        await watch_senders(self.session.poison, interface.name, session.group, session.source)

    async def _speak_until_left(self, reader: DatagramReader) -> bool:
        """Say what is due until the session is left, or nobody has acknowledged its end for long enough."""
        while not self._left.done():
            is_caught_up = reader.catch_up()
            now = time.monotonic()
            reader.keep(now)
            self._work.count(now)
            while (message := self.session.next_message(now, is_caught_up=is_caught_up)) is not None:
                self._publish(message)
                if isinstance(message, ReceiverReport):
                    self.session.counters.buffer_fill_ratio = 0.0
                    self._work.start_counting_anew(now)
            self._pump()  # silence of the broadcaster is an event, too
            is_final = self.session.state.is_final
            if is_final and self._farewell.is_over(now, is_connected=self._voice.link.is_connected):
                return False
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self.session.next_timeout() - now)):
                    await self._wake.wait()
        return self._left.result()

    def _publish(self, message: ReceiverReport | RepairRequest | MissingBlocks) -> None:
        """Reports and requests say a whole truth and are soon repeated: each takes the place of one that still waits,
        and none waits for an acknowledgement, which on a link that loses much can take seconds.
        """
        is_part = isinstance(message, MissingBlocks)
        is_final = isinstance(message, ReceiverReport) and message.state.is_final
        qos = 1 if is_part or is_final else 0
        if is_final and self._work.certificate is not None:
            # Before the report, so that the one that settles the seat finds its proof there.
            self._voice.say(self._work.certificate, supersedes=True)
        self._voice.say(message, qos=qos, supersedes=not is_part)

    def _pump(self) -> None:
        """Hand what the session asks for to the parts that do it."""
        if self.session.last_status.is_on_catch_up or self.session.poison.mismatched_blocks:
            self._lane.need()
        blocks: list[BlockBuffer] = []
        while (event := self.session.next_event()) is not None:
            if isinstance(event, BlockDecodable):
                blocks.append(event.block)
            elif isinstance(event, ObjectCompleted):
                self._work.complete(event.toi)
            elif isinstance(event, PreviewPossible):
                self._work.preview()
            elif not self._left.done():
                self._left.set_result(event.is_acknowledged)
        if blocks:
            self._work.store(blocks)
        if self._left.done() or self.session.next_timeout() <= time.monotonic():
            self._wake.set()

    @contextlib.asynccontextmanager
    async def _alongside(self, work: Coroutine[None, None, None]) -> AsyncIterator[None]:
        """Do this beside all else, while the context is open."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._alongside_ended)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def _alongside_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._stop_with(error)

    def _stop_with(self, error: BaseException) -> None:
        """What disk and image can do wrong is handled; anything else is a bug and must end the program loudly."""
        if not self._left.done():
            self._left.set_exception(error)
            self._wake.set()
