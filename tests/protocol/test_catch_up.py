from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.catch_up import BlockAddress, LaneAddress
from protocol.errors import MessageError

TSI = "00000000000000ab"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://10.0.0.1:8080", LaneAddress(IPv4Address("10.0.0.1"), 8080)),
        ("https://127.0.0.1:65535/", LaneAddress(IPv4Address("127.0.0.1"), 65535)),
        ("https://[2001:db8::1]:80", LaneAddress(IPv6Address("2001:db8::1"), 80)),
        ("https://[fd00:1111:2222:3333:4444:5555:6666:7777]:65535", None),
        ("http://10.0.0.1:8080", LaneAddress(IPv4Address("10.0.0.1"), 8080, is_secure=False)),
    ],
)
def test_url_of_a_lane(url: str, address: LaneAddress | None) -> None:
    parsed = LaneAddress.parse(url)
    assert str(parsed) == url.rstrip("/")
    assert len(str(parsed)) <= 64  # what the announcement has room for
    assert address in (None, parsed)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "10.0.0.1:8080",
        "httpss://10.0.0.1:8080",
        "ftp://10.0.0.1:8080",
        "HTTP://10.0.0.1:8080",
        "ftp://10.0.0.1:21",
        "file:///etc/passwd",
        "http://lab.example:8080",
        "http://localhost:80",
        "http://10.0.0.1",
        "http://10.0.0.1:",
        "http://10.0.0.1:0",
        "http://10.0.0.1:080",
        "http://10.0.0.1:65536",
        "http://10.0.0.1:-1",
        "http://10.0.0.1:8080/v1",
        "http://10.0.0.1:8080?a=b",
        "http://10.0.0.1:8080#a",
        "http://10.0.0.1:8080\n",
        "http://10.0.0.1:8080 ",
        " http://10.0.0.1:8080",
        "http://ada@10.0.0.1:8080",
        "http://ada:pass@10.0.0.1:8080",
        "http://10.0.0.1:80@10.0.0.2:80",
        "http://10.0.0.1%2f:80",
        "http://10.0.0.256:80",
        "http://010.0.0.1:80",
        "http://10.0.1:80",
        "http://167772161:80",
        "http://0x0a000001:80",
        "http://\u0661\u0660.0.0.1:80",
        "http://10.0.0.1:\u0668\u0660",
        "http://0.0.0.0:80",
        "http://255.255.255.255:80",
        "http://239.1.2.3:80",
        "http://2001:db8::1:80",
        "http://[2001:db8::1]",
        "http://[2001:db8::1%25eth0]:80",
        "http://[2001:db8::1%eth0]:80",
        "http://[fe80::1]:80",
        "http://[ff15::1]:80",
        "http://[::]:80",
        "http://[10.0.0.1]:80",
        "http://[v1.a]:80",
        "http://[]:80",
        "http://10.0.0.1:80" + "0" * 1000,
        "\0",
    ],
)
def test_what_is_no_url_of_a_lane(url: str) -> None:
    with pytest.raises(MessageError) as caught:
        LaneAddress.parse(url)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@given(
    st.one_of(
        st.text(),
        st.text("htp:/[].0123456789abcdef@%#?", max_size=40).map("http://".__add__),
        st.builds("https://{}:{}".format, st.ip_addresses(), st.integers()),
        st.builds("http://[{}]:{}".format, st.ip_addresses(), st.integers()),
    )
)
def test_any_url_is_one_host_or_refused(url: str) -> None:
    try:
        parsed = LaneAddress.parse(url)
    except MessageError as error:
        assert "\n" not in str(error)  # noqa: PT017 - both outcomes are right
    else:
        assert LaneAddress.parse(str(parsed)) == parsed
        assert ip_address(url.partition("://")[2].rpartition(":")[0].strip("[]")) == parsed.host
        assert 1 <= parsed.port <= 65535


@given(
    st.integers(0, 1),
    st.integers(0, (1 << 32) - 1),
    st.none()
    | st.integers(0, 254).flatmap(lambda first: st.builds(range, st.just(first), st.integers(first + 1, 255))),
    st.booleans(),
)
def test_path_of_a_block(toi: int, sbn: int, esis: range | None, asks_digests: bool) -> None:
    address = BlockAddress(TSI, toi, sbn, esis, asks_digests)
    assert BlockAddress.parse(str(address)) == address


def test_paths_as_they_are_written() -> None:
    assert str(BlockAddress(TSI, 1, 7, None)) == "/v1/sessions/00000000000000ab/objects/1/blocks/7"
    assert str(BlockAddress(TSI, 0, 0, range(3, 5))) == (
        "/v1/sessions/00000000000000ab/objects/0/blocks/0?first_esi=3&count=2"
    )
    assert str(BlockAddress(TSI, 1, 7, range(255), asks_digests=True)) == (
        "/v1/sessions/00000000000000ab/objects/1/blocks/7/symbol-digests?first_esi=0&count=255"
    )


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "*",
        "/v1",
        "/v1/sessions",
        "/v2/sessions/00000000000000ab/objects/1/blocks/7",
        "/v1/sessions/ab/objects/1/blocks/7",
        "/v1/sessions/00000000000000AB/objects/1/blocks/7",
        "/v1/sessions/00000000000000ab/objects/2/blocks/7",
        "/v1/sessions/00000000000000ab/objects/-1/blocks/7",
        "/v1/sessions/00000000000000ab/objects/1/blocks/",
        "/v1/sessions/00000000000000ab/objects/1/blocks/-7",
        "/v1/sessions/00000000000000ab/objects/1/blocks/07",
        "/v1/sessions/00000000000000ab/objects/1/blocks/7/",
        "/v1/sessions/00000000000000ab/objects/1/blocks/7/..",
        "/v1/sessions/00000000000000ab/objects/1/blocks/7/symbol-digest",
        "/v1/sessions/00000000000000ab/objects/1/blocks/7/symbol-digests/",
        "/v1/sessions/00000000000000ab/objects/1/blocks/symbol-digests",
        "/v1/sessions/00000000000000ab/objects/1/blocks/%37",
        "/v1/sessions/00000000000000ab/objects/1/blocks/\u0667",
        "/v1/sessions/00000000000000ab/objects/1/blocks/4294967296",
        "/v1/sessions/00000000000000ab/objects/1/blocks/99999999999999999999",
        "//v1/sessions/00000000000000ab/objects/1/blocks/7",
        "/v1/../v1/sessions/00000000000000ab/objects/1/blocks/7",
        "http://10.0.0.1/v1/sessions/00000000000000ab/objects/1/blocks/7",
        "/v1/sessions/00000000000000ab/objects/1/blocks/7#first_esi=0&count=1",
    ],
)
def test_paths_to_nothing(path: str) -> None:
    assert BlockAddress.parse(path) is None


@pytest.mark.parametrize(
    "query",
    [
        "",
        "first_esi=0",
        "count=1",
        "count=1&first_esi=0",
        "first_esi=0&count=1&",
        "first_esi=0&count=1&a=b",
        "first_esi=-1&count=1",
        "first_esi=0&count=0",
        "first_esi=0&count=256",
        "first_esi=254&count=2",
        "first_esi=255&count=1",
        "first_esi=9999999999&count=9999999999",
        "first_esi=0x1&count=1",
        "first_esi=+1&count=1",
        "first_esi=1.0&count=1",
        "first_esi=%30&count=1",
        "first_esi=0&count=1\n",
        "first_esi=\u0661&count=1",
    ],
)
def test_queries_that_name_no_symbols(query: str) -> None:
    with pytest.raises(MessageError):
        BlockAddress.parse(f"{BlockAddress(TSI, 1, 7, None)}?{query}")


@given(st.text() | st.text("/v1sesionbjctlk-ymdgh?=&0123456789ab").map(f"/v1/sessions/{TSI}/objects/1/blocks/".__add__))
def test_any_path_is_a_block_or_nothing(path: str) -> None:
    try:
        parsed = BlockAddress.parse(path)
    except MessageError:
        return
    assert parsed is None or str(parsed) == path
