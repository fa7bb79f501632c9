from cryptography.hazmat.primitives.serialization import load_pem_private_key

from protocol.sealed_box import seal_to
from protocol.signing import Purpose, verify
from receiver.identity import ReceiverIdentity


def test_every_start_is_another_receiver() -> None:
    identities = [ReceiverIdentity.draw() for _ in range(3)]
    for values in zip(
        *((one.receiver_id, one.keys.sealing_key, one.keys.boot_nonce) for one in identities), strict=True
    ):
        assert len(set(values)) == 3


def test_its_keys_belong_together() -> None:
    identity = ReceiverIdentity.draw()
    assert identity.receiver_id == identity.keys.receiver_id
    signature = identity.signing_key.sign(Purpose.CONTROL, b"report")
    verify(identity.keys.identity_key, Purpose.CONTROL, b"report", signature)
    assert identity.opening_key.open(seal_to(identity.keys.sealing_key, b"secret", b"context"), b"context") == b"secret"
    tls_key = load_pem_private_key(identity.tls_private_key, None)
    assert tls_key.public_key() == identity.signing_key.private_key.public_key()


def test_it_shows_nothing_secret() -> None:
    identity = ReceiverIdentity.draw()
    assert repr(identity) == f"ReceiverIdentity({identity.receiver_id})"
