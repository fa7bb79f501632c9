import asyncio

import pytest

from protocol.errors import LibraryError, MessageError, RefusedError, TransportError
from receiver.capture import patience
from receiver.capture.patience import patiently


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SHORTEST_WAIT", 0.0001)
    monkeypatch.setattr(patience, "LONGEST_WAIT", 0.0002)


class Asked:
    """Raises one after the other of what it was given, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.said: list[str] = []

    async def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    def patiently(self, seconds: float = 5.0) -> str:
        return asyncio.run(patiently(self, self.said.append, seconds))


def test_an_answer_at_once_says_nothing() -> None:
    asked = Asked()
    assert asked.patiently() == "answer"
    assert not asked.said


def test_each_reason_is_said_once_and_then_that_it_goes_on() -> None:
    asked = Asked(TransportError("away"), TransportError("away"), LibraryError("full"), TransportError("away"))
    assert asked.patiently() == "answer"
    assert asked.said == ["away", "full", "away", ""]


@pytest.mark.parametrize("error", [RefusedError("no"), MessageError("nonsense"), ValueError("ours")])
def test_what_stays_the_same_is_not_asked_again(error: Exception) -> None:
    asked = Asked(error)
    with pytest.raises(type(error)):
        asked.patiently()
    assert not asked.said


def test_it_ends() -> None:
    with pytest.raises(TransportError, match="away"):
        Asked(*[TransportError("away")] * 100_000).patiently(0.01)
