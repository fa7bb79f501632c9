"""Captures of a played fleet: they go on by themselves, and orders for them are noted and carried out."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from dashboards.fleet.capture_view import CaptureView, capture_view
from dashboards.fleet.views import FleetView
from protocol.backup_names import backup_name
from protocol.capture import CaptureStep
from protocol.commands import (
    AnyCommand,
    BackUpMachines,
    CaptureMachine,
    DecideCapture,
    FetchFindings,
    StopCapture,
)
from protocol.errors import RefusedError
from protocol.operators import PAGE_LENGTH, CaptureNews, CapturesNews
from tests.dashboards.played_session import hex_digits

ASKED, RUNNING, DONE = "a" * 16, "b" * 16, "c" * 16
FINDING = {"kind": "refusal", "code": "bitlocker", "where": "partition 3", "text": "it is encrypted: switch it off"}

DISK_SIZE: Final = 500_107_862_016
USED_SHARE: Final = 0.04
"""of a disk that is read"""

MOST_OPEN: Final = 120
"""[captures] that a play takes orders for: more than one page, and few enough to be told at once"""

SECONDS: Final = 40.0
"""[s] that a capture takes"""


def capture_news(capture_id: str, step: CaptureStep, **fields: Any) -> CaptureNews:
    known: dict[str, Any] = {
        "receiver_id": "1" * 32,
        "machine": "52:54:00:12:34:56",
        "seat": "seat 7",
        "image": "windows",
        "is_backup": False,
        "target": "Samsung SSD",
        "disk_size": DISK_SIZE,
        "ordered_by": "" if step is CaptureStep.ASKED else "otto",
        "began_at": 1793000000.0,
        "done": 0.5,
        "read_bytes": 2 << 30,
        "sent_bytes": 1 << 30,
        "version": 3 if step is CaptureStep.DONE else 0,
        "findings": 1,
        "reason": "",
    }
    return CaptureNews(capture_id=capture_id, step=step, **{**known, **fields})


OPENED = tuple(
    capture_news(*each)
    for each in ((ASKED, CaptureStep.ASKED), (RUNNING, CaptureStep.RUNNING), (DONE, CaptureStep.DONE))
)
CAPTURES: tuple[CaptureView, ...] = tuple(capture_view(news) for news in OPENED)


class PlayedCaptures:
    """All of them, in the order in which they were asked for."""

    def __init__(self) -> None:
        self.all: dict[str, CaptureNews] = {}
        self.findings: dict[str, list[dict[str, str]]] = {}
        self.kept: list[tuple[str, bool]] = []
        """names of the images that came of them, and whether each is a backup"""

    def add(self, *news: CaptureNews) -> None:
        self.all.update({each.capture_id: each for each in news})

    def begin(self, machine: str, image: str, by: str, at: float, *, seat: str = "", is_backup: bool = False) -> str:
        """One that was ordered; its id."""
        capture_id = hex_digits(16, "capture", len(self.all))
        step = CaptureStep.ORDERED
        fields = {"machine": machine, "seat": seat or machine, "image": image, "is_backup": is_backup, "began_at": at}
        empty = {"target": "", "disk_size": 0, "done": 0.0, "read_bytes": 0, "sent_bytes": 0, "findings": 0}
        self.add(capture_news(capture_id, step, ordered_by=by, **fields, **empty))
        return capture_id

    def change(self, capture_id: str, **changes: Any) -> None:
        self.add(msgspec.structs.replace(self.all[capture_id], **changes))

    def play(self, seconds: float) -> None:
        """Those that were ordered begin, and those that run go on, to their end."""
        for capture_id, news in list(self.all.items()) if seconds > 0 else []:
            if news.step is CaptureStep.ORDERED:
                self.change(capture_id, step=CaptureStep.RUNNING, target="/dev/sda, Samsung SSD", disk_size=DISK_SIZE)
            elif news.step is CaptureStep.RUNNING:
                done = min(1.0, news.done + seconds / SECONDS)
                read = int(done * USED_SHARE * news.disk_size)
                self.change(capture_id, done=done, read_bytes=read, sent_bytes=read // 4)
                if done == 1.0:
                    self.kept.append((news.image, news.is_backup))
                    self.change(capture_id, step=CaptureStep.DONE, version=1)

    def news(self, generation: str, sequence: int) -> list[CapturesNews]:
        told = list(self.all.values())
        pages = max(1, -(-len(told) // PAGE_LENGTH))
        return [
            CapturesNews(
                generation=generation,
                sequence=sequence,
                page=page,
                pages=pages,
                captures=tuple(told[page * PAGE_LENGTH : (page + 1) * PAGE_LENGTH]),
            )
            for page in range(pages)
        ]


class PlayedOrders:
    """The broadcaster's side: notes each order, and carries it out on ``captures`` where there are any.

    ``heard`` gives the time and raises where nobody hears orders; ``told`` is called when something has changed.
    """

    def __init__(
        self,
        captures: PlayedCaptures | None = None,
        heard: Callable[[], float] = lambda: 0.0,
        told: Callable[[], object] = lambda: None,
    ) -> None:
        self.given: list[tuple[AnyCommand, str]] = []
        self._captures = captures
        self._heard = heard
        self._told = told

    async def order(self, command: AnyCommand, operator: str) -> dict[str, Any]:
        """Note it, and carry it out."""
        at = self._heard()
        answer = self._carried_out(command, operator, at)
        self._told()
        return answer

    def _carried_out(self, command: AnyCommand, operator: str, at: float) -> dict[str, Any]:
        self.given.append((command, operator))
        match command:
            case CaptureMachine():
                return {"capture_id": self._begin(command.machine, command.image, operator, at)}
            case BackUpMachines():
                return {"capture_ids": self._back_up(command.machines, operator, at)}
            case DecideCapture() if self._captures is not None:
                step = CaptureStep.ORDERED if command.is_allowed else CaptureStep.REFUSED
                reason = "" if command.is_allowed else f"refused by {operator}"
                self._captures.change(command.capture_id, step=step, reason=reason, ordered_by=operator)
            case StopCapture() if self._captures is not None:
                reason = f"stopped by {operator}"
                self._captures.change(command.capture_id, step=CaptureStep.FAILED, reason=reason)
            case FetchFindings():
                known = {} if self._captures is None else self._captures.findings
                return {"findings": known.get(command.capture_id, [FINDING])}
        return {}

    def _begin(self, machine: str, image: str, operator: str, at: float, *, is_backup: bool = False) -> str:
        if self._captures is None:
            return RUNNING
        if len(self._captures.all) >= MOST_OPEN:
            raise RefusedError(f"{MOST_OPEN} captures are open already: wait until some have ended")
        return self._captures.begin(machine, image, operator, at, is_backup=is_backup)

    def _back_up(self, machines: Iterable[str], operator: str, at: float) -> list[str]:
        return [self._begin(each, backup_name(each), operator, at, is_backup=True) for each in machines]


def with_captures(fleet: Callable[[], FleetView]) -> Callable[[], FleetView]:
    """The same picture with captures in it."""
    return lambda: dataclasses.replace(fleet(), captures=CAPTURES)
