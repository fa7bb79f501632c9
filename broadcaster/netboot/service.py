"""The netboot part as a whole: HTTP, dnsmasq, and the machines that it answers, until it is told to end.

It reads boot orders each second and lets dnsmasq know who has one; that is all that changes while it runs. It needs no
broadcaster: while that is away, orders end by their own time.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from ipaddress import IPv4Address
from typing import Final

from broadcaster.environment.description import INITRD, KERNEL, read_description
from broadcaster.http_listener import HttpListener
from broadcaster.netboot.config import AddressRange, Dhcp, NetbootConfig, check_range, network_of
from broadcaster.netboot.decisions import OWN_DISK, Boots, Decision, Decisions
from broadcaster.netboot.dnsmasq import Dnsmasq
from broadcaster.netboot.dnsmasq_config import DnsmasqConfig
from broadcaster.netboot.handouts import Handouts, everyones
from broadcaster.netboot.http_service import BootFiles
from broadcaster.netboot.orders import OrdersFile
from broadcaster.netboot.other_servers import OtherServers
from broadcaster.netboot.ports import check_ports
from broadcaster.netboot.presence import ServingMark
from broadcaster.netboot.router_answers import RouterAnswers
from broadcaster.netboot.scripts import DISK_LOADER, Scripts
from protocol.errors import SlatecastError
from protocol.link.interfaces import resolve_interface

LOOK_SECONDS: Final = 1.0
"""[s] between looks at the orders: a PC takes longer from its power button to its first question"""

MOST_TOLD_MACHINES: Final = 4096
"""[machines] whose last decision is remembered, to tell each once; stops made-up addresses from filling memory"""

_logger = logging.getLogger(__name__)


class Netboot:
    """One run.

    Args:
        config: judged when ``run`` is called.
        say: takes a line for operators.
        clock: seconds since 1970, which orders are dated in.
    """

    def __init__(
        self, config: NetbootConfig, say: Callable[[str], object], clock: Callable[[], float] = time.time
    ) -> None:
        self._config = config
        self._say = say
        self._decisions = Decisions(
            OrdersFile(config.orders).read, clock, everyone=config.everyone, machines=frozenset(config.machines)
        )
        self._mark = ServingMark(config.orders)
        self._is_serving = False
        self._told: dict[str, Decision] = {}

    async def run(self, on_ready: Callable[[str], object]) -> None:
        """Serve until cancelled; ``on_ready`` is told where.

        Raises:
            ConfigError: environment or range cannot be used.
            RefusedError: dnsmasq, root or an IPv4 address is missing.
            TransportError: a port is taken, the interface is not fit, or dnsmasq does not run.
        """
        config = self._config
        config.check()
        environment = read_description(config.environment)
        interface = resolve_interface(config.interface or None)
        network = network_of(interface)
        addresses = AddressRange.parse(config.addresses) if config.dhcp is not Dhcp.PROXY else None
        if addresses is not None:
            check_range(addresses, network)
        check_ports(interface)
        scripts = Scripts(str(network.ip), config.port, config.server)
        with Handouts(config.environment, scripts, everyones(config.everyone)) as handouts:
            files = {KERNEL: handouts.kernel, INITRD: handouts.initrd, "ipxe.efi": handouts.tftp / "ipxe.efi"}
            if handouts.has_disk_loader:
                files[DISK_LOADER] = handouts.disk_loader
            answers = BootFiles(scripts, self._decisions.of, files, self._tell)
            configuration = handouts.folder / "dnsmasq.conf"
            configuration.write_text(
                DnsmasqConfig(
                    interface.name,
                    network,
                    config.dhcp,
                    addresses,
                    handouts.folder,
                    config.port,
                    config.uses_signed_loaders,
                    handouts.has_disk_loader,
                    self._answers_all,
                    config.everyone,
                ).text(),
                encoding="ascii",
            )
            handouts.publish(self._decisions.named(), self._decisions.answered())
            dnsmasq = Dnsmasq(configuration, left_alone=self._left_alone, served=self._served)
            async with HttpListener(IPv4Address(network.ip), config.port, interface.index, answers.answer):
                self._say(f"environment of {environment.suite} {environment.debian}, kernel {environment.kernel}")
                self._warn(handouts)
                where = f"{interface.name}, {network.ip}"
                beside = (
                    OtherServers(interface.name, config.dhcp, self._warning).watch(),
                    RouterAnswers(interface.name, interface.index, self._is_answered).serve(),
                )
                await self._serve(dnsmasq, handouts, beside, where, on_ready)

    async def _serve(
        self,
        dnsmasq: Dnsmasq,
        handouts: Handouts,
        beside: Iterable[Coroutine[None, None, None]],
        where: str,
        on_ready: Callable[[str], object],
    ) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(dnsmasq.keep(lambda: self._serves(where, on_ready)))
                tasks.create_task(self._follow(dnsmasq, handouts))
                for work in beside:
                    tasks.create_task(work)
        except BaseExceptionGroup as group:
            ours, rest = group.split(SlatecastError)
            if ours is None or rest is not None:
                raise
            raise _first(ours) from None
        finally:
            self._mark.close()

    def _serves(self, where: str, on_ready: Callable[[str], object]) -> None:
        self._is_serving = True
        self._mark.hold()
        on_ready(where)

    async def _follow(self, dnsmasq: Dnsmasq, handouts: Handouts) -> None:
        """Let dnsmasq know of orders as they come and go."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._is_serving:
                self._mark.hold()
            try:
                has_changed = handouts.publish(self._decisions.named(), self._decisions.answered())
            except OSError as error:
                _logger.warning("%s: %s; new boot orders wait", handouts.folder, error.strerror)
                continue
            if has_changed:
                dnsmasq.reload()

    def _warn(self, handouts: Handouts) -> None:
        config = self._config
        if not config.uses_signed_loaders and not handouts.has_disk_loader:
            self._warning(
                "PCs with UEFI and without an order wait for minutes until they boot their own disks: apt install "
                "grub-common grub-efi-amd64-bin"
            )
        if config.secure_boot and not config.uses_signed_loaders:
            self._warning(
                "PCs with Secure Boot on boot their own disks: Debian's signed loaders need dhcp 'reserved' or 'full'; "
                "all others boot by iPXE"
            )

    def _warning(self, text: str) -> None:
        _logger.warning("%s", text)

    @property
    def _answers_all(self) -> bool:
        config = self._config
        return config.everyone or config.answers_all or config.dhcp is Dhcp.FULL

    def _is_answered(self, address: str) -> bool:
        decisions = self._decisions
        return self._answers_all or decisions.of(address) != OWN_DISK or address in decisions.answered()

    def _left_alone(self, address: str) -> None:
        self._tell(address, self._decisions.of(address))

    def _served(self, address: str) -> None:
        self._tell(address, self._decisions.of(address))

    def _tell(self, address: str, decision: Decision) -> None:
        """Say what a machine boots, each time that it is another thing than the last time."""
        if self._told.get(address) == decision:
            return
        if len(self._told) >= MOST_TOLD_MACHINES:
            self._told.clear()
        self._told[address] = decision
        name = f"{address} ({decision.seat!a})" if decision.seat else address
        self._say(f"{name}: {_IN_WORDS[decision.boots]}")


_IN_WORDS: Final = {
    Boots.ENVIRONMENT: "boots into the environment",
    Boots.CHOICE: "boots its own disk, unless somebody presses R",
    Boots.OWN_DISK: "boots its own disk",
}


def _first(group: BaseExceptionGroup[SlatecastError]) -> SlatecastError:
    """An error of a group, however deep it lies."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
