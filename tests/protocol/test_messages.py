import base64
import json
import random
import string
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import PROTOCOL_VERSION
from protocol.bitmap import decode_bitmap, ranges_of
from protocol.errors import MessageError
from protocol.fields import MAX_BITMAP_BLOCKS, MAX_MESSAGE_LENGTH, MAX_REPAIR_ENTRIES, MAX_SEATS
from protocol.manifest import CHUNK_SIZE
from protocol.messages import (
    ALL_RECEIVERS,
    ALL_SESSIONS,
    Announcement,
    Message,
    MissingBlocks,
    ReceiverState,
    SessionPhase,
    announcement_topic,
    decode_message,
    encode_message,
    topic_of,
)
from tests.sample_messages import (
    OTHER_TSI,
    TSI,
    announcement,
    certificate,
    missing_blocks,
    presence,
    receiver_id,
    repair_request,
    report,
    status,
    ticket,
)

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "messages.json").read_text(encoding="utf-8")
)["messages"]
MESSAGES: list[Message] = [
    announcement(),
    status(),
    presence(),
    report(),
    repair_request(),
    missing_blocks(ranges=[(2, 5)], block_count=20),
    certificate(),
    ticket(),
]


def vector(leaf: str) -> dict[str, Any]:
    return next(vector for vector in VECTORS if vector["topic"].endswith(leaf))


def decoded_with(leaf: str, **changes: object) -> Message:
    """The message of a vector after some of its fields were changed or, with ``...``, removed."""
    golden = vector(leaf)
    fields = {name: value for name, value in {**golden["fields"], **changes}.items() if value is not ...}
    return decode_message(golden["topic"], json.dumps(fields).encode())


class TestVectors:
    def test_every_message_has_one(self) -> None:
        assert {vector["type"] for vector in VECTORS} == {type(message).__name__ for message in MESSAGES}

    @pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["topic"].rpartition("/")[2])
    def test_they_read_and_write_the_same(self, vector: dict[str, Any]) -> None:
        message = decode_message(vector["topic"], vector["payload"].encode())
        assert type(message).__name__ == vector["type"]
        assert topic_of(message) == vector["topic"]
        assert encode_message(message).decode() == vector["payload"]

    @pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["topic"].rpartition("/")[2])
    def test_every_field_is_what_the_vector_says(self, vector: dict[str, Any]) -> None:
        message = decode_message(vector["topic"], vector["payload"].encode())
        assert {name: plain(getattr(message, name)) for name in message.__struct_fields__} == {
            name: value for name, value in vector["fields"].items() if name != "type"
        }

    @pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["topic"].rpartition("/")[2])
    def test_cut_at_any_length_they_are_malformed(self, vector: dict[str, Any]) -> None:
        payload = vector["payload"].encode()
        for length in range(len(payload)):
            with pytest.raises(MessageError):
                decode_message(vector["topic"], payload[:length])
        for trailing in (b"}", b"0", b"\0", payload):
            with pytest.raises(MessageError):
                decode_message(vector["topic"], payload + trailing)

    @pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["topic"].rpartition("/")[2])
    def test_no_field_may_be_absent_or_unknown(self, vector: dict[str, Any]) -> None:
        leaf = vector["topic"].rpartition("/")[2]
        for name in vector["fields"].keys() - {"type"}:  # the topic says the type as well
            with pytest.raises(MessageError):
                decoded_with(leaf, **{name: ...})
        with pytest.raises(MessageError):
            decoded_with(leaf, surprise=1)

    def test_the_blocks_of_the_bitmap(self) -> None:
        message = decoded_with("missing")
        assert isinstance(message, MissingBlocks)
        assert list(ranges_of(decode_bitmap(message.bitmap, message.block_count))) == [0, 1, 2, 3, 19]


def plain(value: object) -> object:
    """The value as JSON shows it."""
    return json.loads(msgspec.json.encode(value))


class TestTopics:
    def test_they_are_where_the_filters_listen(self) -> None:
        for message in MESSAGES:
            prefix = ALL_RECEIVERS if hasattr(message, "receiver_id") else ALL_SESSIONS
            assert topic_of(message).startswith(prefix.removesuffix("+/#"))
            assert topic_of(message).count("/") == 4

    def test_the_announcement_is_cleared_where_it_was_put(self) -> None:
        assert announcement_topic(TSI) == topic_of(announcement())

    @pytest.mark.parametrize(
        "topic",
        [
            "",
            "slatecast",
            f"slatecast/v{PROTOCOL_VERSION + 1}/sessions/{TSI}/status",
            f"slatecast/v1/sessions/{TSI}/report",
            f"slatecast/v1/sessions/{TSI.upper()}/status",
            f"slatecast/v1/sessions/{TSI}/status\n",
            f"slatecast/v1/sessions/{TSI}/status/more",
            f"x/slatecast/v1/sessions/{TSI}/status",
            f"slatecast/v1/receivers/{receiver_id(1)[1:]}/report",
            f"slatecast/v1/receivers/{receiver_id(1)}/status",
        ],
    )
    def test_others_are_not_ours(self, topic: str) -> None:
        with pytest.raises(MessageError, match="topic"):
            decode_message(topic, encode_message(status()))

    def test_nobody_speaks_for_somebody_else(self) -> None:
        for message in MESSAGES:
            other = topic_of(message).replace(TSI, OTHER_TSI).replace(receiver_id(1), receiver_id(2))
            with pytest.raises(MessageError, match="speaks"):
                decode_message(other, encode_message(message))

    def test_a_message_of_another_kind_is_malformed(self) -> None:
        for message in MESSAGES:
            for other in MESSAGES:
                if other is not message:
                    with pytest.raises(MessageError):
                        decode_message(topic_of(message), encode_message(other))


class TestBounds:
    @pytest.mark.parametrize(
        ("leaf", "name", "bad"),
        [
            ("announcement", "tsi", TSI.upper()),
            ("announcement", "tsi", TSI + "\n"),
            ("announcement", "port", 0),
            ("announcement", "port", 65536),
            ("announcement", "image_key", base64.b64encode(bytes(31)).decode()),
            ("announcement", "image_signature", "not base64!"),
            ("announcement", "manifest_digest", base64.b64encode(bytes(33)).decode()),
            ("announcement", "manifest_length", -1),
            ("announcement", "protocol_version", 1.5),
            ("status", "phase", "sleeping"),
            ("status", "position", 1 << 32),
            ("status", "rate_reason", "x" * 401),
            ("status", "settled", ["not a receiver"]),
            ("presence", "seat", "x" * 65),
            ("presence", "is_online", 1),
            ("presence", "receiver_id", "g" * 32),
            ("report", "state", "done"),
            ("report", "sequence", -1),
            ("report", "sequence", (1 << 62) + 1),
            ("report", "bytes_received", "1"),
            ("report", "buffer_fill_ratio", 1.01),
            ("report", "buffer_fill_ratio", -0.01),
            ("repair", "toi", 2),
            ("repair", "deficits", [[0, 0]]),
            ("repair", "deficits", [[0, 192]]),
            ("repair", "deficits", [[1 << 32, 1]]),
            ("repair", "deficits", [[0]]),
            ("repair", "deficits", [[0, 1, 2]]),
            ("repair", "absent", [[0, -1]]),
            ("repair", "absent", {}),
            ("repair", "missing_symbols", [[0, base64.b64encode(bytes(25)).decode()]]),
            ("repair", "missing_symbols", [[1 << 32, ""]]),
            ("repair", "missing_symbols", [[0, "not base64!"]]),
            ("announcement", "catch_up_url", "x" * 65),
            ("status", "catch_up", ["not a receiver"]),
            ("status", "must_leave_group", receiver_id(1)),
            ("report", "has_scanned", 0),
            ("report", "disk_busy_ratio", 1.01),
            ("report", "partial_fill_ratio", -0.01),
            ("report", "link_bits_per_second", -1),
            ("missing", "first_sbn", 1 << 32),
            ("missing", "first_sbn", -1),
            ("missing", "block_count", 0),
            ("missing", "block_count", MAX_BITMAP_BLOCKS + 1),
            ("missing", "bitmap", "not base64!"),
            ("missing", "bitmap", base64.b64encode(bytes(MAX_BITMAP_BLOCKS // 8 + 1025)).decode()),
        ],
    )
    def test_out_of_bounds_is_malformed(self, leaf: str, name: str, bad: object) -> None:
        decoded_with(leaf)
        with pytest.raises(MessageError):
            decoded_with(leaf, **{name: bad})

    def test_requests_and_statuses_are_as_long_as_they_may_be(self) -> None:
        entries = [[number, 1] for number in range(MAX_REPAIR_ENTRIES + 1)]
        for name in ("deficits", "absent"):
            decoded_with("repair", **{name: entries[:-1]})
            with pytest.raises(MessageError):
                decoded_with("repair", **{name: entries})
        bitmaps = [[number, ""] for number in range(MAX_REPAIR_ENTRIES + 1)]
        decoded_with("repair", missing_symbols=bitmaps[:-1])
        with pytest.raises(MessageError):
            decoded_with("repair", missing_symbols=bitmaps)
        ids = [receiver_id(number) for number in range(MAX_SEATS + 1)]
        for name in ("settled", "catch_up", "must_leave_group"):
            decoded_with("status", **{name: ids[:-1]})
            with pytest.raises(MessageError):
                decoded_with("status", **{name: ids})

    def test_the_largest_messages_that_we_make_can_be_read(self) -> None:
        block_number = (1 << 32) - 1
        request = repair_request(
            deficits=((block_number, 191),) * MAX_REPAIR_ENTRIES,
            absent=((block_number,) * 2,) * MAX_REPAIR_ENTRIES,
            missing_symbols=((block_number, b"\xff" * 24),) * MAX_REPAIR_ENTRIES,
        )
        ids = tuple(receiver_id(number) for number in range(MAX_SEATS))
        on_catch_up = status(catch_up=ids, must_leave_group=ids)  # a settled receiver is on no lane
        bitmap = random.Random(1).randbytes(MAX_BITMAP_BLOCKS // 8 + 1024)
        disk = missing_blocks(ranges=[], block_count=MAX_BITMAP_BLOCKS, bitmap=bitmap)
        largest = announcement(manifest_length=2048 * CHUNK_SIZE, manifest_block_digests=(bytes(32),) * 2048)
        for message in (request, on_catch_up, disk, largest):
            assert len(encode_message(message)) <= MAX_MESSAGE_LENGTH
            assert decode_message(topic_of(message), encode_message(message)) == message

    def test_too_long_is_not_parsed(self) -> None:
        payload = encode_message(status())
        padded = payload + b" " * (MAX_MESSAGE_LENGTH - len(payload))
        assert decode_message(topic_of(status()), padded) == status()
        with pytest.raises(MessageError, match="bytes is over"):
            decode_message(topic_of(status()), padded + b" ")

    @pytest.mark.parametrize(
        ("length", "digest_count"), [(1 << 62, 1), (0, 1), (CHUNK_SIZE, 2), (CHUNK_SIZE + 1, 1), (1, 0)]
    )
    def test_an_announcement_reserves_no_more_than_its_digests_vouch_for(self, length: int, digest_count: int) -> None:
        digests = [base64.b64encode(bytes(32)).decode()] * digest_count
        with pytest.raises(MessageError, match="digests for a manifest"):
            decoded_with("announcement", manifest_length=length, manifest_block_digests=digests)

    def test_deep_nesting_is_malformed(self) -> None:
        with pytest.raises(MessageError):
            decode_message(topic_of(status()), b"[" * 100_000)


class TestText:
    """What a peer says ends on an operator's terminal."""

    HOSTILE = "a\x1b[2J\r\n\x00\u202eb\ufeff\u2028éß <"
    SHOWN = "a\ufffd[2J\ufffd\ufffd\ufffd\ufffdb\ufffd\ufffdéß <"

    @pytest.mark.parametrize("field", ["seat", "reason", "target"])
    def test_what_cannot_be_printed_does_not_arrive(self, field: str) -> None:
        said = msgspec.structs.replace(report(), **{field: self.HOSTILE})
        heard = decode_message(topic_of(said), encode_message(said))
        assert heard == msgspec.structs.replace(said, **{field: self.SHOWN})

    def test_in_the_name_of_an_image_neither(self) -> None:
        image = announcement().image
        said = announcement(image=msgspec.structs.replace(image, name=self.HOSTILE))
        heard = decode_message(topic_of(said), encode_message(said))
        assert heard == announcement(image=msgspec.structs.replace(image, name=self.SHOWN))


@pytest.mark.slow
class TestFuzz:
    @given(st.sampled_from([topic_of(message) for message in MESSAGES]) | st.text(), st.binary())
    def test_any_topic_and_bytes_are_a_message_or_malformed(self, topic: str, payload: bytes) -> None:
        try:
            message = decode_message(topic, payload)
        except MessageError:
            return
        assert topic_of(message) == topic

    @given(st.sampled_from(MESSAGES), st.data())
    def test_flipped_bytes_are_a_message_or_malformed(self, message: Message, data: st.DataObject) -> None:
        payload = bytearray(encode_message(message))
        for _ in range(data.draw(st.integers(1, 4))):
            position = data.draw(st.integers(0, len(payload) - 1))
            payload[position] = data.draw(st.integers(0, 255))
        try:
            again = decode_message(topic_of(message), bytes(payload))
        except MessageError:
            return
        assert decode_message(topic_of(again), encode_message(again)) == again

    @given(st.sampled_from(VECTORS), st.data())
    def test_any_json_in_any_field_is_a_message_or_malformed(self, vector: dict[str, Any], data: st.DataObject) -> None:
        scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable)
        values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
        name = data.draw(st.sampled_from(sorted(vector["fields"])))
        payload = json.dumps({**vector["fields"], name: data.draw(values)}).encode()
        try:
            message = decode_message(vector["topic"], payload)
        except MessageError:
            return
        assert decode_message(topic_of(message), encode_message(message)) == message


def test_the_final_states() -> None:
    assert {state for state in ReceiverState if state.is_final} == {"verified", "refused", "failed", "damaged"}
    assert list(SessionPhase) == ["waiting", "manifest", "disk", "ended"]


def test_an_inconsistent_announcement_of_our_own_is_a_bug() -> None:
    with pytest.raises(ValueError, match="digests for a manifest"):
        msgspec.convert({**msgspec.to_builtins(announcement()), "manifest_length": 0}, Announcement)
