"""Asking again: a capture outlasts a lost network, a restarted broadcaster and a library that is full for a while."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential,
    wait_random,
)

from protocol.errors import LibraryError, TransportError

Answer = TypeVar("Answer")

PATIENCE: Final = 1800.0
"""[s] for which one question is asked again: while an operator makes room in the library, or replaces a switch."""

SHORTEST_WAIT: Final = 0.5
"""[s] before the second try; doubled from try to try."""

LONGEST_WAIT: Final = 10.0
"""[s] between two tries: what somebody at the machine does not mind once it works again."""


async def patiently(
    ask: Callable[[], Awaitable[Answer]], on_wait: Callable[[str], object], patience: float = PATIENCE
) -> Answer:
    """The answer of ``ask``, tried again while nobody answers or the library is full.

    Args:
        ask: one try; what it asks must do no harm when it is asked twice.
        on_wait: told why it waits, once per reason, and the empty text when it goes on.
        patience: seconds, after which the last error is raised.

    Raises:
        TransportError, LibraryError: it did not get better in time.
    """
    said = ""

    def waiting(state: RetryCallState) -> None:
        nonlocal said
        error = state.outcome.exception() if state.outcome is not None else None
        if str(error) != said:
            said = str(error)
            on_wait(said)

    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type((TransportError, LibraryError)),
        wait=wait_exponential(multiplier=SHORTEST_WAIT, max=LONGEST_WAIT) + wait_random(0, SHORTEST_WAIT),
        stop=stop_after_delay(patience),
        before_sleep=waiting,
        reraise=True,
    ):
        with attempt:
            answer = await ask()
    if said:
        on_wait("")
    return answer
