"""What operators order of sessions: planned, started, stopped, paused, and single seats stopped, moved, tried again."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from broadcaster.configurations.shelf import ConfigurationShelf
from broadcaster.host.commands import Handler, Work
from broadcaster.host.hosted_session import HostedSession
from broadcaster.host.hosting import Hosting
from broadcaster.host.sessions import Sessions
from protocol.commands import (
    Command,
    ContinueSession,
    DismissSeat,
    MoveToCatchUp,
    PauseSession,
    PlanSession,
    RetrySeats,
    StartSession,
    StopSession,
)
from protocol.errors import RefusedError
from protocol.messages import ReceiverState
from protocol.operators import Severity

MIN_RATE: Final = 1_000_000
"""[bit/s] chosen: below it a gigabyte takes two hours, which nobody orders on purpose."""


class SessionCommands:
    """Handlers of the sessions' commands."""

    def __init__(self, sessions: Sessions, configurations: ConfigurationShelf) -> None:
        self._sessions = sessions
        self._configurations = configurations
        self._planning = asyncio.Lock()

    @property
    def handlers(self) -> Mapping[type[Command], Handler]:
        """By kind of command."""
        return {
            PlanSession: self.plan,
            StartSession: self.start,
            StopSession: self.stop,
            PauseSession: self.pause,
            ContinueSession: self.resume,
            MoveToCatchUp: self.move_to_catch_up,
            DismissSeat: self.dismiss,
            RetrySeats: self.retry,
        }

    async def plan(self, command: PlanSession, work: Work) -> object:
        """Open a session that may not write."""
        if not command.room:
            raise RefusedError("a plan needs the name of its room")
        if 0 < command.rate_bits_per_second < MIN_RATE:
            raise RefusedError(f"{command.rate_bits_per_second} bit/s is too slow: at least {MIN_RATE}")
        return await self._open(
            Hosting(
                room=command.room,
                image=command.image,
                version=command.version,
                seats=command.seats,
                rate_bits_per_second=command.rate_bits_per_second,
                wait_seconds=command.wait_seconds,
                ordered_by=work.operator,
                opened_at=time.time(),
                configuration=command.configuration,
                backs_up=command.backs_up,
            )
        )

    async def start(self, command: StartSession, work: Work) -> object:
        """Order the planned seats to be overwritten."""
        session = self._sessions.need(command.tsi)
        missing = self._sessions.why_not_backed_up(session)
        if missing:
            raise RefusedError(missing)
        session.start(command.expected_seats, work.operator)
        return {}

    async def stop(self, command: StopSession, work: Work) -> object:
        """End a session, or drop a plan."""
        session = self._sessions.need(command.tsi)
        what = "dropped the plan" if session.broadcast.session.is_held else "stopped the session"
        session.note(f"{work.operator} {what}", Severity.WARNING)
        session.broadcast.abort(f"{work.operator} {what}")
        return {}

    async def pause(self, command: PauseSession, work: Work) -> object:
        """Send nothing until it is continued."""
        session = self._sessions.need(command.tsi)
        _refuse_plan(session, "nothing is sent, so that there is nothing to pause")
        if session.broadcast.session.is_paused:
            raise RefusedError("it is paused already")
        session.broadcast.pause()
        session.note(f"{work.operator} paused the session")
        return {}

    async def resume(self, command: ContinueSession, work: Work) -> object:
        """Go on with a paused session."""
        session = self._sessions.need(command.tsi)
        if not session.broadcast.session.is_paused:
            raise RefusedError("it is not paused")
        session.broadcast.resume()
        session.note(f"{work.operator} continued the session")
        return {}

    async def move_to_catch_up(self, command: MoveToCatchUp, work: Work) -> object:
        """Let one seat fetch what it misses by itself."""
        session = self._sessions.need(command.tsi)
        name = session.name_of(command.receiver_id)
        _refuse_plan(session, "nobody fetches anything yet")
        if not session.broadcast.move_to_catch_up(command.receiver_id):
            raise RefusedError(f"{name} cannot be moved: it is done, or not there")
        session.note(f"{work.operator} moved {name} to catch-up", receiver_id=command.receiver_id)
        return {}

    async def dismiss(self, command: DismissSeat, work: Work) -> object:
        """Stop one seat."""
        session = self._sessions.need(command.tsi)
        name = session.name_of(command.receiver_id)
        if not session.broadcast.dismiss(command.receiver_id):
            raise RefusedError(f"{name} is done already: there is nothing to stop")
        session.note(f"{work.operator} stopped {name}", Severity.WARNING, command.receiver_id)
        return {}

    async def retry(self, command: RetrySeats, work: Work) -> object:
        """Open a new plan for seats that did not finish."""
        before = await asyncio.to_thread(self._sessions.hosting_of, command.tsi)
        known = {seat.machine: seat for seat in before.seats}
        strange = [machine for machine in command.machines if machine not in known]
        if strange:
            raise RefusedError(f"{strange[0]} is no machine of session {command.tsi}: open a new plan for it")
        seats = tuple(known[machine] for machine in dict.fromkeys(command.machines))
        outcomes = await asyncio.to_thread(self._sessions.outcomes_of, command.tsi)
        verified = [seat.seat for seat in seats if outcomes.get(seat.machine) == ReceiverState.VERIFIED.value]
        if verified:
            raise RefusedError(f"{verified[0]} is verified: there is nothing to try again; leave it out")
        return await self._open(
            Hosting(
                room=before.room,
                image=before.image,
                version=before.version,
                seats=seats,
                rate_bits_per_second=before.rate_bits_per_second,
                wait_seconds=before.wait_seconds,
                ordered_by=work.operator,
                opened_at=time.time(),
                configuration=before.configuration,
                backs_up=before.backs_up,
            )
        )

    async def _open(self, hosting: Hosting) -> dict[str, Any]:
        # What is found wrong while it is planned costs no disk.
        name = await asyncio.to_thread(self._configurations.check, hosting)
        async with self._planning:
            return {"tsi": await self._sessions.plan(msgspec.structs.replace(hosting, configuration=name))}


def _refuse_plan(session: HostedSession, why: str) -> None:
    if session.broadcast.session.is_held:
        raise RefusedError(f"it is only planned: {why}")
