"""The whole service: the embedded broker, and the supervisor of broadcaster and console, until it is told to end.

The broker's own supervisor lives in this process, since it keeps the listening socket and has nothing else to do. This
process reads the keys and hands to each part what that part needs: the console never sees the director's key. At the
end the console goes first, then the broadcaster, which suspends its casts, then the broker that both speak over.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Set
from typing import Any, Final

from broadcaster.broker import BrokerTls, EmbeddedBroker
from broadcaster.keys import KeyStore
from broadcaster.netboot.config import Dhcp, NetbootConfig
from dashboards.access.accounts import ACCOUNTS_FILE, Accounts
from dashboards.access.first_login import FirstLogin
from dashboards.config import BrokerAccess, ConsoleConfig
from protocol.errors import ConfigError
from slatecast.serving.child import ChildPlan
from slatecast.serving.console_identity import console_identity
from slatecast.serving.folder_lock import held
from slatecast.serving.handover import BroadcasterHandover, encode_handover
from slatecast.serving.notify import notify
from slatecast.serving.part import VERBOSITY
from slatecast.serving.places import Places, notices_of
from slatecast.serving.settings import rate_in_bits
from slatecast.serving.supervisor import Supervisor

BROKER: Final = "broker"
BROADCASTER: Final = "broadcaster"
CONSOLE: Final = "console"
NETBOOT: Final = "netboot"
PARTS: Final = (BROKER, BROADCASTER, CONSOLE, NETBOOT)

CONSOLE_STOP_TIMEOUT: Final = 2.5
"""[s] It has nothing to save; open pages are told and closed."""

BROADCASTER_STOP_TIMEOUT: Final = 6.0
"""[s] It writes down where its casts are. With the end of all others under the 10 s that are promised."""

NETBOOT_STOP_TIMEOUT: Final = 1.4
"""[s] It has nothing to save; PCs that load something boot their own disks."""


class Service:
    """One run of some of the parts on one machine."""

    def __init__(self, places: Places, parts: Set[str], say: Callable[[str], object]) -> None:
        """Opens or makes the keys; ``say`` takes a line for operators.

        Raises:
            ConfigError: keys or state cannot be used, or nothing is left to run.
        """
        if not places.is_broker_ours:
            parts = parts - {BROKER}
        if not places.settings.boot.enabled:
            if parts == {NETBOOT}:
                raise ConfigError("[boot] enabled is false: there is nothing to run; set it to true")
            parts = parts - {NETBOOT}
        if not parts:
            raise ConfigError("[broker] address names another broker: there is none to run here")
        self._places = places
        self._parts = parts
        self._say = say
        self._keys = KeyStore.open_or_create(places.keys)
        self._first_word: str | None = None
        self._supervisor = Supervisor(
            self._plans(), on_ready=self._ready, on_all_ready=self._all_ready, say=self._complain
        )

    async def run(self) -> signal.Signals:
        """Run until SIGTERM or SIGINT comes; which of them.

        Raises:
            SlatecastError: a part cannot run, for a reason that does not mend itself.
        """
        told = self._listen_to_signals()
        async with contextlib.AsyncExitStack() as stack:
            if CONSOLE in self._parts:
                stack.enter_context(held(self._places.state, "[console] state"))
            if BROADCASTER in self._parts:
                stack.enter_context(held(self._places.library, "[broadcaster] library"))
            if BROKER in self._parts:
                broker = await stack.enter_async_context(self._broker())
                self._say(f"broker at {broker.address}")
            running = asyncio.create_task(self._supervisor.run())
            try:
                ends: list[asyncio.Future[Any]] = [running, told]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                notify("STOPPING=1")
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running
        return await told

    def _listen_to_signals(self) -> "asyncio.Future[signal.Signals]":
        loop = asyncio.get_running_loop()
        told: asyncio.Future[signal.Signals] = loop.create_future()

        def hear(number: signal.Signals) -> None:
            if not told.done():
                self._say("stopping: running casts are suspended, and resume at the next start")
                told.set_result(number)
            elif number is signal.SIGINT:
                self._supervisor.kill()  # the broker ends with us
                self._complain("interrupted again: ended at once")
                os._exit(128 + number)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, hear, number)
        return told

    def _broker(self) -> EmbeddedBroker:
        authority = self._keys.authority
        tls = BrokerTls(authority.server_identity(), authority.certificate)
        return EmbeddedBroker(self._places.broker.host, self._places.broker.port, tls=tls)

    def _plans(self) -> list[ChildPlan]:
        plans = []
        if CONSOLE in self._parts:
            plans.append(_plan(CONSOLE, encode_handover(self._console()), CONSOLE_STOP_TIMEOUT))
        if BROADCASTER in self._parts:
            plans.append(_plan(BROADCASTER, encode_handover(self._broadcaster()), BROADCASTER_STOP_TIMEOUT))
        if NETBOOT in self._parts:
            plans.append(_plan(NETBOOT, encode_handover(self._netboot()), NETBOOT_STOP_TIMEOUT))
        return plans

    def _netboot(self) -> NetbootConfig:
        places, settings = self._places, self._places.settings.boot
        return NetbootConfig(
            environment=places.environment,
            orders=places.boot_orders,
            interface=places.interface.name,
            server=str(places.front_door),
            dhcp=Dhcp(settings.dhcp),
            addresses=settings.range,
            port=settings.port,
            secure_boot=settings.secure_boot,
            everyone=settings.everyone,
            answers_all=settings.answer_all,
        )

    def _broadcaster(self) -> BroadcasterHandover:
        places, settings = self._places, self._places.settings.broadcaster
        return BroadcasterHandover(
            library=places.library,
            keys=places.keys,
            interface=places.interface.name,
            broker=places.broker,
            ca_file=places.ca_file,
            port=settings.port,
            token=places.token,
            rate_bits_per_second=rate_in_bits(settings.rate),
            max_rate_bits_per_second=rate_in_bits(settings.max_rate),
            metrics_port=settings.metrics_port or None,
            metrics_host=settings.metrics_listen,
        )

    def _console(self) -> ConsoleConfig:
        places, settings = self._places, self._places.settings.console
        try:
            places.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"[console] state {places.state}: {error.strerror or error}") from None
        self._first_word = FirstLogin(places.state, Accounts(places.state / ACCOUNTS_FILE)).prepare()
        authority, has_tls = self._keys.authority, places.broker.tls
        return ConsoleConfig(
            broker=BrokerAccess(
                places.broker,
                self._broker_authority() if has_tls else None,
                authority.role_identity(CONSOLE) if has_tls else None,
            ),
            director_key=self._keys.director.public,
            signing_seed=self._keys.console.private_key.private_bytes_raw(),
            state=places.state,
            host=places.console_host,
            port=settings.port,
            https=console_identity(places.state, authority, places.console_names) if settings.https else None,
            authority=authority.certificate,
            names=places.console_names,
            with_metrics=settings.metrics,
            notices=notices_of(places.settings.notices),
        )

    def _broker_authority(self) -> bytes:
        if self._places.ca_file is None:
            return self._keys.authority.certificate
        try:
            return self._places.ca_file.read_bytes()
        except OSError as error:
            raise ConfigError(f"[broker] ca_file {self._places.ca_file}: {error.strerror or error}") from None

    def _ready(self, name: str, where: str) -> None:
        if name == BROADCASTER:
            self._say(f"receivers enrol at {where}")
            return
        if name == NETBOOT:
            self._say(f"PCs boot from the network on {where}")
            return
        self._say(f"console at {where}")
        if self._first_word is not None:
            self._say(f"first login: {self._first_word}")

    def _all_ready(self) -> None:
        self._say("ready")
        notify("READY=1", "STATUS=ready")

    def _complain(self, text: str) -> None:
        logging.getLogger(__name__).debug("%s", text)
        print(f"slatecast: {text}", file=sys.stderr, flush=True)


def _plan(name: str, handover: bytes, stop_timeout: float) -> ChildPlan:
    argv = (sys.executable, "-P", "-m", "slatecast.serving.part", name)
    return ChildPlan(name, argv, handover, stop_timeout)


def hand_down_verbosity() -> None:
    """Let the parts log as much as this process does."""
    os.environ[VERBOSITY] = str(logging.getLogger().getEffectiveLevel())
