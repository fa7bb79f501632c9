"""What one input must not do to a parser: raise anything undocumented, or take long."""

import time
from typing import Final

from protocol.errors import ConfigError, SlatecastError
from tests.fuzz.targets import Target

LONGEST: Final = 0.010
"""[s] of one thread for the worst input: at the 100 a second that a peer may say, what it costs others stays small."""

TRIES: Final = 5
"""The fastest counts: the others had company."""


class UnprintableError(Exception):
    """The text of an error goes to an operator's terminal: it may not hold what a peer wants to do there."""


def play(target: Target, data: bytes) -> None:
    """Run the parser; an error that is not documented leaves, and so does one that would upset a terminal."""
    try:
        target.run(data)
    except SlatecastError as error:
        if not isinstance(error, target.errors):
            raise
        if not isinstance(error, ConfigError) and not str(error).isprintable():  # else it quotes the operator
            raise UnprintableError(repr(error)) from error
    except target.errors:
        return


def seconds_for(target: Target, data: bytes) -> float:
    """CPU time of the fastest of several tries; one if that is fast enough."""
    best = float("inf")
    for _ in range(TRIES):
        began = time.thread_time()
        play(target, data)
        best = min(best, time.thread_time() - began)
        if best < LONGEST:
            break
    return best
