"""A console as a process of its own, since NiceGUI knows one application in each: python -m ... STATE PORT [BROKER].

BROKER is the port of a broker without TLS on the loopback interface, 0 for one that is not there. It prints ``ready``
when browsers can connect.
"""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

from broadcaster.authority import Authority
from dashboards.config import BrokerAccess, ConsoleConfig
from dashboards.console import run
from protocol.errors import SlatecastError
from protocol.link.mqtt import BrokerAddress
from protocol.signing import SigningKey
from tests.end_to_end.room import free_port

HOST: Final = "127.0.0.1"
DIRECTOR: Final = SigningKey(bytes(32))
CONSOLE_SEED: Final = bytes([1]) * 32


async def main(state: Path, port: int, broker_port: int) -> None:
    authority = Authority.create()
    config = ConsoleConfig(
        broker=BrokerAccess(BrokerAddress(HOST, broker_port or free_port())),
        director_key=DIRECTOR.public,
        signing_seed=CONSOLE_SEED,
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
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0))
