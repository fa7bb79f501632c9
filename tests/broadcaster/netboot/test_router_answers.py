"""What becomes of a question for IPv6 routers: the message alone, and on a link."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.netboot.router_answers import NO_ROUTER, solicitor
from tests.lab.network import Host, Lab, missing_requirement

SOLICITATION = bytes.fromhex("8500 0000 00000000 0101 525400123456")
"""RFC 4861 section 4.1, with the sender's link-layer address, as iPXE sends it."""

OURS, ANOTHER = "52:54:00:12:34:56", "52:54:00:12:34:57"

LISTEN = """
import asyncio, socket, sys
from broadcaster.netboot.router_answers import RouterAnswers
interface, ours = sys.argv[1:]
async def main():
    answers = RouterAnswers(interface, socket.if_nametoindex(interface), lambda address: address == ours)
    serving = asyncio.create_task(answers.serve())
    await asyncio.sleep(0)
    print("listening", flush=True)
    await serving
asyncio.run(main())
"""

ASK = """
import socket, sys
interface, *questions = sys.argv[1:]
with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as asking:
    asking.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    asking.settimeout(10)
    for question in questions:
        asking.sendto(bytes.fromhex(question), ("ff02::2", 0, 0, socket.if_nametoindex(interface)))
    while True:
        answer, hops, _, sender = asking.recvmsg(1500, 64)
        if answer[0] == 134:
            print(answer[:2].hex(), answer[4:].hex())
            break
"""


def test_the_answer_says_that_there_is_no_router() -> None:
    assert bytes.fromhex("8600 0000 00 00 0000 00000000 00000000") == NO_ROUTER


def test_who_asks_is_told_by_the_option_with_the_link_layer_address() -> None:
    assert solicitor(SOLICITATION) == OURS
    nonce = bytes.fromhex("0e01 010203040506")
    assert solicitor(SOLICITATION[:8] + nonce + SOLICITATION[8:]) == OURS


@pytest.mark.parametrize(
    "message",
    [
        b"",
        SOLICITATION[:8],
        SOLICITATION[:15],
        b"\x86" + SOLICITATION[1:],
        SOLICITATION[:9] + b"\0" + SOLICITATION[10:],
        SOLICITATION[:9] + b"\2" + SOLICITATION[10:],
    ],
    ids=["nothing", "no option", "cut off", "an answer", "an option without length", "an address of 14 bytes"],
)
def test_whoever_does_not_say_who_it_is_gets_no_answer(message: bytes) -> None:
    assert solicitor(message) is None


@given(st.binary(max_size=64))
def test_any_bytes_are_a_question_or_none(rest: bytes) -> None:
    found = solicitor(b"\x85" + rest)
    assert found is None or len(found) == len(OURS)


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}")
def test_only_a_pc_of_ours_is_answered() -> None:
    with Lab(1) as lab:
        (pc,) = lab.receivers
        server = lab.broadcaster
        listening = server.popen([sys.executable, "-P", "-c", LISTEN, server.interface, OURS], stdout=subprocess.PIPE)
        assert listening.stdout is not None
        assert listening.stdout.readline() == "listening\n"
        strangers = SOLICITATION[:10] + bytes.fromhex(ANOTHER.replace(":", ""))
        assert ask(pc, strangers, SOLICITATION) == [f"8600 {NO_ROUTER[4:].hex()}"]
        assert ask(pc, strangers, strangers, timeout=1.0) == []


def ask(pc: Host, *questions: bytes, timeout: float = 10.0) -> list[str]:
    """Answers to the PC that asks."""
    argv = [sys.executable, "-I", "-c", ASK, pc.interface, *(question.hex() for question in questions)]
    try:
        done = subprocess.run(pc.command(argv), capture_output=True, text=True, check=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return []
    return done.stdout.splitlines()
