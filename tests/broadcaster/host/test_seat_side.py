"""Captures under a host that is killed in the middle, over TLS, with a machine that only sends."""

import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broadcaster.host.seat_side import _kept_port
from broadcaster.library.verifying import verify_image
from protocol.capture import CaptureStep, CaptureWish
from protocol.commands import DecideCapture
from protocol.link.front_door_address import DEFAULT_SEAT_API_PORT
from protocol.link.mqtt import BrokerAddress
from protocol.link.tls import pinned_context
from receiver.enrolment import enrol
from receiver.identity import ReceiverIdentity
from receiver.seat_api_link import SeatApiLink
from tests.broadcaster.captures.played import PlayedDisk
from tests.broadcaster.host.hosted_room import RATE, HostedRoom
from tests.end_to_end.room import TOKEN, Running

pytestmark = [pytest.mark.asyncio, pytest.mark.system, pytest.mark.slow]

DISK = PlayedDisk(count=8)


def start(hosted: HostedRoom) -> Running:
    """A host in a process of its own, that can be killed."""
    process = hosted.room.start_python(
        *("-m", "tests.broadcaster.host.host_process", hosted.room.folder),
        *(hosted.port, hosted.broker_port, RATE),
    )
    process.output.until("^ready$")
    return process


@asynccontextmanager
async def seat(hosted: HostedRoom, identity: ReceiverIdentity) -> AsyncIterator[SeatApiLink]:
    """The machine, once it was let in."""
    enrolment = await enrol(
        "127.0.0.1",
        hosted.port,
        identity,
        seat="reference",
        token=TOKEN,
        trust=None,
        on_words=lambda _words: None,
        confirm=None,
    )
    tls = pinned_context(enrolment.trust.authority, enrolment.certificate)
    async with SeatApiLink(enrolment.seat_api, tls) as link:
        yield link


async def send(link: SeatApiLink, capture_id: str, count: int) -> int:
    """Send so many of the chunks that are lacking; how many those were."""
    lacking = await link.lacking(capture_id, DISK.digests)
    wanted = [digest for digest, is_lacking in zip(DISK.digests, lacking, strict=True) if is_lacking]
    for body in DISK.framed(wanted[:count]):
        await link.send_chunks(capture_id, body)
    return len(wanted)


async def test_a_host_that_is_killed_goes_on_with_what_has_arrived(hosted: HostedRoom) -> None:
    machine = ReceiverIdentity.draw()
    broker = BrokerAddress("127.0.0.1", hosted.broker_port, tls=True)
    process = start(hosted)
    async with seat(hosted, machine) as link, hosted.operator(broker) as operator:
        wish = CaptureWish(image="reference", machine="pc", target="the disk", disk_size=1 << 20)
        capture_id = (await link.wish_capture(wish)).capture_id
        assert (await link.work()).capture is None
        await operator.do(DecideCapture(capture_id=capture_id, is_allowed=True))
        order = (await link.work()).capture
        assert order is not None
        assert (order.capture_id, order.image) == (capture_id, "reference")
        assert await send(link, capture_id, 5) == 8
    process.kill()
    assert hosted.library.names() == ["lab"]
    process = start(hosted)
    async with seat(hosted, machine) as link:
        assert (await link.capture_state(capture_id)).step is CaptureStep.RUNNING
        assert await send(link, capture_id, 8) == 3
        state = await link.send_disk(capture_id, DISK.described())
        assert (state.step, state.version) == (CaptureStep.DONE, 1)
    os.kill(process.pid, signal.SIGTERM)
    assert process.finish() == 0
    manifest = hosted.library.load("reference")
    assert verify_image(hosted.library, manifest) == []
    assert [chunk.raw_digest for chunk in manifest] == DISK.digests
    signature = hosted.library.signature(manifest)
    assert signature is not None
    assert hosted.keys.image is not None
    assert signature.key == hosted.keys.image.public
    audit = (hosted.library.root / "audit.jsonl").read_text()
    assert '"capture ordered"' in audit
    assert '"reference"' in audit


async def test_who_is_at_work_while_a_host_is_killed_finds_the_next_one(hosted: HostedRoom) -> None:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # the standard port is another one's anyway
            stack.enter_context(socket.create_server(("127.0.0.1", DEFAULT_SEAT_API_PORT)))
        process = start(hosted)
        async with seat(hosted, ReceiverIdentity.draw()) as link:
            await link.work()
            process.kill()
            process = start(hosted)
            await link.work()
        os.kill(process.pid, signal.SIGTERM)
        assert process.finish() == 0


@pytest.mark.parametrize("content", ["", "port", "0", "65536", "\xff"])
async def test_a_port_that_cannot_be_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "port").write_text(content, "latin-1")
    assert _kept_port(tmp_path / "port") is None
