import re
from pathlib import Path

import pytest

from protocol.configuration import StepState
from protocol.messages import ReceiverState
from slatecast.seat.events import (
    INTERRUPTED,
    Afterwards,
    BroadcasterSeen,
    CaptureEnded,
    CaptureProgressed,
    ConfigurationEnded,
    DoorFound,
    Enrolled,
    Event,
    Joined,
    KeyPressed,
    NetworkSeen,
    Refused,
    RestoreAnswered,
    Searching,
    SessionEnded,
    SessionSeen,
    StepReported,
    Stumbled,
    TargetSeen,
    WordsShown,
    WorkSeen,
)
from slatecast.seat.log_lines import LogLines
from tests.slatecast.seat.facts import NETWORK, TARGET, TSI, session, work

OPERATIONS = Path(__file__).parents[3] / "docs/operations.md"

LINES: list[tuple[Event, str]] = [
    (NETWORK, "network eth0 192.0.2.7 1000 Mbit/s"),
    (NetworkSeen("eth0", "192.0.2.7", has_link=True), "network eth0 192.0.2.7 speed unknown"),
    (NetworkSeen("eth0", has_link=True), "network without an address"),
    (NetworkSeen("eth0"), "no network"),
    (Searching("nobody answers"), "no broadcaster: nobody answers"),
    (DoorFound("192.0.2.1:8884"), "found 192.0.2.1:8884"),
    (WordsShown(("apple", "river", "stone", "wolf")), "words apple river stone wolf"),
    (Refused("the operator has refused"), "not enrolled: the operator has refused"),
    (Enrolled(), "enrolled"),
    (Joined(), "joined"),
    (BroadcasterSeen(is_there=False), "the broadcaster is away"),
    (TARGET, "target /dev/sda (Samsung 980, nvme, 512.1 GB)"),
    (TargetSeen("auto", fault="fits 2 disks"), "no target: auto: fits 2 disks"),
    (work(), "seat pc-14"),
    (SessionSeen(session(ReceiverState.PLANNED)), "state planned"),
    (SessionSeen(session(ReceiverState.ARMING)), "state arming"),
    (SessionSeen(session(done=0.429)), "state receiving 42 %"),
    (SessionSeen(session(stage="scanning", done=0.5)), "state scanning 50 %"),
    (SessionEnded(TSI, ReceiverState.VERIFIED, ""), "verified"),
    (SessionEnded(TSI, ReceiverState.REFUSED, "/dev/sda: is too small"), "refused: /dev/sda: is too small"),
    (SessionEnded(TSI, ReceiverState.FAILED, ""), "failed"),
    (SessionEnded(TSI, ReceiverState.FAILED, "/dev/sda: broken"), "failed: /dev/sda: broken"),
    (SessionEnded(TSI, ReceiverState.DAMAGED, "no"), "damaged: no"),
    (
        SessionEnded(TSI, ReceiverState.RECEIVING, "the broadcaster fell silent"),
        "session over: the broadcaster fell silent",
    ),
    (CaptureProgressed(0.421), "capture 42 %"),
    (CaptureProgressed(0.421, "sending", "the library is full"), "capture waits: the library is full"),
    (CaptureEnded("1" * 16), "capture done"),
    (CaptureEnded("1" * 16, "the library is full"), "capture failed: the library is full"),
    (CaptureEnded("1" * 16, INTERRUPTED, may_try_again=True), "capture interrupted"),
    (StepReported("hostname", StepState.DONE, "pc-14"), "step hostname done: pc-14"),
    (StepReported("grow", StepState.RUNNING), "step grow running"),
    (ConfigurationEnded(Afterwards.RESTART), "configured"),
    (ConfigurationEnded(Afterwards.RESTART, is_configured=False), "nothing to configure"),
    (ConfigurationEnded(Afterwards.STAY, "grow: no space"), "not configured: grow: no space"),
    (RestoreAnswered(), "restore asked for"),
    (RestoreAnswered("the room allows none"), "restore refused: the room allows none"),
    (Stumbled("no disk"), "error: no disk"),
]


@pytest.mark.parametrize(("event", "line"), LINES, ids=[line for _, line in LINES])
def test_each_change_has_its_line(event: Event, line: str) -> None:
    log = LogLines()
    assert list(log.lines(event)) == [line]
    assert list(log.lines(event)) == []


@pytest.mark.parametrize(
    "event", [KeyPressed("a"), WorkSeen(None), SessionSeen(None), Searching(), BroadcasterSeen(is_there=True)]
)
def test_what_changes_nothing_has_none(event: Event) -> None:
    assert list(LogLines().lines(event)) == []


def test_a_line_comes_again_after_another_one_of_its_kind() -> None:
    log = LogLines()
    events: list[Event] = [Joined(), Searching(), Joined()]
    assert [list(log.lines(event)) for event in events] == [["joined"], [], ["joined"]]


def test_what_a_stranger_wrote_does_nothing_to_a_terminal() -> None:
    (line,) = LogLines().lines(SessionEnded(TSI, ReceiverState.FAILED, "\x1b]0;x\x07\nslatecast: verified"))
    assert line.isprintable()
    assert line.startswith("failed: ")


def test_the_table_of_lines_is_whole() -> None:
    table = OPERATIONS.read_text(encoding="utf-8").partition("Lines of a seat's log")[2].partition("\n#")[0]
    documented = re.findall(r"^\| `slatecast: ([^`]+)` \|", table, re.M)
    patterns = [re.sub(r"[A-Z]{2,}", ".+", re.escape(each)) for each in documented]
    for _, line in LINES:
        assert any(re.fullmatch(pattern, line) for pattern in patterns), f"{line!r} is in no row"
    others = {"started", "restarting", "powering off", "note: x"}
    for pattern in patterns:
        assert any(re.fullmatch(pattern, line) for line in others | {line for _, line in LINES}), pattern
