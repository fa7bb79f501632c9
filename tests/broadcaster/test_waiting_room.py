import tracemalloc

import pytest
from msgspec.structs import replace

from broadcaster import waiting_room
from broadcaster.guess_limits import GUESS_RECOVERY, GUESSES, GUESSES_PER_ADDRESS
from broadcaster.waiting_room import (
    EXCHANGE_LIFETIME,
    MAX_EXCHANGES,
    MAX_EXCHANGES_PER_ADDRESS,
    MAX_PENDING_PER_ADDRESS,
    PENDING_SILENCE,
    Applicant,
    Left,
    RoomEvent,
    Settled,
    Waiting,
    WaitingRoom,
    WrongToken,
)
from protocol.enrolment import Refusal, VerdictState, sign_confirm
from protocol.errors import ConfigError, RefusedError, SignatureError
from tests.broadcaster.applicants import Candidate

TOKEN = "legalwinnerthankyear"


class Room:
    """A waiting room and what its operator was told."""

    def __init__(self) -> None:
        self.events: list[RoomEvent] = []
        self.room = WaitingRoom(self.events.append)

    def apply(self, candidate: Candidate, now: float = 0.0) -> Applicant:
        """Hello and Confirm, as the front door passes them on."""
        self.room.offered(candidate.exchange)
        return self.ask(candidate, now)

    def ask(self, candidate: Candidate, now: float) -> Applicant:
        """The Confirm, perhaps again."""
        applicant = self.room.confirmed(candidate.receiver_id, candidate.confirm, now)
        assert applicant is not None
        pairing = applicant.exchange.pairing
        if pairing is not None and self.room.may_judge(applicant, now):
            self.room.judged(applicant, pairing.key(candidate.hello.pairing), now)
        self.room.announce(applicant)
        return applicant

    def guess(self, count: int, address: str, period: float = 0.0) -> int:
        """Wrong tokens, each from a new exchange with a new key; an address that ends in : has a number added each."""
        sample = Candidate(1, token="9999", theirs="4711")
        judged = 0
        for number in range(count):
            now = number * period
            applicant = Applicant(
                receiver_id=f"{number:032x}",
                keys=sample.hello.keys,
                seat="",
                address=f"{address}{number:x}" if address.endswith(":") else address,
                words="",
                pending_since=now,
                exchange=sample.exchange,
                confirm=sample.confirm,
            )
            if self.room.may_judge(applicant, now):
                self.room.judged(applicant, None, now)
                judged += 1
        return judged


@pytest.fixture
def room() -> Room:
    return Room()


class TestOperator:
    def test_a_receiver_waits_with_the_words_of_its_screen(self, room: Room) -> None:
        candidate = Candidate(1, seat="row 3")
        applicant = room.apply(candidate, 7.0)
        assert applicant.state is VerdictState.PENDING
        assert (applicant.words, applicant.seat, applicant.pending_since) == (candidate.words, "row 3", 7.0)
        assert room.room.pending == (applicant,)
        assert room.events == [Waiting(applicant)]
        room.ask(candidate, 8.0)
        assert room.events == [Waiting(applicant)]

    def test_accepted_it_is_admitted_and_a_lost_answer_is_given_again(self, room: Room) -> None:
        candidate = Candidate(1)
        applicant = room.apply(candidate)
        room.room.accept(candidate.receiver_id)
        assert room.events[1:] == [Settled(applicant)]
        for now in (1.0, 5000.0):
            assert room.ask(candidate, now) is applicant
        assert applicant.state is VerdictState.ADMITTED
        assert (room.room.pending, room.room.admitted) == ((), (applicant,))

    def test_refused_it_stays_refused(self, room: Room) -> None:
        room.apply(Candidate(1))
        room.room.refuse(Candidate(1).receiver_id)
        again = room.apply(Candidate(1, exchange_number=1))
        assert (again.state, again.refusal) == (VerdictState.REFUSED, Refusal.OPERATOR)
        assert room.room.pending == ()

    def test_one_that_was_admitted_and_begins_anew_is_admitted(self, room: Room) -> None:
        first = room.apply(Candidate(1))
        room.room.accept(first.receiver_id)
        first.certificate = "a certificate"
        again = room.apply(Candidate(1, exchange_number=1))
        assert again.state is VerdictState.ADMITTED
        assert again.certificate == "a certificate"
        assert again.exchange.transcript != first.exchange.transcript

    def test_the_same_identity_with_other_keys_was_not_admitted(self, room: Room) -> None:
        room.apply(Candidate(1))
        room.room.accept(Candidate(1).receiver_id)
        other = Candidate(1, exchange_number=1)
        known = room.room.admitted[0]
        known.keys = Candidate(2).hello.keys
        assert room.apply(other).state is VerdictState.PENDING

    def test_a_room_is_accepted_when_the_count_matches(self, room: Room) -> None:
        for number in range(27):
            room.apply(Candidate(number))
        for count in (0, 26, 28, -1):
            with pytest.raises(ConfigError, match=f"27 receivers wait, not {count}: compare"):
                room.room.accept_all(count)
        assert len(room.room.pending) == 27
        room.room.accept_all(27)
        assert (len(room.room.pending), len(room.room.admitted)) == (0, 27)
        room.room.accept_all(0)

    @pytest.mark.parametrize("decide", [WaitingRoom.accept, WaitingRoom.refuse])
    def test_who_does_not_wait_is_not_decided_on(self, room: Room, decide: object) -> None:
        assert callable(decide)
        with pytest.raises(ConfigError, match="no receiver abc waits"):
            decide(room.room, "abc")
        room.apply(Candidate(1))
        room.room.accept(Candidate(1).receiver_id)
        with pytest.raises(ConfigError, match="waits"):
            decide(room.room, Candidate(1).receiver_id)
        assert room.room.admitted

    def test_who_asks_no_more_has_left(self, room: Room) -> None:
        staying, leaving = Candidate(1), Candidate(2)
        applicant = room.apply(staying)
        left = room.apply(leaving)
        room.ask(staying, PENDING_SILENCE - 1)
        room.room.expire(PENDING_SILENCE)
        assert room.room.pending == (applicant,)
        assert room.events[2:] == [Left(left)]
        assert room.room.confirmed(leaving.receiver_id, leaving.confirm, PENDING_SILENCE) is None


class TestProof:
    def test_a_confirm_without_its_hello_is_of_nothing(self, room: Room) -> None:
        candidate = Candidate(1)
        assert room.room.confirmed(candidate.receiver_id, candidate.confirm, 0.0) is None

    def test_a_random_number_that_was_not_committed_to_is_of_nothing(self, room: Room) -> None:
        candidate = Candidate(1)
        room.room.offered(candidate.exchange)
        other = sign_confirm(candidate.exchange.transcript, bytes(32), b"", candidate.identity)
        assert room.room.confirmed(candidate.receiver_id, other, 0.0) is None

    def test_a_confirm_of_another_boot_is_refused(self, room: Room) -> None:
        """Somebody has both messages of an earlier exchange, and sends them again: the broadcaster's number is new."""
        recorded = Candidate(1)
        replayed = Candidate(1)
        replayed.exchange.transcript = Candidate(1, exchange_number=9).exchange.transcript
        room.room.offered(replayed.exchange)
        with pytest.raises(SignatureError):
            room.room.confirmed(recorded.receiver_id, recorded.confirm, 0.0)
        assert room.room.pending == ()

    def test_a_key_that_is_not_held_is_refused(self, room: Room) -> None:
        candidate = Candidate(1)
        room.room.offered(candidate.exchange)
        for confirm in (
            candidate.confirm_with(signature=bytes(64)),
            candidate.confirm_with(token_proof=bytes(32)),
            sign_confirm(candidate.exchange.transcript, candidate.random, b"", Candidate(2).identity),
        ):
            with pytest.raises(SignatureError):
                room.room.confirmed(candidate.receiver_id, confirm, 0.0)
        assert room.events == []

    def test_nobody_else_can_take_an_applicants_place(self, room: Room) -> None:
        candidate = Candidate(1)
        applicant = room.apply(candidate)
        forged = Candidate(1, exchange_number=1)
        room.room.offered(forged.exchange)
        with pytest.raises(SignatureError):
            room.room.confirmed(candidate.receiver_id, forged.confirm_with(signature=bytes(64)), 0.0)
        assert room.room.pending == (applicant,)

    def test_a_receiver_that_begins_anew_has_the_new_words(self, room: Room) -> None:
        first = room.apply(Candidate(1))
        second = room.apply(Candidate(1, exchange_number=1))
        assert room.room.pending == (second,)
        assert first.words != second.words
        assert room.events == [Waiting(first), Waiting(second)]


class TestToken:
    def test_the_right_one_admits_at_once(self, room: Room) -> None:
        candidate = Candidate(1, token=TOKEN, theirs=TOKEN)
        applicant = room.apply(candidate)
        assert applicant.state is VerdictState.ADMITTED
        assert candidate.key is not None
        assert applicant.token_proof == candidate.key.broadcaster_proof(candidate.exchange.transcript)
        assert room.events == [Settled(applicant)]

    def test_a_wrong_one_refuses_and_tells_nothing(self, room: Room) -> None:
        applicant = room.apply(Candidate(1, token="9999", theirs="4711"))
        assert (applicant.state, applicant.refusal) == (VerdictState.REFUSED, Refusal.TOKEN)
        assert applicant.token_proof == b""
        assert room.events == [WrongToken("10.0.0.1", "seat-1", True), Settled(applicant)]

    def test_one_exchange_tries_one_token(self, room: Room) -> None:
        candidate = Candidate(1, token="9999", theirs="4711")
        room.apply(candidate)
        for now in range(100):
            room.ask(candidate, float(now))
        assert len([event for event in room.events if isinstance(event, WrongToken)]) == 1

    def test_none_is_left_to_the_operator(self, room: Room) -> None:
        assert room.apply(Candidate(1, theirs="4711")).state is VerdictState.PENDING
        assert room.apply(Candidate(2, token="4711")).state is VerdictState.PENDING

    def test_the_operators_yes_counts_for_a_token_that_was_not_looked_at(self, room: Room) -> None:
        assert room.guess(2 * GUESSES, "fe80::") == GUESSES
        honest = Candidate(1, token="4711", theirs="4711")
        applicant = room.apply(honest)
        assert applicant.state is VerdictState.PENDING
        assert room.events[-1] == Waiting(applicant)
        room.room.accept(honest.receiver_id)
        assert room.ask(honest, 1.0).token_proof

    def test_a_wrong_token_is_not_made_right_by_the_operator(self, room: Room) -> None:
        assert room.guess(2 * GUESSES, "fe80::") == GUESSES
        wrong = Candidate(1, token="9999", theirs="4711")
        room.apply(wrong)
        room.room.accept(wrong.receiver_id)
        for now in (1.0, 2.0):
            applicant = room.ask(wrong, now)
            assert (applicant.state, applicant.token_proof) == (VerdictState.ADMITTED, b"")

    def test_an_honest_seat_comes_in_by_itself_when_the_guessing_ends(self, room: Room) -> None:
        assert room.guess(2 * GUESSES, "fe80::") == GUESSES
        honest = Candidate(1, token="4711", theirs="4711")
        room.apply(honest)
        for now in range(1, int(GUESS_RECOVERY)):
            assert room.ask(honest, float(now)).state is VerdictState.PENDING
        assert room.ask(honest, GUESS_RECOVERY + 1).state is VerdictState.ADMITTED

    def test_a_thousand_guesses_from_one_address_in_an_hour(self, room: Room) -> None:
        """Every guess a new exchange with a new key, as fast as they come; beside them one honest seat."""
        assert room.guess(1000, "10.0.0.66", period=3.6) == GUESSES_PER_ADDRESS + 5
        wrong = [event for event in room.events if isinstance(event, WrongToken)]
        assert [event.may_go_on for event in wrong[:GUESSES_PER_ADDRESS]] == [True, True, True, False]
        honest = Candidate(1, token="4711", theirs="4711", offered_at=3600.0)
        assert room.apply(honest, 3600.0).state is VerdictState.ADMITTED


class TestFloods:
    def test_hellos_of_one_address_drive_out_only_their_own(self, room: Room) -> None:
        honest = Candidate(1)
        room.room.offered(honest.exchange)
        sample = Candidate(2, address="10.0.0.66")
        for number in range(5 * MAX_EXCHANGES):
            room.room.offered(exchange_like(sample, number))
        assert room.room.exchange_count == 1 + MAX_EXCHANGES_PER_ADDRESS
        assert room.room.confirmed(honest.receiver_id, honest.confirm, 0.0) is not None

    @pytest.mark.slow
    def test_hellos_of_many_addresses_cost_bounded_memory(self, room: Room) -> None:
        sample = Candidate(2)
        for number in range(MAX_EXCHANGES):
            room.room.offered(exchange_like(sample, number, address=f"fe80::{number:x}"))
        tracemalloc.start()
        try:
            for number in range(MAX_EXCHANGES, 4 * MAX_EXCHANGES):
                room.room.offered(exchange_like(sample, number, address=f"fe80::{number:x}"))
            grown, _peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert room.room.exchange_count == MAX_EXCHANGES
        assert grown < 4096 * MAX_EXCHANGES

    def test_hellos_that_come_to_nothing_are_forgotten(self, room: Room) -> None:
        room.room.offered(Candidate(1).exchange)
        room.room.offered(Candidate(2, offered_at=5.0).exchange)
        room.room.expire(EXCHANGE_LIFETIME)
        assert room.room.exchange_count == 1

    def test_one_address_does_not_fill_the_operators_screen(self, room: Room) -> None:
        for number in range(MAX_PENDING_PER_ADDRESS):
            room.apply(Candidate(number, address="10.0.0.66"))
        with pytest.raises(RefusedError, match=r"10\.0\.0\.66 wait already"):
            room.apply(Candidate(100, address="10.0.0.66"))
        room.apply(Candidate(101))
        assert len(room.room.pending) == MAX_PENDING_PER_ADDRESS + 1

    def test_a_demonstration_has_all_its_seats_at_one_address(self, room: Room) -> None:
        for number in range(3 * MAX_PENDING_PER_ADDRESS):
            room.apply(Candidate(number, address="127.0.0.1", is_own=True))
        assert len(room.room.pending) == 3 * MAX_PENDING_PER_ADDRESS

    def test_the_room_is_full_at_some_time(self, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(waiting_room, "MAX_PENDING", 5)
        for number in range(5):
            room.apply(Candidate(number))
        with pytest.raises(RefusedError, match="5 receivers wait already"):
            room.apply(Candidate(5))
        room.room.accept(Candidate(0).receiver_id)
        room.apply(Candidate(6))

    def test_the_settled_are_forgotten_at_some_time(self, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(waiting_room, "MAX_SETTLED", 3)
        for number in range(5):
            room.apply(Candidate(number))
            room.room.accept(Candidate(number).receiver_id)
        assert [one.seat for one in room.room.admitted] == ["seat-2", "seat-3", "seat-4"]


def exchange_like(sample: Candidate, number: int, address: str | None = None) -> waiting_room.Exchange:
    """One more Hello of an address, with a commitment of its own."""
    return waiting_room.Exchange(
        hello=replace(sample.hello, commitment=number.to_bytes(32, "big")),
        transcript=sample.exchange.transcript,
        pairing=None,
        address=sample.exchange.address if address is None else address,
        is_own=False,
        offered_at=0.0,
    )
