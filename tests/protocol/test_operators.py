import json
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.envelope import signed_body
from protocol.errors import MessageError, SignatureError
from protocol.fields import MAX_MESSAGE_LENGTH, Count, ReceiverId
from protocol.messages import ReceiverState
from protocol.operators import (
    ALL_NEWS,
    MAX_HAPPENINGS,
    MAX_PAGES,
    OPERATORS_ROOT,
    PAGE_LENGTH,
    CapturesNews,
    News,
    ReceiverNews,
    ReceiversNews,
    SeatNews,
    SeatsNews,
    news_topic,
    open_news,
    signed_news,
)
from protocol.signing import SigningKey
from tests.sample_messages import OTHER_TSI, TSI, receiver_id

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "operators.json").read_text(encoding="utf-8")
)
DIRECTOR = SigningKey(bytes([1]) * 32)
CONSOLE = SigningKey(bytes([5]) * 32)
NEWS: list[dict[str, Any]] = VECTORS["news"]
by_kind = pytest.mark.parametrize("vector", NEWS, ids=lambda vector: vector["type"])


def opened(vector: dict[str, Any]) -> News:
    return open_news(vector["topic"], vector["payload"].encode(), DIRECTOR.public)


def said(vector: dict[str, Any], key: SigningKey = DIRECTOR, **changes: object) -> News:
    """The news after some fields were changed or, with ``...``, removed, and signed again."""
    fields = {name: value for name, value in {**vector["fields"], **changes}.items() if value is not ...}
    return open_news(vector["topic"], signed_body(vector["topic"], json.dumps(fields).encode(), key), DIRECTOR.public)


def plain(value: object) -> object:
    """The value as JSON shows it."""
    return json.loads(msgspec.json.encode(value))


# --- the vectors ---------------------------------------------------------------------------------------------------


def test_every_kind_has_a_vector() -> None:
    assert [vector["type"] for vector in NEWS] == [kind.__name__ for kind in get_args(News)]


@by_kind
def test_they_read_and_write_the_same(vector: dict[str, Any]) -> None:
    news = opened(vector)
    assert type(news).__name__ == vector["type"]
    assert news_topic(news) == vector["topic"]
    assert signed_news(news, DIRECTOR).decode() == vector["payload"]
    assert plain(news) == vector["fields"]


@by_kind
def test_any_byte_that_is_altered_is_found(vector: dict[str, Any]) -> None:
    payload = vector["payload"].encode()
    for place in range(0, len(payload), 13):
        bad = payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
        with pytest.raises(SignatureError):
            open_news(vector["topic"], bad, DIRECTOR.public)
    for length in range(0, len(payload), 7):
        with pytest.raises(SignatureError):
            open_news(vector["topic"], payload[:length], DIRECTOR.public)


@by_kind
def test_only_the_director_says_it_and_only_there(vector: dict[str, Any]) -> None:
    with pytest.raises(SignatureError):
        said(vector, CONSOLE)
    others = [other["topic"] for other in NEWS if other is not vector]
    for topic in (*others, vector["topic"].replace(TSI, OTHER_TSI).replace("/30", "/29")):
        if topic != vector["topic"]:
            with pytest.raises(SignatureError):
                open_news(topic, vector["payload"].encode(), DIRECTOR.public)
            moved = signed_body(topic, json.dumps(vector["fields"]).encode(), DIRECTOR)
            with pytest.raises(MessageError, match="on the topic of another"):
                open_news(topic, moved, DIRECTOR.public)


@by_kind
def test_no_field_may_be_absent_or_unknown(vector: dict[str, Any]) -> None:
    assert said(vector) == opened(vector)
    for name in vector["fields"]:
        gone: dict[str, Any] = {name: ...}
        with pytest.raises(MessageError):
            said(vector, **gone)
    with pytest.raises(MessageError):
        said(vector, surprise=1)


# --- topics --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "topic",
    [
        "",
        OPERATORS_ROOT,
        f"{OPERATORS_ROOT}/host/",
        f"{OPERATORS_ROOT}/host\n",
        f"{OPERATORS_ROOT}/receivers",
        f"{OPERATORS_ROOT}/receivers/x",
        f"{OPERATORS_ROOT}/receivers/1000",
        f"{OPERATORS_ROOT}/sessions/{TSI.upper()}",
        f"{OPERATORS_ROOT}/sessions/{TSI}/0/0",
        f"{OPERATORS_ROOT}/commands",
        "slatecast/v2/operators/host",
    ],
)
def test_others_are_not_ours(topic: str) -> None:
    with pytest.raises(MessageError, match="topic"):
        open_news(topic, NEWS[0]["payload"].encode(), DIRECTOR.public)


@by_kind
def test_they_are_where_the_filters_listen(vector: dict[str, Any]) -> None:
    patterns = [each.replace("+", "[^/]+").replace("/#", "(/.*)?") for each in ALL_NEWS]
    assert sum(re.fullmatch(pattern, vector["topic"]) is not None for pattern in patterns) == 1


# --- bounds --------------------------------------------------------------------------------------------------------

FIRST_RECEIVER: list[Any] = NEWS[1]["fields"]["receivers"][0]
FIRST_SEAT: list[Any] = NEWS[5]["fields"]["seats"][0]


def seat_with(place: str, value: object) -> list[list[Any]]:
    seat = list(FIRST_SEAT)
    seat[SeatNews.__struct_fields__.index(place)] = value
    return [seat]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (0, {"generation": "0F" * 16}),
        (0, {"sequence": -1}),
        (0, {"sequence": (1 << 62) + 1}),
        (0, {"version": "x" * 65}),
        (0, {"at": 1e12}),
        (0, {"is_link_up": 1}),
        (0, {"sessions": ["x"]}),
        (0, {"sessions": [TSI] * 257}),
        (0, {"applicants": [{**NEWS[0]["fields"]["applicants"][0], "receiver_id": "x"}]}),
        (0, {"applicants": NEWS[0]["fields"]["applicants"] * 129}),
        (0, {"warnings": ["x"] * 33}),
        (0, {"warnings": ["x" * 401]}),
        (1, {"page": MAX_PAGES}),
        (1, {"pages": 0}),
        (1, {"pages": MAX_PAGES + 1}),
        (1, {"receivers": [FIRST_RECEIVER] * (PAGE_LENGTH + 1)}),
        (1, {"receivers": [FIRST_RECEIVER[:-1]]}),
        (1, {"receivers": [[*FIRST_RECEIVER, "more"]]}),
        (1, {"receivers": [[*FIRST_RECEIVER[:3], "not a session", ""]]}),
        (1, {"receivers": [{"receiver_id": receiver_id(1)}]}),
        (2, {"images": [{**NEWS[2]["fields"]["images"][0], "disk_size": -1}]}),
        (2, {"images": [{**NEWS[2]["fields"]["images"][0], "sessions": [TSI] * 17}]}),
        (3, {"captures": [{**NEWS[3]["fields"]["captures"][0], "done": 1.5}]}),
        (3, {"captures": [{**NEWS[3]["fields"]["captures"][0], "capture_id": "x"}]}),
        (3, {"captures": NEWS[3]["fields"]["captures"] * (PAGE_LENGTH + 1)}),
        (4, {"step": "sleeping"}),
        (4, {"phase": "paused"}),
        (4, {"position": 1 << 32}),
        (4, {"elapsed_seconds": -0.5}),
        (4, {"happenings": NEWS[4]["fields"]["happenings"] * MAX_HAPPENINGS}),
        (4, {"happenings": [{"at": 1.0, "severity": "fatal", "text": "", "receiver_id": None}]}),
        (5, {"seats": [FIRST_SEAT] * (PAGE_LENGTH + 1)}),
        (5, {"seats": [FIRST_SEAT[:-1]]}),
        (5, {"seats": [[*FIRST_SEAT, 0]]}),
        (5, {"seats": seat_with("reason", "x" * 401)}),
        (5, {"seats": seat_with("buffer_fill_ratio", 1.5)}),
        (5, {"seats": seat_with("settled_seconds", -1e10)}),
        (5, {"seats": seat_with("settled_seconds", "soon")}),
        (5, {"seats": seat_with("blocks_total", 1.5)}),
        (5, {"type": "host"}),
    ],
)
def test_out_of_bounds_is_malformed(kind: int, changes: dict[str, Any]) -> None:
    with pytest.raises(MessageError):
        said(NEWS[kind], **changes)


def test_more_than_a_message_is_not_read() -> None:
    with pytest.raises(MessageError, match="is over"):
        open_news(NEWS[0]["topic"], b" " * (MAX_MESSAGE_LENGTH + 1), DIRECTOR.public)


def test_a_full_page_of_the_longest_texts_fits_a_message() -> None:
    first = opened(NEWS[5])
    assert isinstance(first, SeatsNews)
    (seat,) = first.seats
    texts = dict.fromkeys(("machine", "seat", "target"), "ü" * 64)
    largest = {name: 1 << 62 for name, kind in SeatNews.__annotations__.items() if name not in texts and kind is Count}
    full = msgspec.structs.replace(seat, **texts, **largest, outcome=ReceiverState.RECEIVING, reason="x" * 400)
    page = msgspec.structs.replace(first, seats=(full,) * PAGE_LENGTH)
    assert len(signed_news(page, DIRECTOR)) < MAX_MESSAGE_LENGTH
    there = ReceiverNews(receiver_id(1), "ü" * 64, "ü" * 64, TSI, "x" * 64)
    receivers = ReceiversNews(generation="00" * 16, sequence=1, page=0, pages=1, receivers=(there,) * PAGE_LENGTH)
    assert len(signed_news(receivers, DIRECTOR)) < MAX_MESSAGE_LENGTH
    captures = opened(NEWS[3])
    assert isinstance(captures, CapturesNews)
    words = dict.fromkeys(("machine", "seat", "image", "target", "ordered_by"), "ü" * 64)
    longest = msgspec.structs.replace(captures.captures[0], reason="ü" * 400, **words)
    crowded = msgspec.structs.replace(captures, captures=(longest,) * PAGE_LENGTH)
    assert len(signed_news(crowded, DIRECTOR)) < MAX_MESSAGE_LENGTH


def test_ids_are_those_of_receivers() -> None:
    assert SeatNews.__annotations__["receiver_id"] == ReceiverId


# --- anything ------------------------------------------------------------------------------------------------------


@given(st.sampled_from(NEWS), st.data())
def test_any_json_in_any_field_is_news_or_malformed(vector: dict[str, Any], data: st.DataObject) -> None:
    scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
    name = data.draw(st.sampled_from(sorted(vector["fields"])))
    changes: dict[str, Any] = {name: data.draw(values)}
    try:
        news = said(vector, **changes)
    except MessageError:
        return
    assert open_news(news_topic(news), signed_news(news, DIRECTOR), DIRECTOR.public) == news


@given(st.sampled_from([vector["topic"] for vector in NEWS]), st.binary(max_size=300))
def test_any_bytes_that_the_director_signs_are_news_or_malformed(topic: str, body: bytes) -> None:
    with pytest.raises((MessageError, SignatureError)):
        open_news(topic, signed_body(topic, body, DIRECTOR), DIRECTOR.public)
