"""Somebody who speaks on a room's broker and should not be believed, for tests of faults; prints what came of it.

    python -m tests.network_faults.forge refused BROKER                 connects without a certificate
    python -m tests.network_faults.forge hostile DOOR TSI               was let in, says what harms a screen or a parser
    python -m tests.network_faults.forge flood   DOOR TSI RATE SECONDS  was let in, asks for repair again and again
    python -m tests.network_faults.forge victim  BROKER TSI RATE SECONDS VICTIM   asks in the name of another, unsigned
    python -m tests.network_faults.forge replay  BROKER TSI RATE SECONDS VICTIM   repeats what that one has said

Who was let in enrolled as any receiver does, with the token in SLATECAST_RECEIVE_TOKEN. RATE is in messages a second.
The last two need a broker that lets in everybody. "speaking" stands on standard error when it begins.
"""

import asyncio
import json
import os
import ssl
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Any, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from protocol.envelope import signed_payload
from protocol.errors import TransportError
from protocol.link.front_door_address import FrontDoorAddress
from protocol.link.mqtt import BrokerAddress, MqttLink
from protocol.messages import (
    Message,
    Presence,
    ReceiverState,
    RepairRequest,
    encode_message,
    topic_of,
)
from protocol.signing import Purpose, SigningKey
from receiver.enrolment import Enrolment, enrol
from receiver.identity import ReceiverIdentity
from tests.sample_messages import repair_request, report

HOSTILE_TEXT: Final = (
    "\x1b[2J\x1b]0;owned\x07\r\nslatecast: 9 of 9 seats verified\x00\u202e<img src=x onerror=alert(1)>"
)

HOSTILE_SEAT: Final = "<img src=x onerror=alert(1)>"
"""What the front door accepts for a name."""

SIGNED_AHEAD: Final = 3_000
"""[messages] that are signed before a flood begins, and said in turn."""

BLOCKS: Final = 40
"""Of the image, at most: all are asked for each time."""

TICK: Final = 0.01
"""[s] Between two bursts of a flood."""

Said = tuple[str, bytes]
"""topic and payload"""


class Insider:
    """A receiver that was let in, and does not behave."""

    def __init__(self, identity: ReceiverIdentity, enrolment: Enrolment, link: MqttLink) -> None:
        self.identity = identity
        self.enrolment = enrolment
        self.link = link

    def say(self, message: Message) -> None:
        """Signed, as it should be."""
        self.link.publish(topic_of(message), signed_payload(message, self.identity.signing_key))

    def presence(self, seat: str = HOSTILE_SEAT) -> Presence:
        keys = self.identity.keys
        return Presence(
            receiver_id=keys.receiver_id,
            machine=seat,
            seat=seat,
            is_online=True,
            identity_key=keys.identity_key,
            sealing_key=keys.sealing_key,
            boot_nonce=keys.boot_nonce,
            admission=self.enrolment.admission,
            metrics="",
        )

    def named(self, **changes: Any) -> dict[str, Any]:
        return {"receiver_id": self.identity.receiver_id, **changes}


@asynccontextmanager
async def let_in(door: str) -> AsyncIterator[Insider]:
    """Enrol, and connect."""
    identity = ReceiverIdentity.draw()
    host, port = FrontDoorAddress.parse(door)
    token = os.environ["SLATECAST_RECEIVE_TOKEN"]
    enrolment = await enrol(
        host, port, identity, seat=HOSTILE_SEAT, token=token, trust=None, on_words=print, confirm=None
    )
    async with MqttLink(enrolment.broker, identity.receiver_id, tls=enrolment.broker_tls) as link:
        yield Insider(identity, enrolment, link)


def signed_bytes(topic: str, body: bytes, key: SigningKey) -> bytes:
    """A good signature over any bytes; as protocol.envelope makes it over messages."""
    return body + b"\n" + b64encode(key.sign(Purpose.CONTROL, topic.encode() + b"\0" + body))


async def refused(broker: str) -> dict[str, Any]:
    """Whether the broker turns us away."""
    try:
        async with MqttLink(BrokerAddress.parse(broker), "forger"):
            return {"refused": ""}
    except TransportError as error:
        return {"refused": str(error)}


async def hostile(door: str, tsi: str) -> dict[str, Any]:
    """Hostile texts in messages of the right form, by three receivers; and messages of no form, by a fourth."""
    texts: dict[str, Any] = {"seat": HOSTILE_TEXT[:64], "target": HOSTILE_TEXT[:64], "reason": HOSTILE_TEXT}
    for state in (ReceiverState.REFUSED, ReceiverState.FAILED):
        async with let_in(door) as insider:
            insider.say(insider.presence())
            insider.say(report(1, tsi=tsi, state=state, **insider.named(**texts)))
            await insider.link.flush()
    async with let_in(door) as insider:
        insider.say(insider.presence(HOSTILE_TEXT[:64]))
        await insider.link.flush()
    async with let_in(door) as insider:
        insider.say(insider.presence())
        key = insider.identity.signing_key
        for topic, body in formless(report(4, tsi=tsi, **insider.named())):
            insider.link.publish(topic, body)
            insider.link.publish(topic, signed_bytes(topic, body, key))
        await insider.link.flush()
    return {}


def formless(message: Message) -> Iterator[Said]:
    """What is no message, made of one."""
    topic, whole = topic_of(message), encode_message(message)
    yield topic, whole.replace(b'"seat-4"', b'"%s"' % (b"x" * 500_000))
    yield topic, whole.replace(b'"seat-4"', b'"\xff\xfe"')
    yield topic, whole.replace(b'"seat-4"', b'["seat"]')
    yield topic, whole.replace(b"}", b',"more":' + b"[" * 5_000 + b"]" * 5_000 + b"}")
    yield topic, b"\x00" * 100
    yield topic.replace("report", "presence"), whole


async def flood(door: str, tsi: str, rate: float, seconds: float) -> dict[str, Any]:
    """As a seat of the session that asks for everything, each time anew."""
    async with let_in(door) as insider:
        insider.say(insider.presence())
        holds = {"has_manifest": True, "has_scanned": True, "blocks_total": BLOCKS, "blocks_missing": BLOCKS}
        state = ReceiverState.RECEIVING
        insider.say(report(1, tsi=tsi, state=state, **insider.named(seat="flooder", sequence=1, **holds)))
        await insider.link.flush()
        requests = (_request(tsi, insider.identity.receiver_id, number) for number in range(2, SIGNED_AHEAD))
        said = [(topic_of(each), signed_payload(each, insider.identity.signing_key)) for each in requests]
    client = _connected(insider.enrolment.broker, insider.identity.receiver_id, insider.enrolment.broker_tls)
    return _repeat(client, said, rate, seconds)


async def victim(broker: str, tsi: str, rate: float, seconds: float, receiver_id: str) -> dict[str, Any]:
    """In the name of another, with the signature of nobody."""
    key = ReceiverIdentity.draw().signing_key
    requests = (_request(tsi, receiver_id, number) for number in range(1_000_000, 1_000_000 + SIGNED_AHEAD))
    said = [(topic_of(each), signed_payload(each, key)) for each in requests]
    return _repeat(_connected(BrokerAddress.parse(broker), "forger"), said, rate, seconds)


async def replay(broker: str, tsi: str, rate: float, seconds: float, receiver_id: str) -> dict[str, Any]:
    """What a receiver has said to the broadcaster of the session, up to its first request for repair."""
    said: list[Said] = []
    async with MqttLink(BrokerAddress.parse(broker), "listener") as link:
        await link.subscribe(f"slatecast/v1/receivers/{receiver_id}/#")
        async for topic, payload in link.messages():
            if tsi.encode() in payload and not topic.endswith("/ticket"):
                said.append((topic, payload))
            if topic.endswith("/repair"):
                break
    return _repeat(_connected(BrokerAddress.parse(broker), "forger"), said, rate, seconds)


def _request(tsi: str, receiver_id: str, sequence: int) -> RepairRequest:
    return repair_request(sequence=sequence, tsi=tsi, receiver_id=receiver_id, absent=((0, BLOCKS - 1),))


def _connected(broker: BrokerAddress, client_id: str, tls: ssl.SSLContext | None = None) -> Client:
    """A client that is faster than ours, and never waits for anybody."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id)
    if tls is not None:
        client.tls_set_context(tls)
    client.connect(broker.host, broker.port)
    client.loop_start()
    return client


def _repeat(client: Client, said: Sequence[Said], rate: float, seconds: float) -> dict[str, Any]:
    print("speaking", file=sys.stderr, flush=True)
    count, began, turns = 0, time.monotonic(), cycle(said)
    while (passed := time.monotonic() - began) < seconds:
        while count < passed * rate:
            topic, payload = next(turns)
            client.publish(topic, payload, qos=0)
            count += 1
        time.sleep(TICK)
    return {"messages": count, "kinds": len(said), "seconds": passed}


_DOING: Final[dict[str, Callable[..., Coroutine[Any, Any, dict[str, Any]]]]] = {
    "flood": flood,
    "victim": victim,
    "replay": replay,
}


def main() -> None:
    """Do what the command line says."""
    what, where, *more = sys.argv[1:]
    if what == "refused":
        done = asyncio.run(refused(where))
    elif what == "hostile":
        done = asyncio.run(hostile(where, *more))
    else:
        tsi, rate, seconds, *names = more
        doing = _DOING[what]
        done = asyncio.run(doing(where, tsi, float(rate), float(seconds), *names))
    print(json.dumps(done), flush=True)
    os._exit(0)  # what still waits to be said is not waited for


if __name__ == "__main__":
    main()
