import ctypes
import itertools
import os
import select
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from protocol.errors import SessionStateError, TransportError
from protocol.link import linux_udp
from protocol.link.interfaces import InterfaceInfo
from protocol.link.multicast import (
    DATA_PORT,
    MAX_BATCH_DATAGRAMS,
    SINGLES_IN_A_ROW,
    MulticastReceiver,
    MulticastSender,
    _batches,
    group_for,
    listen_for_foreign,
)
from protocol.wire import encode_header

LENGTH = 1450
TSI = 0xFEED_0000_0000_0000 | os.getpid() << 8
"""A session of its own for each test process, so that two test runs on one machine do not hear each other."""

_serial = itertools.count()

LOOPBACK = InterfaceInfo("lo", socket.if_nametoindex("lo"), "127.0.0.1", "::1", 65_536, None, True, False)


class TestGroups:
    def test_an_ipv4_group_has_organization_scope(self) -> None:
        groups = {group_for(tsi, ipv6=False) for tsi in range(0, 1 << 64, (1 << 64) // 997)}
        assert all(ip_address(group) in ip_network("239.192.0.0/14") for group in groups)

    def test_an_ipv6_group_is_transient_and_site_local(self) -> None:
        assert group_for(0xFFFF_FFFF_0000_0001, ipv6=True) == "ff15::8000:1"
        assert group_for((1 << 64) - 1, ipv6=True) == "ff15::ffff:ffff"

    @pytest.mark.parametrize("ipv6", [False, True])
    def test_the_next_tsi_has_another_group(self, ipv6: bool) -> None:
        for tsi in (0, 0x3FFFF, 0x7FFF_FFFF, (1 << 64) - 2):
            assert group_for(tsi, ipv6=ipv6) != group_for(tsi + 1, ipv6=ipv6)


class TestBatches:
    """How buffers are cut into what one system call carries."""

    @staticmethod
    def cut(datagram_length: int, *lengths: int) -> list[list[int]]:
        return [list(map(len, batch)) for batch in _batches([bytes(n) for n in lengths], datagram_length)]

    def test_a_long_buffer_is_cut_at_44_datagrams(self) -> None:
        assert self.cut(LENGTH, 100 * LENGTH) == [[44 * LENGTH], [44 * LENGTH], [12 * LENGTH]]

    def test_short_buffers_are_gathered(self) -> None:
        assert self.cut(10, 30, 20, 400) == [[30, 20, 390], [10]]

    def test_a_short_datagram_ends_a_batch(self) -> None:
        assert self.cut(10, 35, 20, 9, 10) == [[35], [20, 9], [10]]
        assert self.cut(10, 445, 10) == [[440], [5], [10]]

    def test_nothing_is_no_batch(self) -> None:
        assert self.cut(10) == []
        assert self.cut(10, 0, 0) == []

    def test_long_datagrams_stay_below_what_udp_carries(self) -> None:
        assert self.cut(9000, 90_000) == [[63_000], [27_000]]
        assert 44 * LENGTH <= linux_udp.MAX_BATCH_BYTES
        assert MAX_BATCH_DATAGRAMS == 44


def datagrams(count: int, tsi: int = TSI, last: int = LENGTH) -> list[bytes]:
    """Datagrams of the session that differ from each other; only the header is true."""
    made = [
        encode_header(tsi, 1, index, 100, index % 100) + bytes([index & 255]) * (LENGTH - 18) for index in range(count)
    ]
    return [*made[:-1], made[-1][:last]]


def arrivals(receiver: MulticastReceiver, count: int) -> tuple[list[bytes], int]:
    """Datagrams as they arrive, at least ``count`` of them, and the calls that it took."""
    arrived: list[bytes] = []
    calls = 0
    while len(arrived) < count:
        assert select.select([receiver], [], [], 10)[0], f"{len(arrived)} of {count} arrived"
        received = receiver.receive()
        if received is not None:
            calls += 1
            batch, length = received
            arrived += [bytes(batch[start : start + length]) for start in range(0, len(batch), length)]
    assert receiver.receive() is None
    return arrived, calls


def own_group(ipv6: bool = False) -> str:
    return group_for(TSI + next(_serial), ipv6=ipv6)


@contextmanager
def both(
    interface: InterfaceInfo = LOOPBACK,
    *,
    ipv6: bool = False,
    tsi: int | None = TSI,
    use_gro: bool = True,
    use_segmentation: bool = True,
    source: str = "",
) -> Iterator[tuple[MulticastSender, MulticastReceiver]]:
    group = own_group(ipv6)
    with (
        MulticastReceiver(interface, group, DATA_PORT, tsi=tsi, use_gro=use_gro, source=source) as receiver,
        MulticastSender(interface, group, DATA_PORT, use_segmentation=use_segmentation) as sender,
    ):
        yield sender, receiver


def in_namespace(test: Callable[[InterfaceInfo], None]) -> None:
    """Run the test in a network namespace of its own, whose only interface does IPv6 multicast.

    A namespace belongs to a thread, and ends with it. The loopback interface has no route for IPv6 multicast.
    """
    failures: list[BaseException] = []

    def run() -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.unshare(0x4000_0000) == 0, os.strerror(ctypes.get_errno())  # CLONE_NEWNET
            for command in (
                "ip link set lo up",
                "ip link add cast type veth peer name switch",
                "ip link set switch up",
                "ip link set cast up",
                "ip address add 192.0.2.9/24 broadcast + dev cast",
                "ip address add fd00:5ca::9/64 dev cast nodad",
            ):
                subprocess.run(command.split(), check=True, capture_output=True)
            test(
                InterfaceInfo(
                    "cast", socket.if_nametoindex("cast"), "192.0.2.9", "fd00:5ca::9", 1500, None, False, False
                )
            )
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


needs_namespaces = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network namespace")


@pytest.mark.system
class TestOnLoopback:
    def test_batches_pass_whole(self) -> None:
        with both() as (sender, receiver):
            assert sender.is_segmenting
            assert receiver.is_batching
            sent = datagrams(100, last=900)
            sender.send_batch([b"".join(sent)], LENGTH)
            arrived, calls = arrivals(receiver, 100)
            assert arrived == sent
            assert calls == 2  # 44 and 44, which are put together, and 12
            assert (sender.refused_count, receiver.drop_count) == (0, 0)

    @pytest.mark.parametrize(("use_segmentation", "use_gro"), [(False, True), (True, False), (False, False)])
    def test_the_plain_way_has_the_same_bytes(self, use_segmentation: bool, use_gro: bool) -> None:
        with both(use_segmentation=use_segmentation, use_gro=use_gro) as (sender, receiver):
            assert (sender.is_segmenting, receiver.is_batching) == (use_segmentation, use_gro)
            sent = datagrams(100, last=900)
            sender.send_batch([b"".join(sent[:60]), b"".join(sent[60:])], LENGTH)
            arrived, calls = arrivals(receiver, 100)
            assert arrived == sent
            assert calls <= 3  # put together here, where the kernel does not

    def test_the_first_refusal_of_the_device_makes_it_plain(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with both() as (sender, receiver):
            # The kernel refuses to make more than 128 datagrams of a batch, as it refuses any where a device cannot.
            as_it_is = linux_udp.segment_ancillary
            monkeypatch.setattr(linux_udp, "segment_ancillary", lambda _length: as_it_is(100))
            sent = datagrams(50)
            sender.send_batch([b"".join(sent)], LENGTH)
            assert not sender.is_segmenting
            assert arrivals(receiver, 50)[0] == sent

    def test_datagrams_of_other_lengths_are_not_put_together(self) -> None:
        with both(use_gro=False, use_segmentation=False) as (sender, receiver):
            short, long = (datagrams(3, last=900), [each + bytes(7) for each in datagrams(2)])
            sender.send_batch([b"".join(short)], LENGTH)
            sender.send_batch([b"".join(long)], LENGTH + 7)
            sender.send_batch([b"".join(short)], LENGTH)
            arrived, calls = arrivals(receiver, 8)
            assert arrived == [*short, *long, *short]
            assert calls == 3

    def test_a_longer_datagram_behind_equal_ones_is_held_back_for_the_next_call(self) -> None:
        with both(use_gro=False, use_segmentation=False) as (sender, receiver):
            few, (long,) = datagrams(3), [datagrams(1)[0] + bytes(7)]
            sender.send_batch([b"".join(few)], LENGTH)
            sender.send_batch([long], len(long))
            assert [bytes(batch) for batch, _ in iter(receiver.receive, None)] == [b"".join(few), long]

    @pytest.mark.parametrize("use_gro", [True, False])
    def test_where_the_kernel_joins_nothing_many_are_read_by_one_call(self, use_gro: bool) -> None:
        group = own_group()
        with (
            MulticastSender(LOOPBACK, group, DATA_PORT, use_segmentation=False) as sender,
            MulticastReceiver(LOOPBACK, group, DATA_PORT, use_gro=use_gro, datagram_length=LENGTH) as receiver,
        ):
            for last in (900, LENGTH, 1):
                sent = datagrams(SINGLES_IN_A_ROW + 50, last=last)
                sender.send_batch([b"".join(sent)], LENGTH)
                arrived: list[bytes] = []
                while len(arrived) < len(sent):
                    received = receiver.receive()
                    if received is None:
                        assert select.select([receiver], [], [], 10)[0], f"{len(arrived)} of {len(sent)} arrived"
                        continue
                    batch, length = received
                    arrived += [bytes(batch[start : start + length]) for start in range(0, len(batch), length)]
                assert arrived == sent
            assert receiver.is_reading_many

    def test_two_groups_on_one_port_do_not_mix(self) -> None:
        with both(tsi=None) as (one_sender, one), both(tsi=None) as (two_sender, two):
            one_sent, two_sent = datagrams(5), datagrams(7, tsi=1)
            one_sender.send_batch([b"".join(one_sent)], LENGTH)
            two_sender.send_batch([b"".join(two_sent)], LENGTH)
            assert arrivals(one, 5)[0] == one_sent
            assert arrivals(two, 7)[0] == two_sent

    def test_each_receiver_on_a_machine_gets_everything(self) -> None:
        group, sent = own_group(), datagrams(60)
        with (
            MulticastReceiver(LOOPBACK, group, DATA_PORT) as one,
            MulticastReceiver(LOOPBACK, group, DATA_PORT) as two,
            MulticastSender(LOOPBACK, group, DATA_PORT) as sender,
        ):
            sender.send_batch([b"".join(sent)], LENGTH)
            assert arrivals(one, 60)[0] == arrivals(two, 60)[0] == sent

    @pytest.mark.parametrize("use_gro", [True, False])
    def test_the_filter_drops_junk_and_only_junk(self, use_gro: bool) -> None:
        with both(use_gro=use_gro) as (sender, receiver):
            assert receiver.is_filtering
            true = encode_header(TSI, 1, 2, 3, 4) + bytes(40)
            junk = [true[:at] + bytes([true[at] ^ 1]) + true[at + 1 :] for at in (0, 1, 2, 4, 7, 8, 11)]
            for datagram in [*junk, b"", b"x", true[:11], bytes(LENGTH)]:
                if datagram:
                    sender.send_batch([datagram], LENGTH)
            sender.send_batch([bytes(30 * LENGTH)], LENGTH)
            sent = [true, *datagrams(70)]
            sender.send_batch(sent, LENGTH)
            assert arrivals(receiver, 71)[0] == sent
            assert receiver.refused_count >= len(junk) + 4
            assert receiver.drop_count == 0

    @pytest.mark.parametrize("takes_filter", [True, False], ids=["kernel", "fallback"])
    @pytest.mark.parametrize("use_gro", [True, False])
    @pytest.mark.parametrize("tsi", [TSI, None])
    def test_what_others_send_never_arrives(
        self, monkeypatch: pytest.MonkeyPatch, tsi: int | None, use_gro: bool, takes_filter: bool
    ) -> None:
        if not takes_filter:
            monkeypatch.setattr(linux_udp, "attach_session_filter", lambda *_: False)
        with MulticastSender(LOOPBACK, own_group(), DATA_PORT) as probe:
            source = probe.source
        with both(tsi=tsi, use_gro=use_gro, source=source) as (sender, receiver):
            assert receiver.is_filtering is takes_filter
            with MulticastSender(LOOPBACK, str(sender._group), DATA_PORT) as other:
                other._socket.close()
                other._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                other._socket.bind(("127.0.0.2", 0))
                linux_udp.send_through(other._socket, other._group, LOOPBACK.index, 1)
                other._socket.connect((str(other._group), DATA_PORT))
                assert other.source == "127.0.0.2"
                for _ in range(3):
                    other.send_batch([b"".join(datagrams(100))], LENGTH)
                    other.send_batch(datagrams(2), LENGTH)
                    sender.send_batch([b"".join(datagrams(50))], LENGTH)
                assert arrivals(receiver, 150)[0] == 3 * datagrams(50)
            assert receiver.drop_count == 0
            assert (receiver.refused_count > 0) is takes_filter

    @needs_namespaces
    @pytest.mark.parametrize("takes_filter", [True, False], ids=["kernel", "fallback"])
    def test_what_others_send_by_ipv6_never_arrives(self, monkeypatch: pytest.MonkeyPatch, takes_filter: bool) -> None:
        if not takes_filter:
            monkeypatch.setattr(linux_udp, "attach_session_filter", lambda *_: False)

        def test(interface: InterfaceInfo) -> None:
            with both(interface, ipv6=True, tsi=TSI, source=str(interface.ipv6)) as (sender, receiver):
                assert sender.source == interface.ipv6
                sender.send_batch(datagrams(10), LENGTH)
                assert arrivals(receiver, 10)[0] == datagrams(10)
            other = str(ip_address(str(interface.ipv6)) + 1)
            with both(interface, ipv6=True, tsi=TSI, source=other) as (sender, receiver):
                sender.send_batch(datagrams(10), LENGTH)
                assert receiver.receive() is None
                assert (receiver.refused_count > 0) is takes_filter

        in_namespace(test)

    @pytest.mark.parametrize("source", ["::1", "nobody", "127.0.0.1.1", "127.0.0.1/8"])
    def test_a_source_that_cannot_be_is_refused(self, source: str) -> None:
        with pytest.raises(TransportError, match="is no IPv4 address that datagrams can come from"):
            MulticastReceiver(LOOPBACK, own_group(), DATA_PORT, source=source)

    def test_what_is_refused_while_the_buffer_is_empty_found_room(self) -> None:
        with both(source="127.0.0.9") as (sender, receiver):
            for _ in range(20):
                sender.send_batch(datagrams(10), LENGTH)
            assert (receiver.drop_count, receiver.refused_count > 0) == (0, True)

    def test_without_a_session_nothing_is_filtered(self) -> None:
        with both(tsi=None) as (sender, receiver):
            assert not receiver.is_filtering
            sender.send_batch([b"junk"], LENGTH)
            assert arrivals(receiver, 1)[0] == [b"junk"]

    def test_an_empty_datagram_is_an_empty_batch(self) -> None:
        with both(tsi=None) as (sender, receiver):
            sender._socket.send(b"")
            assert select.select([receiver], [], [], 10)[0]
            received = receiver.receive()
            assert received is not None
            assert (len(received[0]), received[1]) == (0, 1)

    def test_what_does_not_fit_the_buffer_is_counted(self) -> None:
        group = own_group()
        with (
            MulticastReceiver(LOOPBACK, group, DATA_PORT, tsi=TSI, receive_buffer_bytes=4096) as receiver,
            MulticastSender(LOOPBACK, group, DATA_PORT) as sender,
        ):
            assert receiver.receive_buffer_bytes < 1 << 20
            sender.send_batch([b"".join(datagrams(440))], LENGTH)
            assert receiver.drop_count >= 1

    def test_the_buffer_that_the_kernel_gave_is_told(self) -> None:
        rmem_max = int(open("/proc/sys/net/core/rmem_max").read())  # noqa: PTH123, SIM115 - one number
        with MulticastReceiver(LOOPBACK, own_group(), DATA_PORT, receive_buffer_bytes=rmem_max) as receiver:
            assert (receiver.receive_buffer_bytes, receiver.is_buffer_capped) == (rmem_max, False)
        with MulticastReceiver(LOOPBACK, own_group(), DATA_PORT, receive_buffer_bytes=4 * rmem_max) as receiver:
            forced = receiver.receive_buffer_bytes == 4 * rmem_max
            assert receiver.is_buffer_capped is not forced
            assert forced or receiver.receive_buffer_bytes == rmem_max

    def test_a_receiver_that_joins_again_goes_on(self) -> None:
        with both() as (sender, receiver):
            receiver.rejoin()
            sender.send_batch(datagrams(3), LENGTH)
            assert arrivals(receiver, 3)[0] == datagrams(3)

    def test_a_receiver_that_left_hears_nothing_until_it_joins_again(self) -> None:
        group = own_group()
        with (
            MulticastReceiver(LOOPBACK, group, DATA_PORT) as one,
            MulticastReceiver(LOOPBACK, group, DATA_PORT) as other,
            MulticastSender(LOOPBACK, group, DATA_PORT) as sender,
        ):
            assert one.is_member
            for _ in range(2):  # again has no effect
                one.leave()
                assert not one.is_member
            sender.send_batch(datagrams(3), LENGTH)
            assert arrivals(other, 3)[0] == datagrams(3)
            assert one.receive() is None
            one.rejoin()
            assert one.is_member
            sender.send_batch(datagrams(4), LENGTH)
            assert arrivals(one, 4)[0] == datagrams(4)

    def test_a_group_in_use_is_noticed(self) -> None:
        group = own_group()
        assert not listen_for_foreign(LOOPBACK, group, DATA_PORT, 0.02)
        done = threading.Event()

        def cast() -> None:
            with MulticastSender(LOOPBACK, group, DATA_PORT) as sender:
                while not done.wait(0.002):
                    sender.send_batch([b"junk", *datagrams(1, tsi=99)], LENGTH)

        caster = threading.Thread(target=cast)
        caster.start()
        try:
            assert listen_for_foreign(LOOPBACK, group, DATA_PORT, 10)
        finally:
            done.set()
            caster.join()

    def test_junk_does_not_take_a_group(self) -> None:
        group = own_group()
        done = threading.Event()

        def shout() -> None:
            with MulticastSender(LOOPBACK, group, DATA_PORT) as sender:
                while not done.wait(0.002):
                    sender.send_batch([b"junk"], LENGTH)

        shouter = threading.Thread(target=shout)
        shouter.start()
        try:
            assert not listen_for_foreign(LOOPBACK, group, DATA_PORT, 0.05)
        finally:
            done.set()
            shouter.join()

    def test_a_port_in_use_is_told_in_words(self) -> None:
        group = own_group()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((group, 0))
            with pytest.raises(TransportError, match="the port is in use by another program"):
                MulticastReceiver(LOOPBACK, group, other.getsockname()[1])

    def test_an_interface_that_is_gone_is_told_in_words(self) -> None:
        gone = replace(LOOPBACK, name="gone7", index=0x7FFF_FFF0)
        with pytest.raises(TransportError, match="on gone7: the interface"):
            MulticastSender(gone, own_group(), DATA_PORT)
        with pytest.raises(TransportError, match="on gone7: the interface"):
            MulticastReceiver(gone, own_group(), DATA_PORT)

    @pytest.mark.parametrize("length", [0, -1, 65_508])
    def test_an_impossible_datagram_length_is_our_own_fault(self, length: int) -> None:
        with MulticastSender(LOOPBACK, own_group(), DATA_PORT) as sender, pytest.raises(SessionStateError):
            sender.send_batch([b"x"], length)

    def test_closing_frees_the_descriptor(self) -> None:
        receiver = MulticastReceiver(LOOPBACK, own_group(), DATA_PORT)
        assert receiver.fileno() >= 0
        receiver.close()
        receiver.close()
        assert receiver.fileno() == -1

    def test_the_options_of_the_sender(self) -> None:
        with MulticastSender(LOOPBACK, own_group(), DATA_PORT) as sender:
            udp = sender._socket
            assert udp.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 1
            assert udp.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP) == 1
            assert udp.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x20
            assert sender.overhead == 8 + 20 + 14


@needs_namespaces
@pytest.mark.system
class TestOnAnInterface:
    @pytest.mark.parametrize("ipv6", [False, True])
    @pytest.mark.parametrize("is_plain", [False, True])
    def test_datagrams_pass(self, ipv6: bool, is_plain: bool) -> None:
        def test(interface: InterfaceInfo) -> None:
            with both(interface, ipv6=ipv6, use_gro=not is_plain, use_segmentation=not is_plain) as (sender, receiver):
                sent = datagrams(100, last=900)
                sender.send_batch([bytes(10 * LENGTH)], LENGTH)  # junk, for the filter
                sender.send_batch([b"".join(sent)], LENGTH)
                assert arrivals(receiver, 100)[0] == sent
                assert sender.overhead == (62 if ipv6 else 42)
                receiver.rejoin()

        in_namespace(test)

    @pytest.mark.parametrize("ipv6", [False, True])
    def test_two_groups_on_one_port_do_not_mix(self, ipv6: bool) -> None:
        def test(interface: InterfaceInfo) -> None:
            with (
                both(interface, ipv6=ipv6, tsi=None) as (one_sender, one),
                both(interface, ipv6=ipv6, tsi=None) as (two_sender, two),
            ):
                one_sender.send_batch(datagrams(5), LENGTH)
                two_sender.send_batch(datagrams(7, tsi=1), LENGTH)
                assert arrivals(one, 5)[0] == datagrams(5)
                assert arrivals(two, 7)[0] == datagrams(7, tsi=1)

        in_namespace(test)

    def test_another_interface_is_not_heard(self) -> None:
        def test(interface: InterfaceInfo) -> None:
            lo = replace(LOOPBACK, index=socket.if_nametoindex("lo"))
            group = own_group()
            with (
                MulticastReceiver(interface, group, DATA_PORT) as here,
                MulticastReceiver(lo, group, DATA_PORT) as there,
                MulticastSender(lo, group, DATA_PORT) as sender,
            ):
                sender.send_batch(datagrams(2), LENGTH)
                assert arrivals(there, 2)[0] == datagrams(2)
                assert here.receive() is None

        in_namespace(test)

    @pytest.mark.parametrize("ipv6", [False, True])
    @pytest.mark.parametrize("use_segmentation", [False, True])
    def test_a_datagram_beyond_the_mtu_is_never_cut(self, ipv6: bool, use_segmentation: bool) -> None:
        def test(interface: InterfaceInfo) -> None:
            subprocess.run(["ip", "link", "set", interface.name, "mtu", "1400"], check=True)
            with (
                both(interface, ipv6=ipv6, use_segmentation=use_segmentation) as (sender, _receiver),
                pytest.raises(TransportError, match="do not fit its MTU"),
            ):
                sender.send_batch([b"".join(datagrams(3))], LENGTH)

        in_namespace(test)

    @pytest.mark.parametrize("ipv6", [False, True])
    def test_a_receiver_leaves_and_joins_again(self, ipv6: bool) -> None:
        def test(interface: InterfaceInfo) -> None:
            def joined() -> bool:
                shown = subprocess.run(["ip", "maddress", "show", interface.name], check=True, capture_output=True)
                return group.encode() in shown.stdout

            group = own_group(ipv6)
            with MulticastReceiver(interface, group, DATA_PORT) as receiver:
                assert joined()
                receiver.leave()
                assert not joined()
                receiver.rejoin()
                assert joined()

        in_namespace(test)

    @pytest.mark.parametrize("ipv6", [False, True])
    def test_an_interface_that_is_removed_can_be_left_but_not_joined(self, ipv6: bool) -> None:
        def test(interface: InterfaceInfo) -> None:
            with MulticastReceiver(interface, own_group(ipv6), DATA_PORT) as receiver:
                subprocess.run(["ip", "link", "delete", interface.name], check=True)
                with pytest.raises(TransportError, match=f"on {interface.name}: "):
                    receiver.rejoin()
                assert not receiver.is_member
                receiver.leave()

        in_namespace(test)

    def test_a_cable_pulled_is_told_in_words(self) -> None:
        def test(interface: InterfaceInfo) -> None:
            with both(interface) as (sender, receiver):
                subprocess.run(["ip", "link", "set", interface.name, "down"], check=True)
                with pytest.raises(TransportError, match="down"):
                    sender.send_batch(datagrams(1), LENGTH)
                assert receiver.receive() is None
                subprocess.run(["ip", "link", "set", interface.name, "up"], check=True)
                receiver.rejoin()
                sender.send_batch(datagrams(2), LENGTH)
                assert arrivals(receiver, 2)[0] == datagrams(2)

        in_namespace(test)
