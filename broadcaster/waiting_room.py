"""Who asks to be let into the room, who was, and who was not. Sans-I/O: it is handed messages and ``now``.

An exchange begins with Hello and Offer, which anybody can make us keep: few, for a short time, the oldest goes first.
With a Confirm that the receiver's identity key signed it becomes an applicant, which an operator sees. An applicant
that no longer asks is forgotten; one that was admitted or refused is remembered, so that a lost answer can be given
again and a refused key does not come back.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from broadcaster.guess_limits import GuessLimits
from protocol.enrolment import Confirm, Hello, Refusal, VerdictState, check_confirm
from protocol.errors import ConfigError, RefusedError
from protocol.fields import MAX_SEATS
from protocol.pairing import BroadcasterPairing, PairingKey, commitment_to, comparison_words, is_same
from protocol.ticket import ReceiverKeys

MAX_PENDING: Final = MAX_SEATS
"""[receivers] that wait for the operator at once: as many as a session has seats; 2 KiB each"""

MAX_PENDING_PER_ADDRESS: Final = 8
"""[receivers] Stops one machine from filling the operator's screen; a machine that was restarted some times has as
many until they expire."""

MAX_EXCHANGES: Final = 512
"""[exchanges] between Offer and Confirm, each of a few milliseconds in a room that means well; 2 KiB each"""

MAX_EXCHANGES_PER_ADDRESS: Final = 8
"""[exchanges] Stops one machine from driving out the others'."""

MAX_SETTLED: Final = 2 * MAX_SEATS
"""[receivers] admitted or refused that are remembered; each start of a machine is one."""

EXCHANGE_LIFETIME: Final = 30.0
"""[s] from Offer to Confirm: the arithmetic of a slow PC and a repeated request"""

PENDING_SILENCE: Final = 15.0
"""[s] without a word after which a pending receiver is gone; it asks once a second."""


@dataclass(slots=True)
class Exchange:
    """One Hello and the Offer that answered it."""

    hello: Hello
    transcript: bytes
    pairing: BroadcasterPairing | None
    """our side, if both sides have a token"""
    address: str
    is_own: bool
    """the address is this machine's"""
    offered_at: float


@dataclass(slots=True)
class Applicant:
    """A receiver that has proved its identity key; what the operator sees, and decides on."""

    receiver_id: str
    keys: ReceiverKeys
    seat: str
    """printable, of any content and length up to 64: the receiver says so"""
    address: str
    words: str
    """that stand on its screen as well"""
    pending_since: float
    state: VerdictState = VerdictState.PENDING
    refusal: Refusal = Refusal.NONE
    certificate: str = ""
    """PEM, once one was made"""
    token_proof: bytes = field(default=b"", repr=False)
    """ours, once the receiver has proved the token"""
    exchange: Exchange = field(kw_only=True, repr=False)
    confirm: Confirm = field(kw_only=True, repr=False)
    heard_at: float = 0.0
    is_announced: bool = False
    """the operator was told"""
    is_judged: bool = False
    """its token was looked at"""

    @property
    def has_token_to_judge(self) -> bool:
        """Whether it says that it knows the token and nobody has looked yet."""
        is_open = self.state is not VerdictState.REFUSED and not self.is_judged
        return is_open and self.exchange.pairing is not None and bool(self.confirm.token_proof)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A receiver waits for the operator."""

    applicant: Applicant


@dataclass(frozen=True, slots=True)
class Settled:
    """A receiver was admitted or refused, by its token or by the operator."""

    applicant: Applicant


@dataclass(frozen=True, slots=True)
class Left:
    """A receiver that waited asks no more."""

    applicant: Applicant


@dataclass(frozen=True, slots=True)
class WrongToken:
    """Somebody tried a token that is not ours: a slip, or a guess."""

    address: str
    seat: str
    may_go_on: bool
    """False when this address, or everybody, has to wait before the next token is looked at"""


RoomEvent = Waiting | Settled | Left | WrongToken


class WaitingRoom:
    """The receivers that have asked one broadcaster."""

    def __init__(self, on_event: Callable[[RoomEvent], object]) -> None:
        self._on_event = on_event
        self._exchanges: OrderedDict[tuple[str, bytes], Exchange] = OrderedDict()
        self._pending: dict[str, Applicant] = {}
        self._settled: OrderedDict[str, Applicant] = OrderedDict()
        self._guesses = GuessLimits()

    @property
    def pending(self) -> tuple[Applicant, ...]:
        """Those who wait for the operator, the longest waiting first."""
        return tuple(self._pending.values())

    @property
    def admitted(self) -> tuple[Applicant, ...]:
        """Those who were let in, as far as they are remembered."""
        return tuple(one for one in self._settled.values() if one.state is VerdictState.ADMITTED)

    @property
    def exchange_count(self) -> int:
        """Exchanges between Offer and Confirm."""
        return len(self._exchanges)

    def may_begin(self, address: str, now: float, *, is_own: bool) -> bool:
        """Whether an exchange with a token may begin now; one that may is counted."""
        return self._guesses.begin(address, now, is_own=is_own)

    def offered(self, exchange: Exchange) -> None:
        """An Offer goes out: keep the exchange until its Confirm, at the cost of the oldest of the same address."""
        if not exchange.is_own:
            same = [key for key, other in self._exchanges.items() if other.address == exchange.address]
            for key in same[: max(0, len(same) - MAX_EXCHANGES_PER_ADDRESS + 1)]:
                del self._exchanges[key]
        if len(self._exchanges) >= MAX_EXCHANGES:
            self._exchanges.popitem(last=False)
        self._exchanges[exchange.hello.keys.receiver_id, exchange.hello.commitment] = exchange

    def confirmed(self, receiver_id: str, confirm: Confirm, now: float) -> Applicant | None:
        """The applicant that this Confirm, perhaps repeated, is of; None when we remember no such exchange.

        Raises:
            SignatureError: not signed by the identity key over this exchange.
            RefusedError: too many wait.
        """
        known = self._pending.get(receiver_id) or self._settled.get(receiver_id)
        if known is not None and known.confirm == confirm:
            known.heard_at = now
            return known
        commitment = commitment_to(confirm.receiver_random)
        exchange = self._exchanges.get((receiver_id, commitment))
        if exchange is None:
            return None
        check_confirm(confirm, exchange.transcript, exchange.hello.identity_key)
        applicant = Applicant(
            receiver_id=receiver_id,
            keys=exchange.hello.keys,
            seat=exchange.hello.seat,
            address=exchange.address,
            words=comparison_words(exchange.transcript, confirm.receiver_random),
            pending_since=now,
            exchange=exchange,
            confirm=confirm,
            heard_at=now,
        )
        if known is not None and known.keys == applicant.keys and known.refusal is not Refusal.TOKEN:
            applicant.state, applicant.refusal = known.state, known.refusal
            applicant.certificate = known.certificate
        if applicant.state is VerdictState.PENDING:
            self._check_space(applicant)
        del self._exchanges[receiver_id, commitment]
        self._keep(applicant)
        return applicant

    def may_judge(self, applicant: Applicant, now: float) -> bool:
        """Whether the token of this applicant may be looked at now; if not, it waits for the operator."""
        is_vouched_for = applicant.state is VerdictState.ADMITTED
        return applicant.has_token_to_judge and (
            is_vouched_for or self._guesses.may_guess(applicant.address, now, is_own=applicant.exchange.is_own)
        )

    def judged(self, applicant: Applicant, key: PairingKey | None, now: float) -> None:
        """The arithmetic is done: admit the applicant if ``key`` is the one that it has proved, else refuse it.

        ``key`` is None when its pairing message was none. Whom the operator has let in stays in.
        """
        applicant.is_judged = True
        transcript = applicant.exchange.transcript
        is_right = key is not None and is_same(applicant.confirm.token_proof, key.receiver_proof(transcript))
        if key is not None and is_right:
            applicant.token_proof = key.broadcaster_proof(transcript)
            if applicant.state is VerdictState.PENDING:
                self._settle(applicant, VerdictState.ADMITTED)
            return
        self._guesses.wrong(applicant.address, now)
        may_go_on = self._guesses.may_guess(applicant.address, now, is_own=applicant.exchange.is_own)
        self._on_event(WrongToken(applicant.address, applicant.seat, may_go_on))
        if applicant.state is VerdictState.PENDING:
            self._settle(applicant, VerdictState.REFUSED, Refusal.TOKEN)

    def announce(self, applicant: Applicant) -> None:
        """Tell the operator, once, of an applicant that no token has settled."""
        if applicant.state is VerdictState.PENDING and not applicant.is_announced:
            applicant.is_announced = True
            self._on_event(Waiting(applicant))

    def accept(self, receiver_id: str) -> None:
        """The operator lets this receiver in.

        Raises:
            ConfigError: it does not wait.
        """
        self._settle(self._waiting(receiver_id), VerdictState.ADMITTED)

    def accept_all(self, expected_count: int) -> None:
        """The operator lets in everybody who waits, if they are as many as there are seats in the room.

        Raises:
            ConfigError: they are not; nobody was let in.
        """
        count = len(self._pending)
        if count != expected_count:
            raise ConfigError(
                f"{count} receivers wait, not {expected_count}: compare the list with the room, "
                "then accept them one by one or give the right count"
            )
        for applicant in self.pending:
            self._settle(applicant, VerdictState.ADMITTED)

    def refuse(self, receiver_id: str) -> None:
        """The operator sends this receiver away; its key stays refused.

        Raises:
            ConfigError: it does not wait.
        """
        self._settle(self._waiting(receiver_id), VerdictState.REFUSED, Refusal.OPERATOR)

    def expire(self, now: float) -> None:
        """Forget exchanges that were not confirmed, and applicants that no longer ask; to be called now and then."""
        for key, exchange in list(self._exchanges.items()):
            if exchange.offered_at + EXCHANGE_LIFETIME > now:
                break
            del self._exchanges[key]
        for receiver_id, applicant in list(self._pending.items()):
            if applicant.heard_at + PENDING_SILENCE <= now:
                del self._pending[receiver_id]
                self._on_event(Left(applicant))

    def _waiting(self, receiver_id: str) -> Applicant:
        applicant = self._pending.get(receiver_id)
        if applicant is None:
            raise ConfigError(f"no receiver {receiver_id} waits: it has left, or was accepted or refused before")
        return applicant

    def _check_space(self, applicant: Applicant) -> None:
        if applicant.receiver_id in self._pending:
            return
        if len(self._pending) >= MAX_PENDING:
            raise RefusedError(f"{MAX_PENDING} receivers wait already: accept or refuse some")
        per_address = Counter(one.address for one in self._pending.values())
        if not applicant.exchange.is_own and per_address[applicant.address] >= MAX_PENDING_PER_ADDRESS:
            raise RefusedError(f"{MAX_PENDING_PER_ADDRESS} receivers of {applicant.address} wait already")

    def _keep(self, applicant: Applicant) -> None:
        receiver_id = applicant.receiver_id
        self._pending.pop(receiver_id, None)
        self._settled.pop(receiver_id, None)
        if applicant.state is VerdictState.PENDING:
            self._pending[receiver_id] = applicant
            return
        self._settled[receiver_id] = applicant
        if len(self._settled) > MAX_SETTLED:
            self._settled.popitem(last=False)

    def _settle(self, applicant: Applicant, state: VerdictState, refusal: Refusal = Refusal.NONE) -> None:
        applicant.state, applicant.refusal = state, refusal
        self._keep(applicant)
        self._on_event(Settled(applicant))
