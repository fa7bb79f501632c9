"""A console as a process of its own, since NiceGUI knows one application in each: python -m ... STATE PORT.

Its broker is one that is not there; it prints ``ready`` when browsers can connect.
"""

import asyncio
import signal
import sys
from pathlib import Path

from broadcaster.authority import Authority
from dashboards.config import BrokerAccess, ConsoleConfig
from dashboards.console import run
from protocol.errors import SlatecastError
from protocol.link.mqtt import BrokerAddress
from tests.end_to_end.room import free_port

HOST = "127.0.0.1"


async def main(state: Path, port: int) -> None:
    authority = Authority.create()
    config = ConsoleConfig(
        broker=BrokerAccess(BrokerAddress(HOST, free_port())),
        director_key=bytes(32),
        signing_seed=bytes(32),
        state=state,
        host=HOST,
        port=port,
        https=authority.server_identity((HOST,)),
        authority=authority.certificate,
    )
    task = asyncio.ensure_future(run(config, lambda: print("ready", flush=True)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        print("slatecast: ended", file=sys.stderr)
        sys.exit(130)
    except SlatecastError as error:
        sys.exit(f"slatecast: {error}")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
