"""A network lab of namespaces: one broadcaster and N receivers on a bridge, with faults on demand.

Each host is a network namespace with one interface, ``eth0``, whose other end is a port of a bridge in a namespace
of its own; nothing is created in the namespace of the caller and no traffic leaves the lab. Faults are the kernel's:
nftables drops at the host's ingress, tc tbf shapes and mirred doubles, the bridge stops flooding multicast, ports move
to an island. What no kernel here can do (delay, reorder, corruption) is tests/relay.py's. It needs root, iproute2 and
nftables, and refuses to start without them.

Invariant: when a Lab is closed, by its ``with`` block or by an exception, its namespaces and every process in them are
gone. What a killed test run could not remove, the next Lab removes: namespaces carry the pid of their owner, and only
those of dead owners are touched.

What was checked to work on such a machine: DESIGN.md section 12.
"""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

INTERFACE: Final = "eth0"
"""The one interface of every host."""

_NAME: Final = re.compile(r"slatecast-(?P<owner>\d+)-\d+-\w+")
_serial = itertools.count()

_IS_MULTICAST: Final = "4,48 0 0 0,69 0 1 1,6 0 0 4294967295,6 0 0 0"
"""Classic BPF: whether the lowest bit of a link header's first byte, of the address that it goes to, is set."""

_TBF_BURST: Final = 131_072
"""[bytes] Two batches of 44 datagrams, so that tbf does not have to cut a batch apart; about 1 ms at 1 Gbit/s."""

_SENDING_QUEUE: Final = 4_194_304
"""[bytes] Above any usual send buffer: a sender that is shaped blocks in its socket, as it does at a real card."""

_RECEIVING_QUEUE: Final = 524_288
"""[bytes] Chosen: a shallow buffer of a switch port; what does not fit is lost, as it is there."""


class LabError(Exception):
    """The lab cannot be built here, or the kernel refused a step of it; the text carries the tool's own words."""


def missing_requirement() -> str | None:
    """Why no Lab can be built here, in words for a skipped test, or None when it can."""
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    missing = [tool for tool in ("ip", "tc", "bridge", "nft") if shutil.which(tool) is None]
    if missing:
        return f"needs {', '.join(missing)}: apt-get install iproute2 nftables"
    return None


@dataclass(frozen=True, slots=True)
class Counters:
    """What the kernel counted at one host since the lab was built."""

    sent_bytes: int
    """[bytes] Out of eth0, link headers included."""
    received_bytes: int
    """[bytes] Into eth0, before the loss."""
    lost: int
    """[datagrams] Dropped by ``set_loss`` since it was last called."""
    buffer_errors: int
    """[arrivals] Dropped because a UDP socket's buffer was full, IPv4 and IPv6 together; a whole batch counts once."""


class Host:
    """One machine of the lab; its faults can be changed at any time."""

    def __init__(self, name: str, number: int, namespace: str, switch: str) -> None:
        self.name = name
        self.namespace = namespace
        self.interface = INTERFACE
        self.ipv4 = f"10.77.{number >> 8}.{number & 0xFF}"
        self.ipv6 = f"fd00:77::{number:x}"
        self.port = f"port{number}"
        """the other end of its cable, in the namespace ``switch``"""
        self.switch = switch
        self._processes: list[subprocess.Popen[str]] = []

    def command(self, argv: Sequence[str | Path]) -> list[str]:
        """The command line that runs ``argv`` on this host; the process keeps its pid through it."""
        return ["ip", "netns", "exec", self.namespace, *map(str, argv)]

    def popen(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: int | IO[str] | None = subprocess.DEVNULL,
        stdout: int | IO[str] | None = None,
        stderr: int | IO[str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[str]:
        """Start ``argv`` on this host; it is killed with the lab at the latest."""
        process = subprocess.Popen(
            self.command(argv), stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd, text=True
        )
        self._processes.append(process)
        return process

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        timeout: float = 60,
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` on this host to its end and return its output; ``timeout`` in seconds."""
        return subprocess.run(self.command(argv), timeout=timeout, check=check, env=env, capture_output=True, text=True)

    def set_loss(self, ratio: float) -> None:
        """Drop this share (0 to 1) of all that arrives, each datagram on its own; 0 heals the host.

        While there is loss the port takes batches apart before they reach the host: otherwise a whole batch of
        UDP_SEGMENT would share one throw of the dice. The receiver then reads single datagrams.
        """
        if not 0 <= ratio <= 1:
            raise ValueError(f"loss is a ratio from 0 to 1, not {ratio}")
        drops = round(ratio * 10_000)
        call(["ip", "-n", self.switch, "link", "set", self.port, "gso_max_segs", "1" if drops else "65535"])
        rules = "add table netdev lab; delete table netdev lab;"
        if drops:
            rules += _drop_where(f"numgen random mod 10000 <= {drops - 1}")
        call(self.command(["nft", "-f", "-"]), rules)

    @contextmanager
    def bursts_lost(self, seconds: float, pause: float) -> Iterator[None]:
        """Drop all that arrives for ``seconds``, then nothing for ``pause``, again and again while this is open."""
        self.set_loss(0)
        on, off = f"nft '{_drop_where('')}' && sleep {seconds}", f"nft delete table netdev lab && sleep {pause}"
        process = self.popen(["sh", "-c", f"while {on} && {off}; do :; done"])
        try:
            yield
            if process.poll() is not None:
                raise LabError(f"the bursts at {self.name} have ended by themselves")
        finally:
            process.kill()
            process.wait()
            self.set_loss(0)

    def shape_sending(self, rate: str | None) -> None:
        """Let this host send no more than ``rate`` (tc's words, "1gbit"); a sender blocks. None ends it."""
        _shape(self.namespace, INTERFACE, rate, _SENDING_QUEUE)

    def shape_receiving(self, rate: str | None) -> None:
        """Let the port pass no more than ``rate`` to this host; what its buffer cannot hold is lost. None ends it."""
        _shape(self.switch, self.port, rate, _RECEIVING_QUEUE)

    def blackhole_multicast(self, on: bool = True) -> None:
        """Forward no multicast to this host, as a switch that snoops without a querier; unicast still passes."""
        flood = "off" if on else "on"
        call(["bridge", "-n", self.switch, "link", "set", "dev", self.port, "mcast_flood", flood])

    def set_mtu(self, size: int) -> None:
        """Let the cable carry no more than ``size`` bytes of IP at once, at both of its ends; 1500 is usual."""
        call(["ip", "-n", self.namespace, "link", "set", INTERFACE, "mtu", str(size)])
        call(["ip", "-n", self.switch, "link", "set", self.port, "mtu", str(size)])

    def unplug(self) -> None:
        """Take the carrier away at the port; the host keeps its addresses, as with a pulled cable."""
        call(["ip", "-n", self.switch, "link", "set", self.port, "down"])

    def plug(self) -> None:
        """Give the carrier back."""
        call(["ip", "-n", self.switch, "link", "set", self.port, "up"])

    def counters(self) -> Counters:
        """What the kernel has counted up to now."""
        link = _json(["ip", "-n", self.namespace, "-j", "-s", "link", "show", INTERFACE])[0]["stats64"]
        udp = _json(self.command(["nstat", "-azsj", "UdpRcvbufErrors", "Udp6RcvbufErrors"]))["kernel"]
        rules = _json(self.command(["nft", "-j", "list", "ruleset"]))["nftables"]
        expressions = [expression for item in rules for expression in item.get("rule", {}).get("expr", [])]
        return Counters(
            sent_bytes=link["tx"]["bytes"],
            received_bytes=link["rx"]["bytes"],
            lost=sum(expression["counter"]["packets"] for expression in expressions if "counter" in expression),
            buffer_errors=sum(udp.values()),
        )

    def stop(self) -> None:
        """Kill every process on this host, those that its processes started included, and reap our own."""
        for process in self._processes:
            process.kill()  # one that was started just now may not have entered the namespace yet
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        _kill_all(self.namespace)


class Lab:
    """A bridge, a broadcaster and ``receivers`` receivers, alive inside the ``with`` block.

    Args:
        receivers: number of hosts besides the broadcaster.
        snooping: the bridge follows IGMP and MLD, and asks its ports who listens (a querier), as a good switch does.
    """

    def __init__(self, receivers: int, *, snooping: bool = False) -> None:
        missing = missing_requirement()
        if missing:
            raise LabError(f"the network lab {missing}")
        prefix = f"slatecast-{os.getpid()}-{next(_serial)}"
        self.switch = f"{prefix}-switch"
        self._snooping = snooping
        names = ["broadcaster", *(f"receiver{number}" for number in range(1, receivers + 1))]
        self._prefix = prefix
        self.hosts = [Host(name, number, f"{prefix}-{name}", self.switch) for number, name in enumerate(names, 1)]
        self.strangers: list[Host] = []
        """machines on the switch that are neither broadcaster nor receivers"""

    @property
    def broadcaster(self) -> Host:
        """The first host."""
        return self.hosts[0]

    @property
    def receivers(self) -> list[Host]:
        """All other hosts."""
        return self.hosts[1:]

    def plug_in(self, name: str) -> Host:
        """Plug one more machine into the switch of a lab that is open: a stranger, which is gone with the lab."""
        number = len(self.hosts) + len(self.strangers) + 1
        stranger = Host(name, number, f"{self._prefix}-{name}", self.switch)
        self.strangers.append(stranger)
        self._plug_in(stranger, stranger.port)
        return stranger

    def double_multicast(self, source: Host, *hosts: Host) -> None:
        """Let every multicast datagram of ``source`` arrive twice at ``hosts``; a batch is doubled as one."""
        tc = ["tc", "-n", self.switch]
        actions = [word for host in hosts for word in ("action", "mirred", "egress", "mirror", "dev", host.port)]
        call([*tc, "qdisc", "add", "dev", source.port, "clsact"])
        call([*tc, "filter", "add", "dev", source.port, "ingress", "bpf", "bytecode", _IS_MULTICAST, *actions])

    def cut_off(self, *hosts: Host) -> None:
        """Move these hosts to an island, as when the cable between two switches breaks: they reach each other only."""
        _batch(self.switch, *(f"link set {host.port} master island" for host in hosts))

    def rejoin(self, *hosts: Host) -> None:
        """Bring hosts back from the island."""
        _batch(self.switch, *(f"link set {host.port} master switch" for host in hosts))

    def __enter__(self) -> Self:
        remove_leftovers()
        try:
            self._build_switch()
            for number, host in enumerate(self.hosts, 1):
                self._plug_in(host, f"port{number}")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill what runs in the lab and remove it; closing twice does nothing."""
        present = _namespaces()
        machines = [*self.hosts, *self.strangers]
        for host in machines:
            if host.namespace in present:
                host.stop()
        for namespace in (*(host.namespace for host in machines), self.switch):
            if namespace in present:
                call(["ip", "netns", "delete", namespace])

    def _build_switch(self) -> None:
        _create_namespace(self.switch)
        _batch(
            self.switch,
            f"link add switch type bridge mcast_snooping {int(self._snooping)}",
            "link set switch up",
            "link add island type bridge mcast_snooping 0",
            "link set island up",
        )
        if self._snooping:
            # A bridge floods until its first query could have been answered: 10 s by default, here 0.1 s.
            _batch(
                self.switch,
                "link set switch type bridge mcast_query_response_interval 10",
                "link set switch type bridge mcast_querier 1",
            )

    def _plug_in(self, host: Host, port: str) -> None:
        _create_namespace(host.namespace)
        _batch(
            self.switch,
            f"link add {port} type veth peer name {INTERFACE} netns {host.namespace}",
            f"link set {port} master switch up",
        )
        _batch(
            host.namespace,
            "link set lo up",
            f"addr add {host.ipv4}/16 broadcast 10.77.255.255 dev {INTERFACE}",
            f"addr add {host.ipv6}/64 dev {INTERFACE}",
            f"link set {INTERFACE} up",
            # A sender that names no interface needs a route to the groups; IPv6 has ff00::/8 by itself.
            f"route add 224.0.0.0/4 dev {INTERFACE}",
        )


def remove_leftovers() -> list[str]:
    """Remove the labs of owners that were killed, with the processes in them; returns the namespaces removed."""
    removed = []
    for namespace in _namespaces():
        match = _NAME.fullmatch(namespace)
        if match and not Path("/proc", match["owner"]).exists():
            # Two labs may start at the same time; the one that comes second finds nothing, which is as good.
            with suppress(LabError):
                _kill_all(namespace)
                call(["ip", "netns", "delete", namespace])
                removed.append(namespace)
    return removed


def _create_namespace(namespace: str) -> None:
    call(["ip", "netns", "add", namespace])
    # Without duplicate address detection an IPv6 address can be used at once instead of after 1 to 2 s.
    call(["ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0"])


def _namespaces() -> list[str]:
    return [entry["name"] for entry in _json(["ip", "-j", "netns", "list"]) or []]


def _kill_all(namespace: str) -> None:
    # A process may be forking while it is listed, so the list is read until it is empty.
    while pids := call(["ip", "netns", "pids", namespace]).split():
        for pid in map(int, pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _drop_where(condition: str) -> str:
    """The table that drops what arrives at a host and meets a condition; an empty one always holds."""
    chain = f"type filter hook ingress device {INTERFACE} priority 0; {condition} counter drop;"
    return f"table netdev lab {{ chain ingress {{ {chain} }}; }}"


def _shape(namespace: str, interface: str, rate: str | None, queue: int) -> None:
    qdisc = ["tc", "-n", namespace, "qdisc"]
    if rate is None:
        call([*qdisc, "replace", "dev", interface, "root", "noqueue"])
    else:
        tbf = ["tbf", "rate", rate, "burst", str(_TBF_BURST), "limit", str(queue)]
        call([*qdisc, "replace", "dev", interface, "root", *tbf])


def _batch(namespace: str, *lines: str) -> None:
    call(["ip", "-n", namespace, "-batch", "-"], "\n".join(lines))


def _json(argv: list[str]) -> Any:
    output = call(argv)
    return json.loads(output) if output.strip() else None


def call(argv: list[str], stdin: str = "") -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(argv)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout
