from typing import Any

import pytest

from protocol.certificate import Certificate, check_certificate
from protocol.link.interfaces import resolve_interface
from protocol.messages import Message, ReceiverReport, ReceiverState, SignedCertificate
from protocol.ticket import check_ticket, sign_ticket
from receiver.active_session import ActiveSession
from receiver.certifying import certify
from receiver.config import ReceiverConfig
from receiver.identity import ReceiverIdentity
from receiver.orders import AnnouncedOrder
from tests.certified import signer
from tests.sample_messages import DIRECTOR, IMAGE_KEY, announcement, report


def certified(seat: str = "seat-1", target: str = "/dev/sda", serial: str = "S3Z8NB0K") -> Certificate:
    key, keys = signer(1)
    signed = certify(
        announcement(), keys, key, seat=seat, target=target, serial=serial, verified_bytes=8 << 20, blocks=32
    )
    assert signed.receiver_id == keys.receiver_id
    return check_certificate(signed, keys=keys)


def test_it_says_which_image_is_on_which_disk() -> None:
    made, session = certified(), announcement()
    assert (made.tsi, made.manifest_digest) == (session.tsi, session.manifest_digest)
    image = session.image
    assert (made.image, made.version, made.disk_size) == (image.name, image.version, image.disk_size)
    assert (made.seat, made.target, made.serial) == ("seat-1", "/dev/sda", "S3Z8NB0K")
    assert (made.verified_bytes, made.blocks) == (8 << 20, 32)


def test_texts_of_any_origin_are_made_to_fit() -> None:
    made = certified(target="/a" * 100, serial="A\x00\udc80\nB")
    assert made.target == "/a" * 32
    assert made.serial.isprintable()
    assert made.serial.startswith("A")


class Listener:
    """A voice that only remembers what it was to say."""

    def __init__(self) -> None:
        self.said: list[tuple[Message, int]] = []

    def say(self, message: Message, *, qos: int = 1, retain: bool = False, supersedes: bool = False) -> None:
        assert supersedes
        assert not retain
        self.said.append((message, qos))


@pytest.mark.asyncio
async def test_the_certificate_leaves_before_each_final_report() -> None:
    identity, listener = ReceiverIdentity.draw(), Listener()
    order = check_ticket(
        sign_ticket(announcement(), identity.keys, bytes(32), DIRECTOR, may_write=True),
        announcement(),
        receiver=identity.keys,
        opening_key=identity.opening_key,
        director_key=DIRECTOR.public,
        image_keys=[IMAGE_KEY.public],
    )
    config = ReceiverConfig("seat-1", "/dev/sda", resolve_interface("lo"))
    enrolment: Any = None  # nothing is fetched here
    voice: Any = listener
    active = ActiveSession(AnnouncedOrder(announcement(), order), config, identity, enrolment, voice)
    active._publish(report(1, state=ReceiverState.VERIFYING))
    assert [qos for _, qos in listener.said] == [0]
    key, keys = signer(1)
    active._work.certificate = certify(
        announcement(), keys, key, seat="seat-1", target="/dev/sda", serial="", verified_bytes=1, blocks=1
    )
    for _ in range(2):
        listener.said.clear()
        active._publish(report(1, state=ReceiverState.VERIFIED))
        assert [(type(message), qos) for message, qos in listener.said] == [(SignedCertificate, 1), (ReceiverReport, 1)]
