from protocol.configuration import StepState
from receiver.configure.outcome import done, failed, skipped


def test_outcomes() -> None:
    assert done("text") == (StepState.DONE, "text")
    assert skipped("text") == (StepState.SKIPPED, "text")
    assert failed("text") == (StepState.FAILED, "text")
