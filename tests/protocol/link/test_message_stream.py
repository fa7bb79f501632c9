import pytest

from protocol.envelope import signed_payload
from protocol.errors import MessageError, SignatureError
from protocol.link.message_stream import Voice, received_messages, sender_of
from protocol.link.mqtt import MqttLink
from protocol.messages import (
    ALL_RECEIVERS,
    TOPIC_ROOT,
    Message,
    ReceiverReport,
    announcement_topic,
    encode_message,
    topic_of,
)
from protocol.signing import SigningKey
from tests.brokers import RunningBroker
from tests.sample_messages import TSI, announcement, presence, receiver_id, repair_request, report

KEY, STRANGER = SigningKey(b"k" * 32), SigningKey(b"x" * 32)


@pytest.mark.system
@pytest.mark.asyncio
async def test_proved_messages_pass_and_the_rest_is_dropped(broker: RunningBroker) -> None:
    first, last = report(1, 1), report(1, 2)
    arrived: list[Message] = []
    rejected: list[tuple[str, type[Exception]]] = []

    def key_for(message: Message) -> bytes | None:
        return KEY.public if isinstance(message, ReceiverReport) else None

    def reject(topic: str, error: MessageError | SignatureError) -> None:
        assert str(error)
        rejected.append((topic, type(error)))

    async with MqttLink(broker.address, "reader") as reader, MqttLink(broker.address, "writer") as writer:
        await reader.subscribe(ALL_RECEIVERS)
        await reader.subscribe(announcement_topic(TSI))
        voice, stranger = Voice(writer, KEY), Voice(writer, STRANGER)
        voice.say(first)
        writer.publish(announcement_topic(TSI), b"")  # cleared: that says nothing
        stranger.say(first)
        voice.say(presence(3))  # nobody may say it
        writer.publish(topic_of(first), encode_message(first))
        writer.publish(topic_of(first), b"{}")
        writer.publish(topic_of(report(2)), signed_payload(first, KEY))
        voice.say(last)
        async for message in received_messages(reader, key_for, reject):
            arrived.append(message)
            if message == last:
                break
    assert arrived == [first, last]
    assert [topic for topic, _ in rejected] == [
        topic_of(first),
        topic_of(presence(3)),
        topic_of(first),
        topic_of(first),
        topic_of(report(2)),
    ]
    assert [kind for _, kind in rejected[:2]] == [SignatureError] * 2


@pytest.mark.parametrize(
    ("topic", "sender"),
    [
        (topic_of(report(7)), receiver_id(7)),
        (topic_of(repair_request(8)), receiver_id(8)),
        (f"{TOPIC_ROOT}/receivers/{receiver_id(9)}/nonsense", receiver_id(9)),
        (f"{TOPIC_ROOT}/receivers/{receiver_id(9)}0/report", None),
        (f"{TOPIC_ROOT}/receivers/{'x' * 60_000}/report", None),
        (topic_of(announcement()), None),
        ("", None),
    ],
)
def test_sender_is_known_by_the_topic_alone(topic: str, sender: str | None) -> None:
    assert sender_of(topic) == sender
