from dataclasses import replace

import pytest

from protocol.configuration import StepState
from protocol.messages import ReceiverState
from slatecast.seat.boot_arguments import SeatMode
from slatecast.seat.events import (
    INTERRUPTED,
    Afterwards,
    BroadcasterSeen,
    CaptureEnded,
    CaptureProgressed,
    ConfigurationEnded,
    DoorFound,
    Event,
    NetworkSeen,
    Refused,
    RestoreAnswered,
    Searching,
    SessionEnded,
    SessionSeen,
    StepReported,
    TargetSeen,
    WordsAsked,
    WordsShown,
)
from slatecast.seat.screen_model import ScreenModel, Tone
from slatecast.seat.seat_state import SeatState
from slatecast.seat.seat_words import SeatWords
from tests.slatecast.seat.facts import NETWORK, OFFER, ORDER, TSI, joined, press, session, work

WORDS = ("theme", "mandate", "search", "account")


def shown(state: SeatState, now: float = 0.0) -> ScreenModel:
    return SeatWords("aa:bb:cc:dd:ee:0f").model(state, now)


def after(*events: Event, mode: SeatMode = SeatMode.RECEIVE) -> ScreenModel:
    """What a joined seat shows after these."""
    return shown(joined(SeatState(mode), *events))


def before(*events: Event) -> ScreenModel:
    """The same of one that is not joined yet."""
    state = SeatState()
    for event in events:
        state.handle(event, 0.0)
    return shown(state)


@pytest.mark.parametrize(
    ("events", "headline", "sentence"),
    [
        ([], "no network", "No cable has a link: look at the cable and the switch port"),
        ([NetworkSeen("eth0", has_link=True)], "no address", "Waiting for an address by DHCP on eth0"),
        ([NETWORK, Searching()], "searching", "Looking for a broadcaster"),
        ([NETWORK, DoorFound("b:1")], "joining", "Asking the broadcaster at b:1 to be let in"),
        ([NETWORK, WordsShown(WORDS)], "waiting", "The operator's screen must show these words; he lets this PC in"),
        (
            [NETWORK, WordsShown(WORDS), WordsAsked()],
            "same words?",
            "Does the operator's screen show the same words? Y the same, N others",
        ),
    ],
)
def test_on_the_way(events: list[Event], headline: str, sentence: str) -> None:
    model = before(*events)
    assert (model.headline, model.lines[0]) == (headline, sentence)
    assert model.seat == "aa:bb:cc:dd:ee:0f"


def test_why_it_is_not_joined_is_said() -> None:
    assert "nobody answers" in before(NETWORK, Searching("nobody answers")).lines
    assert "the operator refused" in before(NETWORK, DoorFound("b:1"), Refused("the operator refused")).lines
    assert before(NETWORK, WordsShown(WORDS)).words == WORDS


@pytest.mark.parametrize(
    ("mode", "headline", "sentence"),
    [
        (SeatMode.RECEIVE, "ready", "Waiting for the operator"),
        (SeatMode.CAPTURE, "ready", "This machine can be captured: order it at the console"),
        (SeatMode.MENU, "menu", "Nothing can be chosen here now: the room allows no restore without an operator"),
    ],
)
def test_at_rest(mode: SeatMode, headline: str, sentence: str) -> None:
    model = after(mode=mode)
    assert (model.seat, model.room, model.headline, model.lines) == ("pc-14", "Lab 2", headline, (sentence,))
    assert model.keys == ("B boot from disk", "Q power off")
    assert model.footer == "eth0 192.0.2.7 1 Gbit/s  broadcaster 192.0.2.1:8884"


def test_what_is_wrong_with_the_network_or_the_disk() -> None:
    slow = replace(NETWORK, warning="The link of eth0 runs at 100 Mbit/s only")
    assert after(slow).lines == ("Waiting for the operator", slow.warning)
    assert after(NetworkSeen()).headline == "no network"
    assert after(NetworkSeen()).footer == "no network"
    model = after(TargetSeen("auto", fault="fits 2 disks, name one by serial=: a; b"))
    assert (model.headline, model.tone) == ("which disk?", Tone.ALARM)
    assert model.lines[0] == "auto: fits 2 disks, name one by serial=: a; b"
    assert after(BroadcasterSeen(is_there=False)).headline == "waiting"


@pytest.mark.parametrize(
    ("view", "headline", "tone", "sentence", "keys"),
    [
        (
            session(ReceiverState.ARMING, seconds_left=7),
            "stop? 7 s",
            Tone.ALARM,
            "Overwriting this disk in 7 s: press A to stop",
            ("A stop",),
        ),
        (
            session(ReceiverState.PLANNED),
            "planned",
            Tone.WARNING,
            "Planned: nothing is written before the operator starts it",
            ("A stop", "B boot from disk", "Q power off"),
        ),
        (
            session(ReceiverState.READY),
            "waiting",
            Tone.BUSY,
            "Overwriting this disk when the image comes: press A to stop",
            ("A stop",),
        ),
        (
            session(ReceiverState.RECEIVING, done=0.429),
            "writing 42 %",
            Tone.BUSY,
            "Image classroom, version 3, to /dev/sda",
            ("A stop",),
        ),
        (
            session(ReceiverState.VERIFYING, done=0.5),
            "checking 50 %",
            Tone.BUSY,
            "Image classroom, version 3, to /dev/sda",
            (),
        ),
        (
            session(ReceiverState.RECEIVING, stage="scanning", done=0.5),
            "comparing 50 %",
            Tone.BUSY,
            "Image classroom, version 3, to /dev/sda",
            ("A stop",),
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_session(view: object, headline: str, tone: Tone, sentence: str, keys: tuple[str, ...]) -> None:
    model = after(SessionSeen(view))  # type: ignore[arg-type]  # a mixed table
    assert (model.headline, model.tone, model.lines[0], model.keys) == (headline, tone, sentence, keys)


def test_progress_and_what_is_left_of_it() -> None:
    state, words = joined(SeatState()), SeatWords("x")
    state.handle(SessionSeen(session(done=0.1)), 0.0)
    assert words.model(state, 0.0).progress_text == "10 %"
    state.handle(SessionSeen(session(done=0.6)), 100.0)
    model = words.model(state, 100.0)
    assert (model.progress, model.progress_text) == (0.6, "60 %, about 1 min 20 s left")


@pytest.mark.parametrize(
    ("ended", "headline", "lines"),
    [
        (ReceiverState.REFUSED, "refused", ("Nothing was written", "why")),
        (ReceiverState.FAILED, "failed", ("This disk is incomplete and does not boot", "why")),
        (ReceiverState.DAMAGED, "damaged", ("This disk is incomplete and does not boot", "why")),
        (ReceiverState.RECEIVING, "broken off", ("This disk is incomplete and does not boot", "why")),
        (ReceiverState.ARMING, "broken off", ("Nothing was written", "why")),
        (ReceiverState.PLANNED, "ready", ("Waiting for the operator",)),
    ],
)
def test_how_a_session_ended(ended: ReceiverState, headline: str, lines: tuple[str, ...]) -> None:
    model = after(SessionEnded(TSI, ended, "why"))
    assert (model.headline, model.lines) == (headline, lines)


def test_from_verified_to_the_restart() -> None:
    state = joined(SeatState(), SessionEnded(TSI, ReceiverState.VERIFIED, ""))
    assert shown(state).headline == "configuring"
    state.handle(StepReported("grow", StepState.RUNNING), 0.0)
    assert shown(state).lines == ("grow running",)
    state.handle(StepReported("grow", StepState.DONE, "partition 3 has 499 GB"), 0.0)
    assert shown(state).lines == ("grow done: partition 3 has 499 GB",)
    state.handle(ConfigurationEnded(Afterwards.RESTART), 0.0)
    model = shown(state, 3.0)
    assert (model.headline, model.tone, model.lines) == (
        "done",
        Tone.GOOD,
        ("This PC restarts in 7 s: any key keeps it on",),
    )
    press(state, "x", 4.0)
    assert shown(state, 4.0).lines == ("This disk is written and verified",)


def test_a_step_that_failed_is_shown_until_somebody_looks() -> None:
    state = joined(SeatState(), SessionEnded(TSI, ReceiverState.VERIFIED, ""))
    state.handle(ConfigurationEnded(Afterwards.STAY, "grow: no space"), 0.0)
    model = shown(state)
    assert (model.tone, model.lines) == (Tone.WARNING, ("This disk is written and verified", "grow: no space"))


def test_a_capture_and_its_end() -> None:
    state = joined(SeatState(), work(capture=ORDER))
    state.handle(CaptureProgressed(0.25, "sending"), 1.0)
    model = shown(state)
    assert (model.headline, model.progress, model.progress_text) == ("capture", 0.25, "25 %")
    assert model.lines == ("This disk is read into the image classroom", "sending")
    assert model.keys[0] == "A stop"
    state.handle(CaptureProgressed(0.25, "sending", "the library is full"), 1.0)
    assert shown(state).lines[1] == "It waits: the library is full"
    press(state, "a")
    assert shown(state).question == "Stop the capture of this disk? Y yes, any other key no"
    state.handle(CaptureEnded(ORDER.capture_id, "the library is full"), 2.0)
    assert "Not captured: the library is full" in shown(state).lines
    state.handle(CaptureEnded(ORDER.capture_id, INTERRUPTED, may_try_again=True), 3.0)
    assert any(line.startswith("The capture was interrupted: it goes on") for line in shown(state).lines)


def test_a_restore_shows_what_it_would_bring() -> None:
    state = joined(SeatState(SeatMode.MENU), work(restore=OFFER))
    model = shown(state)
    assert model.lines == ("R puts classroom, version 3 of 2026-11-20, on this disk",)
    assert model.keys[0] == "R restore this PC"
    press(state, "r")
    model = shown(state)
    assert model.question.startswith("Overwrite this disk with classroom, version 3 of 2026-11-20? All files on it")
    assert model.keys == ()
    press(state, "n")
    state.handle(RestoreAnswered("somebody else uses the room"), 1.0)
    assert "Not restored: somebody else uses the room" in shown(state).lines
    state.handle(RestoreAnswered(), 1.0)
    assert shown(state).lines == ("Asked for: the restore begins soon",)


def test_what_strangers_wrote_does_nothing_to_the_screen() -> None:
    evil = "\x1b[2J\n\x07" + "x" * 500
    model = after(
        work(seat=evil[:60], room=evil[:60], notice=evil[:390]), SessionSeen(session(reason=evil, image=evil))
    )
    for text in (model.seat, model.room, model.headline, model.question, model.footer, *model.lines, *model.keys):
        assert text.isprintable()
        assert len(text) <= 400
