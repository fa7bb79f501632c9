import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import commands
from protocol.commands import (
    ALL_ANSWERS,
    COMMANDS_TOPIC,
    MAX_PARTS,
    PART_LENGTH,
    Answer,
    AnyCommand,
    Order,
    PlannedSeat,
    PlanSession,
    StopSession,
    answer_topic,
    open_answer,
    open_order,
    signed_answer,
    signed_order,
)
from protocol.envelope import signed_body
from protocol.errors import MessageError, SignatureError
from protocol.fields import MAX_MESSAGE_LENGTH, MAX_SEATS
from protocol.signing import SigningKey
from tests.protocol.test_operators import CONSOLE, DIRECTOR, VECTORS, plain
from tests.sample_messages import TSI, receiver_id

ORDERS: list[dict[str, Any]] = VECTORS["orders"]
ANSWERS: list[dict[str, Any]] = VECTORS["answers"]
each_order = pytest.mark.parametrize("vector", ORDERS, ids=lambda vector: vector["type"])
each_answer = pytest.mark.parametrize("vector", ANSWERS, ids=["progress", "last part"])


def ordered(fields: dict[str, Any], key: SigningKey = CONSOLE) -> Order:
    return open_order(signed_body(COMMANDS_TOPIC, json.dumps(fields).encode(), key), CONSOLE.public)


def commanded(vector: dict[str, Any], **changes: object) -> Order:
    """The order of a vector after fields of its command were changed or, with ``...``, removed."""
    command = {name: value for name, value in {**vector["fields"]["command"], **changes}.items() if value is not ...}
    return ordered({**vector["fields"], "command": command})


def answered(vector: dict[str, Any], key: SigningKey = DIRECTOR, **changes: object) -> Answer:
    fields = {name: value for name, value in {**vector["fields"], **changes}.items() if value is not ...}
    return open_answer(vector["topic"], signed_body(vector["topic"], json.dumps(fields).encode(), key), DIRECTOR.public)


def order_of(command: AnyCommand) -> Order:
    return Order(command_id="c2" * 16, generation="0f" * 16, operator="ada", command=command)


# --- orders --------------------------------------------------------------------------------------------------------


def test_every_command_has_a_vector_and_a_tag_of_its_own() -> None:
    kinds = get_args(AnyCommand)
    assert [vector["type"] for vector in ORDERS] == [kind.__name__ for kind in kinds]
    assert len({kind.__struct_config__.tag for kind in kinds}) == len(kinds)


@each_order
def test_orders_read_and_write_the_same(vector: dict[str, Any]) -> None:
    order = open_order(vector["payload"].encode(), CONSOLE.public)
    assert type(order.command).__name__ == vector["type"]
    assert vector["topic"] == COMMANDS_TOPIC
    assert signed_order(order, CONSOLE).decode() == vector["payload"]
    assert plain(order) == vector["fields"]


@each_order
def test_no_byte_of_an_order_may_change(vector: dict[str, Any]) -> None:
    payload = vector["payload"].encode()
    for place in range(0, len(payload), 5):
        bad = payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
        with pytest.raises(SignatureError):
            open_order(bad, CONSOLE.public)
    with pytest.raises(SignatureError):
        open_order(payload[:-1], CONSOLE.public)


@each_order
def test_only_the_console_orders(vector: dict[str, Any]) -> None:
    with pytest.raises(SignatureError):
        ordered(vector["fields"], DIRECTOR)
    elsewhere = signed_body(answer_topic("00" * 16), json.dumps(vector["fields"]).encode(), CONSOLE)
    with pytest.raises(SignatureError):
        open_order(elsewhere, CONSOLE.public)


@each_order
def test_of_a_command_only_what_has_a_default_may_be_absent_and_nothing_unknown(vector: dict[str, Any]) -> None:
    (kind,) = [each for each in get_args(AnyCommand) if each.__name__ == vector["type"]]
    optional = {field.name for field in msgspec.structs.fields(kind) if not field.required}
    for name in vector["fields"]["command"]:
        if name in optional:
            assert isinstance(commanded(vector, **{name: ...}).command, kind)
        else:
            with pytest.raises(MessageError):
                commanded(vector, **{name: ...})
    with pytest.raises(MessageError):
        commanded(vector, surprise=1)


@pytest.mark.parametrize("name", ["command_id", "generation", "operator", "command"])
def test_no_field_of_an_order_may_be_absent(name: str) -> None:
    fields = dict(ORDERS[1]["fields"])
    del fields[name]
    with pytest.raises(MessageError):
        ordered(fields)


def test_the_wipe_of_no_seat_or_of_too_many_is_no_order() -> None:
    seats = [{"machine": f"{number}", "seat": ""} for number in range(MAX_SEATS + 1)]
    for many in ([], seats):
        with pytest.raises(MessageError):
            commanded(ORDERS[0], seats=many)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("PlanSession", {"room": "x" * 65}),
        ("PlanSession", {"image": 7}),
        ("PlanSession", {"version": -1}),
        ("PlanSession", {"seats": [{"machine": "x"}]}),
        ("PlanSession", {"seats": [{"machine": "x", "seat": "1", "disk": "/dev/sda"}]}),
        ("PlanSession", {"rate_bits_per_second": 1.5}),
        ("PlanSession", {"wait_seconds": -1}),
        ("PlanSession", {"wait_seconds": 86401}),
        ("StartSession", {"expected_seats": 0}),
        ("StartSession", {"expected_seats": MAX_SEATS + 1}),
        ("StartSession", {"expected_seats": True}),
        ("StartSession", {"expected_seats": "2"}),
        ("StartSession", {"tsi": TSI.upper()}),
        ("StartSession", {"tsi": f"{TSI}\n"}),
        ("StopSession", {"command": "start"}),
        ("StopSession", {"command": "stop "}),
        ("StopSession", {"command": None}),
        ("DismissSeat", {"receiver_id": receiver_id(1)[1:]}),
        ("RetrySeats", {"machines": []}),
        ("AdmitReceivers", {"receiver_ids": []}),
        ("AdmitReceivers", {"receiver_ids": ["*"]}),
        ("ImportImage", {"path": ""}),
        ("ImportImage", {"path": "x" * 4097}),
        ("FetchAudit", {"count": 0}),
        ("FetchAudit", {"count": 5001}),
        ("WakeMachines", {"addresses": ["52-54-00-12-34-56"]}),
        ("WakeMachines", {"addresses": ["52:54:00:12:34:5G"]}),
    ],
)
def test_commands_out_of_bounds_are_malformed(kind: str, changes: dict[str, Any]) -> None:
    (vector,) = [each for each in ORDERS if each["type"] == kind]
    commanded(vector)
    with pytest.raises(MessageError):
        commanded(vector, **changes)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'"stop"', b"[" * 100_000, b"\xff", b"{" * 9])
def test_what_the_console_signed_and_is_no_order_is_malformed(body: bytes) -> None:
    with pytest.raises((MessageError, SignatureError)):
        open_order(signed_body(COMMANDS_TOPIC, body, CONSOLE), CONSOLE.public)


def test_the_largest_plan_fits_a_message_and_more_is_not_read() -> None:
    seats = tuple(PlannedSeat(machine=f"52:54:00:00:{n >> 8:02x}:{n & 255:02x}", seat=f"{n}") for n in range(MAX_SEATS))
    order = order_of(PlanSession(room="r", image="i", seats=seats))
    payload = signed_order(order, CONSOLE)
    assert len(payload) < MAX_MESSAGE_LENGTH
    assert open_order(payload, CONSOLE.public) == order
    with pytest.raises(MessageError, match="is over"):
        open_order(b" " * (MAX_MESSAGE_LENGTH + 1), CONSOLE.public)


# --- answers -------------------------------------------------------------------------------------------------------


@each_answer
def test_answers_read_and_write_the_same(vector: dict[str, Any]) -> None:
    answer = open_answer(vector["topic"], vector["payload"].encode(), DIRECTOR.public)
    assert vector["topic"] == answer_topic(answer.command_id)
    assert vector["topic"].startswith(ALL_ANSWERS.removesuffix("+"))
    assert signed_answer(answer, DIRECTOR).decode() == vector["payload"]
    assert plain(answer) == vector["fields"]


@each_answer
def test_only_the_director_answers_and_only_on_the_topic_of_the_command(vector: dict[str, Any]) -> None:
    with pytest.raises(SignatureError):
        answered(vector, CONSOLE)
    for topic in (answer_topic("00" * 16), COMMANDS_TOPIC, f"{vector['topic']}/x", vector["topic"].upper()):
        with pytest.raises(SignatureError):
            open_answer(topic, vector["payload"].encode(), DIRECTOR.public)
        moved = signed_body(topic, json.dumps(vector["fields"]).encode(), DIRECTOR)
        with pytest.raises(MessageError, match="not its own"):
            open_answer(topic, moved, DIRECTOR.public)


@pytest.mark.parametrize(
    "changes",
    [
        {"command_id": ...},
        {"command_id": "A0" * 16},
        {"is_done": ...},
        {"is_done": 1},
        {"progress": ...},
        {"progress": 1.01},
        {"progress": -0.01},
        {"progress_text": "x" * 65},
        {"error": "x" * 401},
        {"part": -1},
        {"part": MAX_PARTS},
        {"parts": 0},
        {"parts": MAX_PARTS + 1},
        {"body": "not base64!"},
        {"body": "A" * (-(-PART_LENGTH // 3) * 4 + 4)},
        {"surprise": 1},
    ],
)
def test_answers_out_of_bounds_are_malformed(changes: dict[str, Any]) -> None:
    answered(ANNOUNCED)
    with pytest.raises(MessageError):
        answered(ANNOUNCED, **changes)


ANNOUNCED = ANSWERS[0]


def test_what_a_short_answer_leaves_out_has_its_default() -> None:
    short: dict[str, Any] = dict.fromkeys(("progress_text", "error", "part", "parts", "body"), ...)
    answer = answered(ANNOUNCED, **short)
    assert (answer.progress_text, answer.error, answer.part, answer.parts, answer.body) == ("", "", 0, 1, b"")


def test_the_longest_part_fits_a_message() -> None:
    answer = Answer(command_id="d3" * 16, is_done=True, progress=1.0, parts=MAX_PARTS, body=b"\xff" * PART_LENGTH)
    payload = signed_answer(answer, DIRECTOR)
    assert len(payload) < MAX_MESSAGE_LENGTH
    assert open_answer(answer_topic("d3" * 16), payload, DIRECTOR.public) == answer
    with pytest.raises(MessageError, match="is over"):
        open_answer(answer_topic("d3" * 16), b" " * (MAX_MESSAGE_LENGTH + 1), DIRECTOR.public)


# --- anything ------------------------------------------------------------------------------------------------------


@given(st.sampled_from(ORDERS), st.data())
def test_any_json_in_any_field_of_a_command_is_an_order_or_malformed(
    vector: dict[str, Any], data: st.DataObject
) -> None:
    scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
    name = data.draw(st.sampled_from(sorted(vector["fields"]["command"])))
    try:
        order = commanded(vector, **{name: data.draw(values)})
    except MessageError:
        return
    assert open_order(signed_order(order, CONSOLE), CONSOLE.public) == order


def test_an_order_says_which_error_in_one_line() -> None:
    with pytest.raises(MessageError) as caught:
        commanded(ORDERS[1], expected_seats=0)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("commands: ")
    assert commands.COMMANDS_TOPIC.endswith("/commands")
    assert order_of(StopSession(tsi=TSI)).command == StopSession(tsi=TSI)
