import asyncio
from typing import Any

import pytest

from dashboards import record_keeper
from dashboards.fleet.views import SeatView, SessionView
from dashboards.record_keeper import RecordKeeper
from protocol.errors import RefusedError, TransportError
from protocol.operators import SessionStep
from tests.dashboards.fleet.news import session_view

REPORT = {"session": "0123456789abcdef"}
pytestmark = pytest.mark.asyncio


class Listener:
    """Whoever is told, and a broadcaster that has the report after a few attempts."""

    def __init__(self, failures: int = 0) -> None:
        self.sessions = [session_view("receiving", "receiving")]
        self.ended: list[dict[str, Any] | None] = []
        self.failed: list[str] = []
        self.attempts = 0
        self.is_complete = asyncio.Event()
        self._failures = failures

    async def fetch(self, tsi: str) -> dict[str, Any]:
        self.attempts += 1
        if self.attempts <= self._failures:
            raise RefusedError("it is not signed yet") if self.attempts % 2 else TransportError("nobody answers")
        return REPORT

    def on_ended(self, view: SessionView, report: dict[str, Any] | None) -> None:
        self.ended.append(report)
        if report is not None:
            self.is_complete.set()

    def on_failed(self, view: SessionView, seat: SeatView) -> None:
        self.failed.append(seat.name)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_keeper, "LONGEST_WAIT", 0.001)
    monkeypatch.setattr(record_keeper, "LOOK_INTERVAL", 0.001)


def keeper(listener: Listener) -> RecordKeeper:
    return RecordKeeper(
        lambda: listener.sessions,
        listener.fetch,
        on_ended=(broken, listener.on_ended),
        on_failed=(broken, listener.on_failed),
    )


def broken(*_: object) -> None:
    raise RuntimeError("the mail server is on fire")


@pytest.mark.parametrize("failures", [0, 3])
async def test_a_session_is_recorded_at_once_and_again_with_its_report(failures: int) -> None:
    listener = Listener(failures)
    async with keeper(listener), asyncio.timeout(10):
        await asyncio.sleep(0)
        listener.sessions = [session_view("failed", "verified", step=SessionStep.ENDED)]
        await listener.is_complete.wait()
    assert listener.ended == [None, REPORT]
    assert listener.failed == ["01"]
    assert listener.attempts == failures + 1


async def test_a_report_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_keeper, "REPORT_ATTEMPTS", 3)
    listener = Listener(failures=99)
    listener.sessions = [session_view("verified", step=SessionStep.ENDED)]
    async with keeper(listener) as running, asyncio.timeout(10):
        await asyncio.sleep(0)
        running.look()
        await asyncio.gather(*running._fetching)
    assert (listener.ended, listener.attempts) == ([None], 3)


async def test_what_ends_while_the_console_ends_is_recorded() -> None:
    listener = Listener()
    async with keeper(listener):
        await asyncio.sleep(0)
        listener.sessions = [session_view("verified", step=SessionStep.ENDED)]
    assert listener.ended == [None]


async def test_a_picture_that_cannot_be_looked_at() -> None:
    listener = Listener()

    def fail() -> list[SessionView]:
        raise RuntimeError("no picture")

    watch = RecordKeeper(fail, listener.fetch)
    watch.look()
