"""Which symbols of both objects leave next: the first pass of each, and the repair due beside and after it. Pure.

Repair during a first pass is paid from a credit that the pass earns, so that neither holds up the other.
"""

from broadcaster.plan import SendPlan
from broadcaster.repair import RepairQueue
from broadcaster.repair_credit import RepairCredit
from broadcaster.transmission import TransferObject, Transmission
from protocol.messages import RepairRequest
from protocol.wire import TOI_DISK, TOI_MANIFEST


class Outgoing:
    """Of one session; ``plans`` and ``repairs`` are those of object 0 and object 1."""

    def __init__(self, objects: tuple[TransferObject, TransferObject], max_repair_symbols: int) -> None:
        self.plans = (SendPlan(objects[0].block_count), SendPlan(objects[1].block_count))
        self.repairs = tuple(RepairQueue(each.source_block_length, max_repair_symbols) for each in objects)
        self.credit = RepairCredit()
        self._objects = objects
        self._repair_turn = TOI_MANIFEST

    def next(self, toi: int) -> Transmission | None:
        """What leaves while the first pass of this object is due; None when there is nothing."""
        in_first_pass = not self.plans[toi].is_handed_out
        if not in_first_pass or self.credit:
            repair = self._next_repair(in_first_pass=in_first_pass)
            if repair is not None:
                if in_first_pass:
                    self.credit.spend(len(repair.esis))
                return repair
        return self._next_of_first_pass(toi)

    def left(self, transmission: Transmission, now: float) -> bool:
        """The last datagram of it has left; whether that was, or is after, the end of its object's first pass."""
        toi, sbn = transmission.toi, transmission.sbn
        if not transmission.is_first_pass:
            self.repairs[toi].left(sbn, len(transmission.esis), now)
            return False
        self.plans[toi].left(sbn)
        return self.plans[toi].is_over

    def ask(self, request: RepairRequest, now: float) -> None:
        """A receiver asks for what exists."""
        self.repairs[request.toi].request(
            request.deficits,
            request.absent,
            self.plans[request.toi],
            now,
            receiver_id=request.receiver_id,
            missing_symbols={sbn: int.from_bytes(bits, "little") for sbn, bits in request.missing_symbols},
        )

    def forget_deficits(self) -> None:
        """Somebody who asked fetches by itself now; whoever else lacks something asks again."""
        for queue in self.repairs:
            queue.forget_deficits()

    def drop(self, toi: int, sbn: int) -> None:
        """This block cannot be sent at all."""
        self.plans[toi].drop(sbn)
        self.repairs[toi].withdraw(sbn)

    def _next_repair(self, *, in_first_pass: bool) -> Transmission | None:
        """The objects take turns: a seat that cannot get the manifest right keeps nobody from the disk.

        During the first pass blocks of the disk that somebody lacks whole wait for its end: that is a late seat's pass.
        """
        for toi in (self._repair_turn, 1 - self._repair_turn):
            symbols = self.repairs[toi].next_symbols(in_first_pass=in_first_pass and toi == TOI_DISK)
            if symbols is not None:
                self._repair_turn = 1 - toi
                sbn, esis = symbols
                return Transmission(toi, sbn, self._objects[toi].source_block_length(sbn), esis, is_first_pass=False)
        return None

    def _next_of_first_pass(self, toi: int) -> Transmission | None:
        sbn = self.plans[toi].next_block()
        if sbn is None:
            return None
        length = self._objects[toi].source_block_length(sbn)
        self.credit.earn(length)
        return Transmission(toi, sbn, length, range(length), is_first_pass=True)
