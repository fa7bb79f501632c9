"""Prints all that is said over a broker, a line each: topic, blank, payload; the broker is its argument."""

import asyncio
import sys

from protocol.link.mqtt import BrokerAddress, MqttLink
from protocol.messages import ALL_RECEIVERS, ALL_SESSIONS


async def watch(broker: BrokerAddress) -> None:
    """Print until the process is killed."""
    async with MqttLink(broker, "watch") as link:
        await link.subscribe(ALL_SESSIONS)
        await link.subscribe(ALL_RECEIVERS)
        print("watching", file=sys.stderr, flush=True)
        async for topic, payload in link.messages():
            if payload:  # else a retained message was cleared
                print(topic, payload.decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(watch(BrokerAddress.parse(sys.argv[1])))
