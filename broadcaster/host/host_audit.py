"""What a host writes into the audit log beside its sessions: who was let in, and by whom; in order, off the loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from broadcaster.audit import AuditEvent, AuditLog
from broadcaster.cast_audit import note, utc_now
from broadcaster.waiting_room import RoomEvent, Settled
from protocol.enrolment import VerdictState

HOW_BY_TOKEN: Final = "token"
HOW_BY_OPERATOR: Final = "operator"


class HostAudit:
    """Follows the waiting room; a log that cannot be written is told in one line and stops nothing."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._operator = ""
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="audit")

    def deciding(self, operator: str) -> None:
        """This operator decides now on receivers that wait."""
        self._operator = operator

    def happened(self, event: RoomEvent) -> None:
        """Write down who was let in."""
        if not isinstance(event, Settled) or event.applicant.state is not VerdictState.ADMITTED:
            return
        applicant = event.applicant
        fields = {"receiver": applicant.receiver_id, "seat": applicant.seat, "how": HOW_BY_TOKEN}
        if not applicant.token_proof:
            fields |= {"how": HOW_BY_OPERATOR, "operator": self._operator}
        self._writer.submit(partial(note, self._log, AuditEvent.RECEIVER_ADMITTED, utc_now(), fields))

    async def close(self) -> None:
        """Wait for what was not written yet."""
        await asyncio.to_thread(self._writer.shutdown, wait=True)
