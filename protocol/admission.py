"""The admission: the director's word that an operator, or a token, has let this receiver into the room for this boot.

It is carried in the receiver's presence, so a broadcaster that was restarted knows its room without keeping a list. It
gives the right to be heard and to be given tickets, nothing more: what is written is ordered by tickets.
"""

from protocol import signing
from protocol.errors import SignatureError
from protocol.messages import Presence
from protocol.signing import Purpose, SigningKey
from protocol.ticket import ReceiverKeys


def sign_admission(receiver: ReceiverKeys, director: SigningKey) -> bytes:
    """64 bytes that ``check_admission`` accepts for these keys and this nonce."""
    return director.sign(Purpose.ADMISSION, _admitted_bytes(receiver))


def check_admission(receiver: ReceiverKeys, admission: bytes, director_key: bytes) -> None:
    """Make sure that the director has admitted ``receiver`` in this boot.

    Raises:
        SignatureError: it has not.
    """
    signing.verify(director_key, Purpose.ADMISSION, _admitted_bytes(receiver), admission)


def admitted_keys(presence: Presence, director_key: bytes) -> ReceiverKeys:
    """The keys of the receiver that says ``presence``, once the director's admission of them is proved.

    Raises:
        SignatureError: not admitted, or speaking under an id that is not its key's.
    """
    keys = ReceiverKeys(
        identity_key=presence.identity_key, sealing_key=presence.sealing_key, boot_nonce=presence.boot_nonce
    )
    if keys.receiver_id != presence.receiver_id:
        raise SignatureError("a receiver id that is not the fingerprint of its key")
    check_admission(keys, presence.admission, director_key)
    return keys


def _admitted_bytes(receiver: ReceiverKeys) -> bytes:
    return receiver.identity_key + receiver.sealing_key + receiver.boot_nonce
