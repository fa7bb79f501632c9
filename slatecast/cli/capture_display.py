"""A capture on the screen of its machine: what was found, one bar, and lines for what it waits for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from protocol.capture import CaptureState, CaptureStep, Finding
from receiver.capture.run import CaptureNews
from slatecast.cli.progress import progress_bars
from slatecast.cli.words import bytes_in_words


@contextmanager
def capture_display(console: Console) -> Iterator[Callable[[CaptureNews], None]]:
    """A callback for ``run_capture`` that shows on this console whatever is new."""
    findings: tuple[Finding, ...] = ()
    waits_for = ""

    with progress_bars(console) as show:

        def shown(news: CaptureNews) -> None:
            nonlocal findings, waits_for
            if news.findings != findings:
                findings = news.findings
                for finding in findings:
                    print_line(console, finding_in_words(finding))
            if news.waits_for != waits_for:
                waits_for = news.waits_for
                print_line(console, f"waiting: {waits_for}" if waits_for else "goes on")
            if news.total_bytes:
                show(news.doing, news.read_bytes, news.total_bytes)

        yield shown


def finding_in_words(finding: Finding) -> str:
    """One line: ``warning [machine-id] partition 2: ...``."""
    return f"{finding.kind} [{finding.code}] {finding.where}: {finding.text}"


def end_in_words(state: CaptureState, news: CaptureNews) -> str:
    """How it went, in one line."""
    if state.step is CaptureStep.DONE:
        sent = f"{bytes_in_words(news.read_bytes)} read, {bytes_in_words(news.sent_bytes)} sent"
        if state.is_unchanged:
            return f"the disk is the same as {state.image}@{state.version}, which is in the library already; {sent}"
        return f"captured as {state.image}@{state.version}: {sent}"
    verb = "was refused" if state.step is CaptureStep.REFUSED else "has failed"
    return f"the capture of {state.image} {verb}: {state.reason or 'no reason was given'}"


def print_line(console: Console, text: str) -> None:
    """One line, however long: what reads a log looks for whole lines."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
