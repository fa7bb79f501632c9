import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import Host, Lab, LabError, missing_requirement, remove_leftovers

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}"),
]

GROUP4, GROUP6, PORT = "239.77.0.1", "ff15::77:1", 5777
DATAGRAM = 1000
"""[bytes] One UDP payload of these tests."""

# It does not read before it is told that all is sent: what is in the socket's buffer then is what arrived.
LISTEN = """
import socket, struct, sys, time
group, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
index = socket.if_nametoindex("eth0")
if ":" in group:
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    join = socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", index)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, join)
else:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + struct.pack("@4si", b"", index))
s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
s.setsockopt(socket.IPPROTO_UDP, 104, 1)  # UDP_GRO
s.bind((group, port))
print("listening", flush=True)
sizes, started = [], 0.0
if count:  # a stream of known length, timed from its first datagram
    while sum(sizes) < count:
        sizes.append(len(s.recv(65536)))
        started = started or time.monotonic()
else:
    sys.stdin.readline()
    s.setblocking(False)
    try:
        while True:
            sizes.append(len(s.recv(65536)))
    except BlockingIOError:
        pass
import json
print(json.dumps({"bytes": sum(sizes), "largest": max(sizes, default=0), "seconds": time.monotonic() - started}))
"""

# The pause every 100 datagrams keeps a busy machine's receive backlog (1,000 per core) from adding a loss of its own.
SEND = """
import socket, sys, time
group, port, datagrams, length, batch = sys.argv[1], *map(int, sys.argv[2:])
s = socket.socket(socket.AF_INET6 if ":" in group else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_UDP, 103, length)  # UDP_SEGMENT
if ":" in group:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
for first in range(0, datagrams, batch):
    s.sendto(bytes(length * min(batch, datagrams - first)), (group, port))
    if first % 100 < batch:
        time.sleep(0.002)
"""


class Listener:
    def __init__(self, host: Host, *, group: str = GROUP4, stream: int = 0) -> None:
        argv = [sys.executable, "-c", LISTEN, group, str(PORT), str(stream)]
        self.process = host.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "listening\n"

    def result(self) -> dict[str, float]:
        output, _ = self.process.communicate("sent\n", timeout=30)
        result: dict[str, float] = json.loads(output)
        return result

    def received(self) -> int:
        return int(self.result()["bytes"]) // DATAGRAM


def send(host: Host, datagrams: int, *, group: str = GROUP4, batch: int = 1) -> None:
    host.run([sys.executable, "-c", SEND, group, str(PORT), str(datagrams), str(DATAGRAM), str(batch)])


@pytest.mark.parametrize("group", [GROUP4, GROUP6])
def test_multicast_reaches_every_receiver(group: str) -> None:
    with Lab(3) as lab:
        listeners = [Listener(host, group=group) for host in lab.receivers]
        send(lab.broadcaster, 200, group=group)
        assert [listener.received() for listener in listeners] == [200, 200, 200]


def test_unicast_passes_between_hosts() -> None:
    with Lab(2) as lab:
        for address in (lab.receivers[1].ipv4, lab.receivers[1].ipv6):
            lab.receivers[0].run([sys.executable, "-c", PROBE, address])


PROBE = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_STREAM)
s.settimeout(10)
try:
    s.connect((sys.argv[1], 9))
except ConnectionRefusedError:  # the other host's own answer: nobody listens there
    sys.exit(0)
sys.exit(1)
"""


def test_loss_hits_one_host_at_its_ratio() -> None:
    with Lab(2) as lab:
        lossy, healthy = lab.receivers
        lossy.set_loss(0.30)
        listeners = [Listener(lossy), Listener(healthy)]
        send(lab.broadcaster, 4000)
        received = listeners[0].received()
        # numgen cannot be seeded: 0.30 +- 6 standard deviations of 4,000 throws.
        assert 4000 * 0.70 - 174 <= received <= 4000 * 0.70 + 174
        assert listeners[1].received() == 4000
        assert received + lossy.counters().lost >= 4000
        assert healthy.counters().lost == 0


def test_loss_can_be_healed() -> None:
    with Lab(1) as lab:
        host = lab.receivers[0]
        host.set_loss(1)
        lost = Listener(host)
        send(lab.broadcaster, 50)
        assert lost.received() == 0
        host.set_loss(0)
        healed = Listener(host)
        send(lab.broadcaster, 50)
        assert healed.received() == 50


def test_batches_cross_the_lab_whole() -> None:
    with Lab(1) as lab:
        listener = Listener(lab.receivers[0])
        send(lab.broadcaster, 400, batch=40)
        assert listener.result()["largest"] == 40 * DATAGRAM


def test_loss_takes_batches_apart() -> None:
    with Lab(2) as lab:
        lossy, healthy = lab.receivers
        lossy.set_loss(0.10)
        listeners = [Listener(lossy), Listener(healthy)]
        send(lab.broadcaster, 4000, batch=40)
        first, second = (listener.result() for listener in listeners)
        assert first["largest"] == DATAGRAM
        assert 4000 * 0.90 - 114 <= first["bytes"] / DATAGRAM <= 4000 * 0.90 + 114
        assert second["largest"] == 40 * DATAGRAM
        assert second["bytes"] == 4000 * DATAGRAM


def test_bursts_are_lost_whole_and_nothing_else() -> None:
    with Lab(1) as lab:
        host = lab.receivers[0]
        with host.bursts_lost(0.03, 0.03):
            listener = Listener(host)
            send(lab.broadcaster, 6000)  # 0.12 s at least
            assert 0 < listener.received() < 5900
        healed = Listener(host)
        send(lab.broadcaster, 50)
        assert healed.received() == 50


def test_multicast_is_doubled_where_it_should_be() -> None:
    with Lab(3) as lab:
        lab.double_multicast(lab.broadcaster, *lab.receivers[:2])
        listeners = [Listener(host) for host in lab.receivers]
        send(lab.broadcaster, 400, batch=40)
        assert [listener.received() for listener in listeners] == [800, 800, 400]


def test_hosts_on_the_island_reach_each_other_only() -> None:
    with Lab(3) as lab:
        first, second, other = lab.receivers
        lab.cut_off(first, second)
        listeners = [Listener(host) for host in lab.receivers]
        send(lab.broadcaster, 50)
        send(first, 30)
        assert [listener.received() for listener in listeners] == [30, 30, 50]
        lab.rejoin(first, second)
        other.run([sys.executable, "-c", PROBE, first.ipv4])


def test_a_datagram_that_is_longer_than_the_mtu_does_not_pass() -> None:
    with Lab(2) as lab:
        lab.receivers[0].set_mtu(1000)
        listeners = [Listener(host) for host in lab.receivers]
        send(lab.broadcaster, 50)
        assert [listener.received() for listener in listeners] == [0, 50]


def test_a_shaped_sender_keeps_to_the_rate_and_loses_nothing() -> None:
    with Lab(1) as lab:
        lab.broadcaster.shape_sending("100mbit")
        sent = 4_000_000
        listener = Listener(lab.receivers[0], stream=sent)
        send(lab.broadcaster, sent // DATAGRAM, batch=40)
        rate = sent * 8 / listener.result()["seconds"]
        # A busy machine may be slower; the bucket of 128 KiB may pass at once, which is 3 % here.
        assert 50e6 <= rate <= 106e6


def test_a_shaped_port_loses_what_its_buffer_cannot_hold() -> None:
    with Lab(2) as lab:
        slow, fast = lab.receivers
        slow.shape_receiving("10mbit")
        listeners = [Listener(slow), Listener(fast)]
        send(lab.broadcaster, 4000)
        assert 100 <= listeners[0].received() <= 2000
        assert listeners[1].received() == 4000


def test_a_blackhole_swallows_multicast_only() -> None:
    with Lab(2) as lab:
        dark, bright = lab.receivers
        dark.blackhole_multicast()
        listeners = [Listener(dark), Listener(bright)]
        send(lab.broadcaster, 100)
        assert [listener.received() for listener in listeners] == [0, 100]
        lab.broadcaster.run([sys.executable, "-c", PROBE, dark.ipv4])
        dark.blackhole_multicast(False)
        again = Listener(dark)
        send(lab.broadcaster, 100)
        assert again.received() == 100


def test_a_snooping_switch_forwards_to_members_only() -> None:
    with Lab(2, snooping=True) as lab:
        member, other = lab.receivers
        listener = Listener(member)
        for _ in range(100):  # the bridge floods until its first query has been answered
            before = other.counters().received_bytes
            send(lab.broadcaster, 100)
            if other.counters().received_bytes - before < 10 * DATAGRAM:
                break
        else:
            pytest.fail("the bridge still floods a group that this host never joined")
        assert listener.received() >= 100


def test_an_unplugged_host_keeps_its_addresses() -> None:
    with Lab(1) as lab:
        host = lab.receivers[0]
        listener = Listener(host)
        host.unplug()
        send(lab.broadcaster, 50)
        host.plug()
        lab.broadcaster.run([sys.executable, "-c", PROBE, host.ipv4])
        assert listener.received() == 0
        assert host.ipv6 in host.run(["ip", "-6", "addr"]).stdout


def test_a_stranger_is_one_more_machine_and_no_receiver() -> None:
    with Lab(1) as lab:
        stranger = lab.plug_in("stranger")
        assert (lab.receivers, lab.strangers) == (lab.hosts[1:], [stranger])
        assert len({host.ipv4 for host in (*lab.hosts, stranger)}) == 3
        listener = Listener(lab.receivers[0])
        send(stranger, 10)
        assert listener.result()["bytes"] == 10 * DATAGRAM
    assert stranger.namespace not in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout


def test_nothing_is_left_after_an_exception() -> None:
    lab = Lab(2)
    processes = []

    def fail_inside() -> None:
        with lab:
            processes.append(lab.broadcaster.popen(["sleep", "1000"]))
            processes.append(lab.receivers[0].popen(["sh", "-c", "setsid sleep 1000 & exec sleep 1000"]))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert [process.returncode for process in processes] == [-9, -9]
    assert not any(host.namespace in namespaces() for host in lab.hosts)
    assert not any(f"slatecast-{os.getpid()}-" in name for name in namespaces())


def test_two_labs_live_side_by_side() -> None:
    with Lab(1) as first, Lab(1) as second:
        listeners = [Listener(lab.receivers[0]) for lab in (first, second)]
        send(first.broadcaster, 20)
        assert [listener.received() for listener in listeners] == [20, 0]


ABANDON = """
import os, subprocess
from tests.lab import Lab
lab = Lab(1).__enter__()
lab.receivers[0].popen(["sleep", "1000"], stdout=subprocess.DEVNULL)
print(lab.broadcaster.namespace, flush=True)
os._exit(0)
"""


def test_the_next_lab_removes_what_a_dead_owner_left() -> None:
    with Lab(1) as mine:
        abandoned = subprocess.run(
            [sys.executable, "-c", ABANDON],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.strip()
        assert abandoned in namespaces()
        remove_leftovers()
        assert abandoned not in namespaces()
        assert mine.broadcaster.namespace in namespaces()


def test_a_refused_step_says_why() -> None:
    with Lab(1) as lab, pytest.raises(LabError, match="rate"):
        lab.broadcaster.shape_sending("nonsense")


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
def test_loss_outside_of_0_to_1_is_refused(ratio: float) -> None:
    with Lab(1) as lab, pytest.raises(ValueError, match="ratio"):
        lab.receivers[0].set_loss(ratio)


def namespaces() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
