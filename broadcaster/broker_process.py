"""The process of the embedded broker: amqtt on a listening socket that the parent has opened.

Run by broadcaster.broker as ``python -m broadcaster.broker_process FD``. It says ``ready`` on standard output when it
accepts connections, and ends when standard input does. It imports nothing of the broadcaster, so that it starts in a
third of a second and its memory is amqtt's alone. Sessions and retained messages live in memory: what a restarted
broker has forgotten is published again by those who know it.
"""

import asyncio
import logging
import socket
import sys
from typing import Final

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.session import Session

READY: Final = b"ready\n"

LISTENER: Final = "default"

KEEPALIVE_GRACE: Final = 5
"""[seconds] amqtt ends a connection after one keep-alive interval of silence, just when its ping is due; MQTT 3.1.1
section 3.1.2.10 asks for one and a half. Chosen: as long as our own keep-alive interval."""


class RoomBroker(Broker):
    """amqtt, corrected in the two points where a room depends on MQTT 3.1.1."""

    async def _delete_session(self, client_id: str) -> None:
        """End the old connection of a machine that connects anew under its own client id (MQTT-3.1.4-2).

        Otherwise the half-open connection of a PC that was switched off and on again times out after its successor
        has come, and its last will declares a seat dead that is alive. A takeover is no death: no will is published.
        """
        session, handler = self.sessions.get(client_id, (None, None))
        if session is not None and handler is not None and session.transitions.is_connected():
            session.will_flag = False
            await handler.handle_connection_closed()
            await handler.stop()
        await super()._delete_session(client_id)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        """Send retained messages to those who subscribed to them (MQTT-3.3.1-6).

        Otherwise each machine that connects is sent what anybody has subscribed to, and those sends suspend a loop
        over the subscriptions that breaks, and the connection with it, when another machine subscribes meanwhile.
        """
        if any(subscriber is session for subscriber, _ in self.subscriptions.get(subscription[0], ())):
            await super()._publish_retained_messages_for_subscription(subscription, session)


async def serve(listener: socket.socket) -> None:
    """Serve MQTT on a listening socket until standard input ends."""
    broker = RoomBroker(
        BrokerConfig(
            listeners={LISTENER: ListenerConfig(type=ListenerType.EXTERNAL)},
            plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            timeout_disconnect_delay=KEEPALIVE_GRACE,
        )
    )
    await broker.start()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await broker.external_connected(StreamReaderAdapter(reader), StreamWriterAdapter(writer), LISTENER)

    parent_gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), parent_gone.set)
    async with await asyncio.start_server(accept, sock=listener):
        sys.stdout.buffer.write(READY)
        sys.stdout.buffer.flush()
        await parent_gone.wait()


def main() -> None:
    """Serve on the inherited file descriptor that the only argument names."""
    # amqtt logs each lost connection as a warning or an error; to an operator those are the room's ordinary life.
    logging.disable(logging.CRITICAL)
    listener = socket.socket(fileno=int(sys.argv[1]))
    asyncio.run(serve(listener))


if __name__ == "__main__":
    main()
