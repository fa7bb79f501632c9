"""Self-service: whoever sits at a seat may put its room's image on its disk, where the room's policy allows it.

    offer --wish--> a plan for this seat alone --its receiver has looked at the disk--> started, without an operator

The policy was said by an operator, the wish confirmed at the seat, and the ticket is the director's as always. A seat
whose room is being given the same image just now needs no session of its own: it joins the one that runs.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

import msgspec

from broadcaster.host.attendance import Attendance
from broadcaster.host.hosted_session import HostedSession
from broadcaster.host.hosting import Hosting
from broadcaster.host.news import startable
from broadcaster.host.policies import Policies
from broadcaster.host.sessions import Sessions
from protocol.commands import PlannedSeat, SetRoomPolicy
from protocol.errors import SlatecastError
from protocol.fields import MAX_LONG_TEXT
from protocol.operators import ImageNews, Severity
from protocol.seat_api import RestoreAnswer, RestoreOffer, RestoreWish

LOOK_PATIENCE: Final = 60.0
"""[s] in which the seat's receiver must have joined the plan and looked at its disk; it usually takes two."""

LOOK_PERIOD: Final = 0.2
"""[s] between two looks whether it has"""

WISH_INTERVAL: Final = 30.0
"""[s] between two wishes of one machine: stops one that was taken over from opening sessions without end."""

NO_PLACE: Final = "This PC stands on no seat of any room: an operator can place it on the page of its room"

CLAIMED_TWICE: Final = "Another PC says that it is {machine} too: an operator must name one of them otherwise"

BY_SEAT: Final = "self-service"
"""who ordered such a session, where others name an operator"""

_logger = logging.getLogger(__name__)


class Restores:
    """Offers and takes wishes of seats; ``images`` gives what the library holds."""

    def __init__(
        self,
        policies: Policies,
        sessions: Sessions,
        attendance: Attendance,
        images: Callable[[], list[ImageNews]],
        check: Callable[[Hosting], str],
    ) -> None:
        """``check`` gives the name of what is done to the disks of a session, or raises ConfigError; it blocks."""
        self._policies = policies
        self._sessions = sessions
        self._attendance = attendance
        self._images = images
        self._check = check
        self._wished_at: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def place_of(self, receiver_id: str) -> tuple[str, str]:
        """The seat and the room of a receiver, as operators call them; empty where nobody knows."""
        found = self._found(receiver_id)
        return ("", "") if found is None else (found[1].seat, found[0].room)

    def offer(self, receiver_id: str) -> RestoreOffer | None:
        """What this receiver's seat may choose; None where its room does not allow it, or has no such image."""
        found = self._found(receiver_id)
        if found is None or not found[0].allows_restore or not found[0].image:
            return None
        policy = found[0]
        image = next(
            (
                image
                for image in self._images()
                if image.name == policy.image and image.is_signed and policy.version in (0, image.version)
            ),
            None,
        )
        if image is None:
            return None
        return RestoreOffer(image=image.name, version=image.version, created=image.created)

    async def wish(self, receiver_id: str, wish: RestoreWish) -> RestoreAnswer:
        """Open, or join, the session that the seat wants; a refusal is said in words."""
        offer, found = self.offer(receiver_id), self._found(receiver_id)
        if offer is None or found is None:
            return _refused("this room does not allow it: ask an operator")
        if (offer.image, offer.version) != (wish.image, wish.version):
            return _refused("another image is offered by now: look again")
        policy, seat = found
        now = time.monotonic()
        if now - self._wished_at.get(seat.machine, -WISH_INTERVAL) < WISH_INTERVAL:
            return _refused("you have asked a moment ago: wait half a minute")
        self._wished_at[seat.machine] = now
        try:
            hosting = await self._hosting(policy, seat, wish)
            running = self._running(hosting)
            if running is not None:
                running.add_seat(seat, BY_SEAT)
                return RestoreAnswer(tsi=running.tsi)
            return RestoreAnswer(tsi=await self._open(hosting))
        except SlatecastError as error:
            return _refused(str(error))

    def notice(self, receiver_id: str) -> str:
        """What somebody has to mend about where this receiver stands; empty where all is well."""
        there = self._attendance.get(receiver_id)
        if there is None:
            return ""
        if self._attendance.is_claimed_by_another(receiver_id):
            return CLAIMED_TWICE.format(machine=there.machine)
        if self._policies.all() and self._policies.place_of(there.machine) is None:
            return NO_PLACE
        return ""

    async def close(self) -> None:
        """Wait for no seat any more; plans that were not started are dropped with the host."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _found(self, receiver_id: str) -> tuple[SetRoomPolicy, PlannedSeat] | None:
        there = self._attendance.get(receiver_id)
        return None if there is None else self._policies.place_of(there.machine)

    async def _hosting(self, policy: SetRoomPolicy, seat: PlannedSeat, wish: RestoreWish) -> Hosting:
        """The session that is wanted; what cannot be done to the disk afterwards is found before it is overwritten."""
        hosting = Hosting(
            room=policy.room,
            image=wish.image,
            version=wish.version,
            seats=(seat,),
            rate_bits_per_second=0,
            wait_seconds=LOOK_PATIENCE,
            ordered_by=BY_SEAT,
            opened_at=time.time(),
            configuration=policy.configuration,
            backs_up=policy.backs_up,
        )
        return msgspec.structs.replace(hosting, configuration=await asyncio.to_thread(self._check, hosting))

    def _running(self, wanted: Hosting) -> HostedSession | None:
        """A session that is giving this room the same image, and does the same to the disks afterwards."""
        if wanted.backs_up:
            return None  # its disk would be overwritten before it was captured
        for session in self._sessions.open():
            is_same = _what(session.hosting) == _what(wanted)
            if is_same and session.has_opened and not session.is_over and not session.broadcast.session.is_held:
                return session
        return None

    async def _open(self, hosting: Hosting) -> str:
        tsi = await self._sessions.plan(hosting)
        task = asyncio.create_task(self._start(self._sessions.need(tsi)), name=f"self-service {tsi}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return tsi

    async def _start(self, session: HostedSession) -> None:
        """Start the plan once its one receiver has looked at its disk, and its backup is there."""
        began = time.monotonic()
        while not session.is_over:
            if startable(session.seats()) == 1 and session.has_looked():
                waits_for = self._sessions.why_not_backed_up(session)
                if not waits_for:
                    session.start(1, BY_SEAT)
                    return
                began = time.monotonic()
            elif time.monotonic() - began > LOOK_PATIENCE:
                session.note("nobody at that seat joined in time", Severity.WARNING)
                session.broadcast.abort("nobody joined")
                return
            await asyncio.sleep(LOOK_PERIOD)


def _what(hosting: Hosting) -> tuple[str, str, int, str]:
    """What becomes of the disks of a session."""
    return hosting.room, hosting.image, hosting.version, hosting.configuration


def _refused(reason: str) -> RestoreAnswer:
    return RestoreAnswer(tsi="", refusal=reason[:MAX_LONG_TEXT])
