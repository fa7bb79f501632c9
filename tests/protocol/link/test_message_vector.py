import socket
from collections.abc import Iterator

import pytest

from protocol.link import message_vector
from protocol.link.message_vector import VECTOR_LENGTH, MessageVector

LENGTH = 100

pytestmark = pytest.mark.skipif(not message_vector.is_available(), reason="needs recvmmsg of a 64-bit Linux")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there,
    ):
        there.bind(("127.0.0.1", 0))
        here.connect(there.getsockname())
        yield here, there


def datagram(number: int, length: int = LENGTH) -> bytes:
    return bytes([number % 251]) * length


def received(there: socket.socket, vector: MessageVector) -> list[bytes]:
    return [bytes(run) for run in vector.receive(there)]


def test_nothing_is_no_run(pair: tuple[socket.socket, socket.socket]) -> None:
    _, there = pair
    assert received(there, MessageVector(LENGTH)) == []


def test_equal_datagrams_are_one_run(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    for number in range(10):
        here.send(datagram(number))
    assert received(there, MessageVector(LENGTH)) == [b"".join(map(datagram, range(10)))]


def test_a_call_takes_as_many_as_there_is_room_for_and_the_next_one_the_rest(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    here, there = pair
    for number in range(VECTOR_LENGTH + 3):
        here.send(datagram(number))
    vector = MessageVector(LENGTH)
    assert received(there, vector) == [b"".join(map(datagram, range(VECTOR_LENGTH)))]
    assert received(there, vector) == [b"".join(map(datagram, range(VECTOR_LENGTH, VECTOR_LENGTH + 3)))]
    assert received(there, vector) == []


@pytest.mark.parametrize(
    ("lengths", "runs"),
    [
        ([LENGTH, 40, LENGTH, LENGTH], [140, 200]),
        ([40, LENGTH], [40, 100]),
        ([LENGTH, 40], [140]),
        ([40, 30, 0, 20], [40, 30, 0, 20]),
        ([LENGTH + 50, LENGTH], [200]),
    ],
    ids=["in the middle", "first", "last", "only short ones", "a longer one is cut"],
)
def test_a_shorter_datagram_ends_a_run(
    pair: tuple[socket.socket, socket.socket], lengths: list[int], runs: list[int]
) -> None:
    here, there = pair
    sent = [datagram(number, length) for number, length in enumerate(lengths)]
    for each in sent:
        here.send(each)
    arrived = received(there, MessageVector(LENGTH))
    assert list(map(len, arrived)) == runs
    assert b"".join(arrived) == b"".join(each[:LENGTH] for each in sent)


def test_an_error_of_the_socket_is_raised() -> None:
    closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    closed.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        MessageVector(LENGTH).receive(closed)
