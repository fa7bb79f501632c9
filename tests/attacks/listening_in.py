"""A program that prints all that a process may hear, raw: ``mqtt BROKER KEYS``, or ``link INTERFACE FILE``."""

import asyncio
import socket
import sys
from pathlib import Path

from broadcaster.keys import KeyStore
from protocol.link.mqtt import BrokerAddress, MqttLink
from protocol.link.tls import pinned_context

OBSERVER = "console"
ALL_PROTOCOLS = 0x0003
"""ETH_P_ALL of linux/if_ether.h"""

LONGEST = 65536 + 64


async def print_messages(broker: BrokerAddress, keys: KeyStore) -> None:
    """All messages as they are, signatures included, with their topics."""
    authority = keys.authority
    tls = pinned_context(authority.certificate, authority.role_identity(OBSERVER))
    async with MqttLink(broker, OBSERVER, tls=tls) as link:
        await link.subscribe("slatecast/v1/#")
        print("listening", file=sys.stderr, flush=True)
        async for topic, payload in link.messages():
            sys.stdout.buffer.write(topic.encode() + b" " + payload + b"\n")
            sys.stdout.buffer.flush()


def write_frames(interface: str, path: Path) -> None:
    """All that crosses an interface, until the process is killed; needs root."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)) as tap, path.open("wb") as file:
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        tap.bind((interface, 0))
        print("listening", file=sys.stderr, flush=True)
        while True:
            file.write(tap.recv(LONGEST))


if __name__ == "__main__":
    if sys.argv[1] == "mqtt":
        asyncio.run(print_messages(BrokerAddress.parse(sys.argv[2]), KeyStore.open(Path(sys.argv[3]))))
    else:
        write_frames(sys.argv[2], Path(sys.argv[3]))
