"""A host in a process of its own, to be killed: ``FOLDER PORT BROKER_PORT RATE``; says ``ready`` once it is."""

import asyncio
import signal
import sys
from pathlib import Path

from broadcaster.control_side import ControlSetting
from broadcaster.host.config import HostConfig
from broadcaster.host.service import SessionHost
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from protocol.link.interfaces import resolve_interface
from tests.end_to_end.room import KEYS, TOKEN


async def host(folder: Path, port: int, broker_port: int, rate: int) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    control = ControlSetting(TOKEN, port=port, broker_port=broker_port)
    config = HostConfig(resolve_interface("lo"), control, rate_bits_per_second=rate, is_advertised=False)
    keys = KeyStore.open(folder / KEYS)
    try:
        async with SessionHost(Library.open(folder / "library"), keys, config) as running:
            print("ready", flush=True)
            await running.run()
    except asyncio.CancelledError:
        print("ended", flush=True)


if __name__ == "__main__":
    asyncio.run(host(Path(sys.argv[1]), *map(int, sys.argv[2:])))
