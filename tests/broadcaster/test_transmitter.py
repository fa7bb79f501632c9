import queue
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from broadcaster.encoder import SealedSymbols
from broadcaster.host_rate import HostRate
from broadcaster.transmission import Transmission
from broadcaster.transmitter import BATCH_SECONDS, Transmitter
from protocol.digests import Buffer
from protocol.errors import TransportError
from protocol.link.multicast import MAX_BATCH_DATAGRAMS

LENGTH = 1450
FAST = 100_000_000_000


class RecordingSender:
    """What a MulticastSender does, into a list; fails after ``fails_after`` batches."""

    overhead = 46

    def __init__(self, fails_after: int | None = None) -> None:
        self.batches: list[bytes] = []
        self.fails_after = fails_after

    def send_batch(self, buffers: Sequence[Buffer], datagram_length: int) -> None:
        if len(self.batches) == self.fails_after:
            raise TransportError("the interface is down")
        assert datagram_length == LENGTH
        self.batches.append(b"".join(bytes(buffer) for buffer in buffers))


class Bench:
    """A transmitter with all that it says."""

    def __init__(
        self,
        rate: int = FAST,
        *,
        fails_after: int | None = None,
        start: bool = True,
        host_cap: HostRate | None = None,
    ) -> None:
        self.sender = RecordingSender(fails_after)
        self.sent: queue.Queue[Transmission] = queue.Queue()
        self.failures: queue.Queue[Exception] = queue.Queue()
        self.transmitter = Transmitter(
            self.sender,  # type: ignore[arg-type]  # has the sender's interface without its socket
            rate,
            on_sent=self.sent.put,
            on_failure=self.failures.put,
            host_cap=host_cap,
        )
        if start:
            self.transmitter.start()


def sealed(sbn: int, datagram_count: int, last_length: int = LENGTH) -> SealedSymbols:
    data = bytes([sbn]) * (LENGTH * (datagram_count - 1) + last_length)
    transmission = Transmission(1, sbn, datagram_count, range(datagram_count), is_first_pass=True)
    return SealedSymbols(transmission, memoryview(data), LENGTH)


def test_transmissions_leave_whole_and_each_in_order() -> None:
    bench = Bench()
    blocks = [sealed(sbn, count, last) for sbn, count, last in [(1, 186, 99), (2, 1, 1), (3, 44, LENGTH), (4, 45, 7)]]
    for block in blocks:
        bench.transmitter.put(block)
    sent = {bench.sent.get(timeout=10).sbn for _ in blocks}
    bench.transmitter.stop()
    assert sent == {1, 2, 3, 4}
    everything = b"".join(bench.sender.batches)
    for block in blocks:
        assert bytes(byte for byte in everything if byte == block.datagrams[0]) == bytes(block.datagrams)
    assert bench.transmitter.bytes_sent == sum(len(block.datagrams) for block in blocks)


def test_one_transmission_waits_for_no_other() -> None:
    bench = Bench()
    for sbn in (1, 2):
        bench.transmitter.put(sealed(sbn, 100))
        bench.sent.get(timeout=10)
    bench.transmitter.stop()
    counts = [len(batch) // LENGTH for batch in bench.sender.batches]
    assert counts == 2 * [MAX_BATCH_DATAGRAMS, MAX_BATCH_DATAGRAMS, 100 - 2 * MAX_BATCH_DATAGRAMS]


def test_transmissions_leave_side_by_side() -> None:
    bench = Bench(start=False)
    for sbn in range(1, 9):
        bench.transmitter.put(sealed(sbn, 186))
    bench.transmitter.start()
    order = [bench.sent.get(timeout=10).sbn for _ in range(8)]
    bench.transmitter.stop()
    assert {len(batch) for batch in bench.sender.batches[:20]} == {MAX_BATCH_DATAGRAMS * LENGTH}
    assert all(len(set(batch)) == 8 for batch in bench.sender.batches[:20])
    assert sorted(order) == list(range(1, 9))


def test_what_the_host_is_capped_to_is_waited_for(tmp_path: Path) -> None:
    cap = 8 * 80 * (LENGTH + RecordingSender.overhead) * 10
    with HostRate("eth0", cap, folder=tmp_path) as host_cap:
        bench = Bench(host_cap=host_cap)
        before = time.monotonic()
        bench.transmitter.put(sealed(1, 80))
        bench.transmitter.put(sealed(2, 1))
        bench.sent.get(timeout=10)
        bench.sent.get(timeout=10)
        elapsed = time.monotonic() - before
        bench.transmitter.stop()
    assert elapsed > 0.05  # the time of the last batch, at most 44 datagrams, is not waited for


@pytest.mark.parametrize(("rate", "count"), [(100_000_000, 8), (1_000_000, 1)])
def test_a_batch_holds_a_millisecond_at_most_but_one_datagram_at_least(rate: int, count: int) -> None:
    bench = Bench(rate)
    bench.transmitter.put(sealed(1, 10))
    bench.sent.get(timeout=10)
    bench.transmitter.stop()
    assert len(bench.sender.batches[0]) // LENGTH == count
    assert count == max(1, int(rate * BATCH_SECONDS / 8 / LENGTH))


def test_the_rate_counts_what_the_link_carries() -> None:
    # 0.1 s at this rate with Ethernet, IP and UDP headers counted; without them it would take 3 % less.
    datagram_count, rate = 80, 8 * 80 * (LENGTH + RecordingSender.overhead) * 10
    bench = Bench(rate)
    before = time.monotonic()
    bench.transmitter.put(sealed(1, datagram_count))
    bench.sent.get(timeout=10)
    elapsed = time.monotonic() - before
    bench.transmitter.stop()
    # The time of the last batch is not waited for, and the first ones had burst credit.
    assert elapsed > 0.085


def test_another_rate_holds_from_the_next_batch_on() -> None:
    bench = Bench(1_000_000)
    bench.transmitter.put(sealed(1, 1))
    bench.sent.get(timeout=10)
    bench.transmitter.rate_bits_per_second = FAST
    before = time.monotonic()
    bench.transmitter.put(sealed(2, 186))
    bench.sent.get(timeout=10)
    assert time.monotonic() - before < 1.0  # 2.2 s at the first rate
    bench.transmitter.stop()


def test_a_failure_is_told_once_and_ends_it() -> None:
    bench = Bench(fails_after=1)
    for sbn in (1, 2, 3):
        bench.transmitter.put(sealed(sbn, 1, 9))
    assert str(bench.failures.get(timeout=10)) == "the interface is down"
    assert bench.sent.get(timeout=10).sbn == 1
    bench.transmitter.stop()
    assert bench.sent.empty()
    assert bench.failures.empty()


def test_stop_drops_what_has_not_left_and_does_not_call_it_sent() -> None:
    bench = Bench(100_000)  # 0.12 s for each datagram
    bench.transmitter.put(sealed(1, 186))
    bench.transmitter.put(sealed(2, 186))
    before = time.monotonic()
    bench.transmitter.stop()
    assert time.monotonic() - before < 2.0
    assert bench.sent.empty()
    assert bench.transmitter.bytes_sent < 20 * LENGTH
