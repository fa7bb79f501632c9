"""Publishes over a broker what a file holds, a line each: topic, blank, payload in hex. Arguments: broker and file."""

import asyncio
import sys
from pathlib import Path

from protocol.link.mqtt import BrokerAddress, MqttLink


async def forge(broker: BrokerAddress, lines: list[str]) -> None:
    """Say it all, as anybody can who reaches the broker."""
    async with MqttLink(broker, "forger") as link:
        for line in lines:
            topic, _, payload = line.partition(" ")
            link.publish(topic, bytes.fromhex(payload))
        await link.flush()


if __name__ == "__main__":
    asyncio.run(forge(BrokerAddress.parse(sys.argv[1]), Path(sys.argv[2]).read_text().splitlines()))
