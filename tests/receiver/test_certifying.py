from protocol.certificate import Certificate, check_certificate
from receiver.certifying import certify
from tests.certified import signer
from tests.sample_messages import announcement


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
