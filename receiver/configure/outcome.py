"""How a step ended that did not fail."""

from typing import NamedTuple

from protocol.configuration import StepState


class Outcome(NamedTuple):
    """What is reported of it."""

    state: StepState
    """DONE or SKIPPED"""
    text: str


def done(text: str) -> Outcome:
    """The disk is as it should be, and was not before."""
    return Outcome(StepState.DONE, text)


def skipped(text: str) -> Outcome:
    """There was nothing to do."""
    return Outcome(StepState.SKIPPED, text)
