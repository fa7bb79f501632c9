import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ConfigError, MessageError, SessionStateError
from protocol.pairing import (
    MAX_TOKEN_LENGTH,
    PAIRING_MESSAGE_LENGTH,
    PAIRING_SEED_LENGTH,
    WORDS_SEED_LENGTH,
    BroadcasterPairing,
    PairingKey,
    ReceiverPairing,
    commitment_to,
    comparison_words,
    is_same,
    new_token,
    normalized_token,
)

TRANSCRIPT = bytes(range(32))


def seed(number: int) -> bytes:
    return random.Random(number).randbytes(PAIRING_SEED_LENGTH)


class TestToken:
    @pytest.mark.parametrize(
        "typed",
        [
            "legal-winner-thank-year",
            "Legal Winner Thank Year",
            " legalwinnerthankyear\n",
            "LEGAL\u2010winner\u00a0thank—year",
        ],
    )
    def test_case_spaces_and_hyphens_do_not_matter(self, typed: str) -> None:
        assert normalized_token(typed) == "legalwinnerthankyear"

    @pytest.mark.parametrize("typed", ["", "abc", " - - ", "a b c", "x" * (MAX_TOKEN_LENGTH + 1)])
    def test_what_is_no_token_is_refused(self, typed: str) -> None:
        with pytest.raises(ConfigError, match="a token has 4 to 128 characters"):
            normalized_token(typed)

    @given(st.text(max_size=200))
    def test_any_text_is_a_token_or_refused(self, text: str) -> None:
        try:
            token = normalized_token(text)
        except ConfigError:
            return
        assert normalized_token(token) == token

    def test_a_new_one_is_four_words_of_all_its_random_bits(self) -> None:
        assert new_token(bytes(WORDS_SEED_LENGTH)) == "abandon-abandon-abandon-abandon"
        assert new_token(b"\xff" * WORDS_SEED_LENGTH) == "zoo-zoo-zoo-zoo"
        tokens = {new_token((1 << bit).to_bytes(WORDS_SEED_LENGTH, "big")) for bit in range(4, 48)}
        assert len(tokens) == 44
        assert all(len(normalized_token(token)) >= 12 for token in tokens)

    def test_it_takes_enough_random_bytes(self) -> None:
        with pytest.raises(SessionStateError):
            new_token(bytes(4))


class TestWords:
    def test_are_four_and_follow_from_everything(self) -> None:
        words = comparison_words(TRANSCRIPT, bytes(32))
        assert len(words.split()) == 4
        assert words == comparison_words(TRANSCRIPT, bytes(32))
        assert words != comparison_words(TRANSCRIPT, bytes(31) + b"\1")
        assert words != comparison_words(bytes(32), bytes(32))

    def test_a_commitment_is_to_one_number(self) -> None:
        assert commitment_to(bytes(32)) != commitment_to(bytes(31) + b"\1")


class TestPairing:
    def test_the_same_token_makes_the_same_key(self) -> None:
        receiver, broadcaster = ReceiverPairing("legalwinner", seed(1)), BroadcasterPairing("legalwinner", seed(2))
        ours, theirs = receiver.key(broadcaster.message), broadcaster.key(receiver.message)
        assert is_same(ours.receiver_proof(TRANSCRIPT), theirs.receiver_proof(TRANSCRIPT))
        assert is_same(ours.broadcaster_proof(TRANSCRIPT), theirs.broadcaster_proof(TRANSCRIPT))

    def test_a_proof_is_of_one_side_and_one_transcript(self) -> None:
        key = PairingKey(bytes(32))
        proofs = {
            key.receiver_proof(TRANSCRIPT),
            key.broadcaster_proof(TRANSCRIPT),
            key.receiver_proof(bytes(32)),
            key.broadcaster_proof(bytes(32)),
        }
        assert len(proofs) == 4

    def test_another_token_makes_another_key(self) -> None:
        receiver, broadcaster = ReceiverPairing("legalwinner", seed(1)), BroadcasterPairing("legalwinnes", seed(2))
        ours, theirs = receiver.key(broadcaster.message), broadcaster.key(receiver.message)
        assert not is_same(ours.receiver_proof(TRANSCRIPT), theirs.receiver_proof(TRANSCRIPT))

    def test_what_is_sent_depends_on_no_token_alone(self) -> None:
        """Neither message is a function of the token: another seed gives another message, each as likely as the next.

        A listener who has the messages of a 4-digit token holds X + 4711 * M with an X that is uniform in the group
        (the seed is twice as long as the order). For every other token there is an X' with the same sum, so no token
        is likelier than another: he has nothing to compare a guess with. What is derived from the shared key, the two
        proofs, needs the discrete logarithm of X or Y beside the token.
        """
        messages = {
            side("4711", seed(number)).message for side in (ReceiverPairing, BroadcasterPairing) for number in range(5)
        }
        assert len(messages) == 10

    def test_any_token_explains_the_same_message(self) -> None:
        """The claim above, computed: X' = X + (4711 - guess) * M explains the message of 4711 by another token."""
        from spake2.ed25519_group import Ed25519Group
        from spake2.parameters.ed25519 import ParamsEd25519

        message = Ed25519Group.bytes_to_element(ReceiverPairing("4711", seed(1)).message[1:])
        for guess in (b"0000", b"4712"):
            scalar = Ed25519Group.password_to_scalar(guess)
            masked = ParamsEd25519.M.scalarmult(scalar)
            explanation = message.add(ParamsEd25519.M.scalarmult(-scalar))
            assert Ed25519Group.bytes_to_element(explanation.to_bytes()).add(masked).to_bytes() == message.to_bytes()

    @pytest.mark.parametrize(
        "message",
        [
            b"",
            b"B",
            bytes(PAIRING_MESSAGE_LENGTH),
            b"B" + bytes(32),
            b"B\x01" + bytes(31),  # the neutral element
            b"B\xec" + b"\xff" * 30 + b"\x7f",  # of order 2
            b"B" + b"\xff" * 32,
            b"S" + bytes(32),
        ],
        ids=repr,
    )
    def test_a_point_that_is_none_is_refused(self, message: bytes) -> None:
        with pytest.raises(MessageError):
            ReceiverPairing("legalwinner", seed(1)).key(message)

    def test_our_own_message_is_refused(self) -> None:
        receiver = ReceiverPairing("legalwinner", seed(1))
        for message in (receiver.message, b"B" + receiver.message[1:]):
            with pytest.raises(MessageError):
                ReceiverPairing("legalwinner", seed(1)).key(message)

    @pytest.mark.slow
    @given(st.binary(min_size=0, max_size=40))
    def test_any_bytes_are_a_message_or_refused(self, message: bytes) -> None:
        for candidate in (message, b"A" + message.ljust(32, b"\0")[:32]):
            try:
                BroadcasterPairing("legalwinner", seed(1)).key(candidate)
            except MessageError:
                continue

    def test_one_side_is_good_for_one_exchange(self) -> None:
        receiver = ReceiverPairing("legalwinner", seed(1))
        receiver.key(BroadcasterPairing("legalwinner", seed(2)).message)
        with pytest.raises(SessionStateError):
            receiver.key(BroadcasterPairing("legalwinner", seed(3)).message)

    def test_it_takes_enough_random_bytes(self) -> None:
        with pytest.raises(SessionStateError):
            ReceiverPairing("legalwinner", bytes(32))

    def test_nothing_secret_is_shown(self) -> None:
        receiver = ReceiverPairing("legalwinner", seed(1))
        key = receiver.key(BroadcasterPairing("legalwinner", seed(2)).message)
        shown = f"{receiver!r} {receiver} {key!r} {key}"
        assert set(shown) <= set(string.ascii_letters + "() ")
        assert "legal" not in shown
