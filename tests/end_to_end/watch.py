"""Prints all that is said over a broker, a line each: topic, blank, message. Arguments: broker, and the cast's keys."""

import asyncio
import sys
from pathlib import Path

from broadcaster.keys import KeyStore
from protocol.link.mqtt import BrokerAddress, MqttLink
from protocol.link.tls import pinned_context
from protocol.messages import ALL_RECEIVERS, ALL_SESSIONS

OBSERVER = "console"
"""The role that may read everything, beside the broadcaster."""


async def watch(broker: BrokerAddress, keys: KeyStore) -> None:
    """Print until the process is killed."""
    authority = keys.authority
    tls = pinned_context(authority.certificate, authority.role_identity(OBSERVER)) if broker.tls else None
    async with MqttLink(broker, OBSERVER, tls=tls) as link:
        await link.subscribe(ALL_SESSIONS)
        await link.subscribe(ALL_RECEIVERS)
        print("watching", file=sys.stderr, flush=True)
        async for topic, payload in link.messages():
            if payload:  # else a retained message was cleared
                message, _, _signature = payload.decode().rpartition("\n")
                print(topic, message, flush=True)


if __name__ == "__main__":
    asyncio.run(watch(BrokerAddress.parse(sys.argv[1]), KeyStore.open(Path(sys.argv[2]))))
