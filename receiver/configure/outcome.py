"""How a step ended that could be carried out."""

from typing import NamedTuple

from protocol.configuration import StepState


class Outcome(NamedTuple):
    """What is reported of it."""

    state: StepState
    """DONE, SKIPPED or FAILED"""
    text: str


def done(text: str) -> Outcome:
    """The disk is as it should be, and was not before."""
    return Outcome(StepState.DONE, text)


def skipped(text: str) -> Outcome:
    """There was nothing to do."""
    return Outcome(StepState.SKIPPED, text)


def failed(text: str) -> Outcome:
    """What the step is for went wrong by itself; ``text`` says how, and leaves out what the step is called."""
    return Outcome(StepState.FAILED, text)
