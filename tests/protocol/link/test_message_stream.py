import pytest

from protocol.link.message_stream import received_messages
from protocol.link.mqtt import MqttLink
from protocol.messages import ALL_RECEIVERS, Message, announcement_topic, encode_message, topic_of
from tests.brokers import RunningBroker
from tests.sample_messages import TSI, presence, report


@pytest.mark.system
@pytest.mark.asyncio
async def test_messages_pass_and_the_rest_is_dropped(broker: RunningBroker) -> None:
    first, last = report(1, 1), report(1, 2)
    arrived: list[Message] = []
    async with MqttLink(broker.address, "reader") as reader, MqttLink(broker.address, "writer") as writer:
        await reader.subscribe(ALL_RECEIVERS)
        await reader.subscribe(announcement_topic(TSI))
        writer.publish(topic_of(first), encode_message(first))
        writer.publish(announcement_topic(TSI), b"")
        writer.publish(topic_of(first), b"{}")
        writer.publish(topic_of(presence(2)), encode_message(first))
        writer.publish(topic_of(last), encode_message(last))
        async for message in received_messages(reader):
            arrived.append(message)
            if message == last:
                break
    assert arrived == [first, last]
