import pytest

from broadcaster.host.happenings import RATE_PATIENCE, Happenings
from protocol.messages import SessionPhase
from protocol.operators import MAX_HAPPENINGS, SeatNews, SessionNews, SessionStep, Severity
from tests.broadcaster.host.played_session import seat_news, session_news
from tests.sample_messages import receiver_id

AT = 1.7e9
WAITING = session_news(SessionStep.WAITING, phase=SessionPhase.WAITING)


class Story:
    """What is told from look to look, one second apart."""

    def __init__(self) -> None:
        self.happenings = Happenings()
        self._at = AT
        self.look(session=WAITING)

    def look(self, *seats: SeatNews, session: SessionNews | None = None, seconds: float = 1.0) -> list[str]:
        """The new lines of this look."""
        self._at += seconds
        before = self.happenings.newest()
        has_happened = self.happenings.look(session or WAITING, seats, self._at)
        after = self.happenings.newest()
        assert has_happened == (before != after)
        return [each.text for each in after[len(before) :]]

    @property
    def last(self) -> tuple[str, Severity, str | None]:
        newest = self.happenings.newest()[-1]
        return newest.text, newest.severity, newest.receiver_id


@pytest.fixture
def story() -> Story:
    return Story()


def test_nothing_is_told_twice(story: Story) -> None:
    assert story.look(seat_news()) == ["PC 1 joined"]
    assert story.look(seat_news()) == []
    assert story.look(seat_news(), seat_news(2)) == ["PC 2 joined"]


@pytest.mark.parametrize(
    ("outcome", "text", "severity"),
    [
        ("arming", "PC 1 counts down to its first write: why", Severity.INFO),
        ("verified", "PC 1 is written, read back and verified: why", Severity.GOOD),
        ("refused", "PC 1 refused: why", Severity.ERROR),
        ("failed", "PC 1 failed: why", Severity.ERROR),
        ("damaged", "PC 1 is damaged: why", Severity.ERROR),
        ("lost", "PC 1 is lost: why", Severity.WARNING),
        ("stalled", "PC 1 is stuck: why", Severity.WARNING),
        ("incomplete", "PC 1 cannot be completed: why", Severity.ERROR),
    ],
)
def test_what_becomes_of_a_seat(story: Story, outcome: str, text: str, severity: Severity) -> None:
    story.look(seat_news(outcome="ready"))
    assert story.look(seat_news(outcome=outcome, reason="why")) == [text]
    assert story.last == (text, severity, receiver_id(1))
    assert story.look(seat_news(outcome=outcome, reason="another")) == []


@pytest.mark.parametrize("outcome", ["ready", "receiving", "verifying", "planned", "aborted"])
def test_what_every_seat_does_is_not_told(story: Story, outcome: str) -> None:
    story.look(seat_news(outcome="ready"))
    assert story.look(seat_news(outcome=outcome)) == []


def test_who_was_away_is_back(story: Story) -> None:
    story.look(seat_news())
    story.look(seat_news(outcome="lost"))
    assert story.look(seat_news()) == ["PC 1 is back"]
    story.look(seat_news(outcome="stalled"))
    assert story.look(seat_news(outcome="verified")) == ["PC 1 is written, read back and verified"]


def test_a_machine_that_was_restarted_returns(story: Story) -> None:
    story.look(seat_news())
    assert story.look(seat_news(receiver_id=receiver_id(9))) == ["PC 1 returned after a restart"]
    assert story.last[2] == receiver_id(9)


def test_a_seat_that_never_came_is_no_news_before_it_comes(story: Story) -> None:
    assert story.look(seat_news(outcome="absent", reason="has not come")) == []
    assert story.look(seat_news(outcome="refused", reason="mounted")) == ["PC 1 joined", "PC 1 refused: mounted"]


def test_why_a_seat_is_slow_and_when_it_no_longer_is(story: Story) -> None:
    story.look(seat_news())
    assert story.look(seat_news(is_on_catch_up=True, reason="its disk is slow")) == [
        "PC 1 catches up by itself: its disk is slow"
    ]
    assert story.look(seat_news()) == ["PC 1 is back with the others"]
    story.look(seat_news(is_on_catch_up=True))
    assert story.look(seat_news(outcome="verified")) == ["PC 1 is written, read back and verified"]


def test_of_a_whole_room_one_sentence_is_said(story: Story) -> None:
    seats = [seat_news(number) for number in range(30)]
    (line,) = story.look(*seats)
    assert line.startswith("30 seats (PC 0, PC 1, ")
    assert line.endswith("PC 29) joined")
    long = [seat_news(number, seat="x" * 60, outcome="failed", reason=f"disk {number % 2}") for number in range(30)]
    lines = story.look(*long)
    assert [line.partition(" (")[0] for line in lines] == ["15 seats", "15 seats"]
    assert lines[0].endswith(" and 11 more) failed: disk 0")
    assert story.last[2] is None


def test_an_alarm_is_told_once_whoever_raises_it(story: Story) -> None:
    story.look(seat_news(), seat_news(2))
    alarm = "false symbols; 3 blocks, from 192.0.2.9"
    assert story.look(seat_news(alarm=alarm), seat_news(2, alarm="false symbols; 4 blocks")) == [
        f"ALARM at PC 1: {alarm}"
    ]
    assert story.look(seat_news(alarm="false symbols; 9 blocks")) == []


def test_steps_of_the_rate_are_told_with_their_reason_and_not_too_often(story: Story) -> None:
    def at_rate(mbit: int, seconds: float = 1.0) -> list[str]:
        session = session_news(rate_bits_per_second=mbit * 10**6, rate_reason="PC 7 loses 4 %")
        return story.look(session=session, seconds=seconds)

    assert at_rate(900) == ["sending began at 900 Mbit/s"]
    assert at_rate(800, RATE_PATIENCE) == []
    assert at_rate(500) == ["rate down from 900 to 500 Mbit/s: PC 7 loses 4 %"]
    assert at_rate(100) == []
    assert at_rate(100, RATE_PATIENCE) == ["rate down from 500 to 100 Mbit/s: PC 7 loses 4 %"]
    assert at_rate(900, RATE_PATIENCE) == ["rate up from 100 to 900 Mbit/s"]
    assert story.look(session=session_news(SessionStep.PAUSED, rate_bits_per_second=1), seconds=RATE_PATIENCE) == []


def test_beginning_and_end_of_a_session(story: Story) -> None:
    assert story.look() == []
    assert story.look(session=session_news()) == ["sending began at 900 Mbit/s"]
    seats = seat_news(outcome="verified"), seat_news(2, outcome="failed", reason="x")
    over = session_news(SessionStep.ENDED, phase=SessionPhase.ENDED, end_reason="every seat is settled")
    assert story.look(*seats, session=over)[-1] == "session ended with 1 of 2 seats verified: every seat is settled"
    assert story.last[1] is Severity.WARNING
    assert story.look(*seats, session=over) == []


def test_a_session_that_is_over_before_the_next_look_began_as_well(story: Story) -> None:
    over = session_news(SessionStep.ENDED, phase=SessionPhase.ENDED, position=5, end_reason="done")
    began, ended = story.look(session=over)
    assert (began, ended) == ("sending began at 900 Mbit/s", "session ended with 0 of 0 seats verified: done")
    dropped = Story()
    over = session_news(SessionStep.ENDED, phase=SessionPhase.ENDED, end_reason="anna dropped the plan")
    assert dropped.look(session=over) == ["session ended with 0 of 0 seats verified: anna dropped the plan"]


def test_a_session_in_which_all_are_verified_ends_well(story: Story) -> None:
    story.look(seat_news(outcome="verified"), session=session_news(SessionStep.ENDED, end_reason="done"))
    assert story.last[:2] == ("session ended with 1 of 1 seats verified: done", Severity.GOOD)


def test_seats_of_before_a_restart_do_not_join_again(story: Story) -> None:
    story.happenings.take_over([seat_news()])
    assert story.look(seat_news(), seat_news(2)) == ["PC 2 joined"]


def test_only_so_many_are_kept_and_none_is_too_long(story: Story) -> None:
    for number in range(MAX_HAPPENINGS + 5):
        story.happenings.note(f"{number} {'x' * 500}", AT)
    newest = story.happenings.newest()
    assert len(newest) == MAX_HAPPENINGS
    assert (newest[0].text[:2], len(newest[0].text)) == ("5 ", 400)
