import io

import pytest
from rich.console import Console

from protocol.capture import CaptureState, CaptureStep, Finding, FindingKind
from receiver.capture.run import CaptureNews
from slatecast.cli.capture_display import capture_display, end_in_words, finding_in_words

FINDING = Finding(kind=FindingKind.WARNING, code="machine-id", where="partition [2]", text="empty it")
STATE = CaptureState(capture_id="0" * 16, step=CaptureStep.DONE, image="lab", version=3)
NEWS = CaptureNews("sending", read_bytes=2_000_000, total_bytes=4_000_000, sent_bytes=1_000_000)


def shown(*news: CaptureNews, terminal: bool = False) -> str:
    screen = io.StringIO()
    with capture_display(Console(file=screen, force_terminal=terminal, width=60)) as show:
        for each in news:
            show(each)
    return screen.getvalue()


def test_findings_and_waiting_are_lines_said_once() -> None:
    with_finding = CaptureNews("looking", findings=(FINDING,))
    waiting = CaptureNews("sending", findings=(FINDING,), waits_for="the library is full " * 5)
    lines = shown(CaptureNews("looking"), with_finding, with_finding, waiting, waiting, with_finding).splitlines()
    assert lines == [
        "warning [machine-id] partition [2]: empty it",
        f"waiting: {'the library is full ' * 5}",
        "goes on",
    ]


def test_a_terminal_has_a_bar() -> None:
    assert "sending" in shown(NEWS, terminal=True)
    assert not shown(NEWS)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (STATE, "captured as lab@3: 2.0 MB read, 1.0 MB sent"),
        (
            CaptureState(capture_id="0" * 16, step=CaptureStep.DONE, image="lab", version=3, is_unchanged=True),
            "the same",
        ),
        (CaptureState(capture_id="0" * 16, step=CaptureStep.REFUSED, image="lab", reason="no"), "was refused: no"),
        (CaptureState(capture_id="0" * 16, step=CaptureStep.FAILED, image="lab"), "has failed: no reason was given"),
    ],
)
def test_how_it_went(state: CaptureState, words: str) -> None:
    assert words in end_in_words(state, NEWS)
    assert "\n" not in end_in_words(state, NEWS)


def test_a_finding() -> None:
    assert finding_in_words(FINDING) == "warning [machine-id] partition [2]: empty it"
