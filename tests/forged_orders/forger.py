"""Makes forged orders of every kind, from a seed.

Two attackers. The *outsider* can write anything to the broker, and knows every payload that ever was on it. The
*insider* also has the director's signature under every payload, as if the control key alone were stolen, so that the
ticket's own proof is all that is left; it even gets the director to sign tickets, only not this one.
"""

import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from protocol import sealed_box
from protocol.envelope import OVERHEAD, signed_payload
from protocol.messages import Announcement, Message, SignedTicket, ticket_topic, topic_of
from protocol.signing import Purpose, SigningKey
from protocol.ticket import ReceiverKeys, Ticket, sign_ticket
from tests.sample_messages import OTHER_TSI, TSI
from tests.sample_orders import (
    DIRECTOR,
    IMAGE_KEY,
    OTHER_DIRECTOR,
    OTHER_IMAGE_KEY,
    OTHER_SEAT,
    SEAT,
    SECRET,
    Seat,
    seed,
    signed_announcement,
    ticket_for,
)

Delivery = tuple[str, bytes]
"""topic and payload"""

POOL: Final = 24
"""tickets of each valid kind, to be mutated or replayed"""


@dataclass(frozen=True)
class Forgery:
    """One attack, as the payloads that arrive one after the other."""

    kind: str
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True)
class Scene:
    """What an attacker has seen, and the keys of the director, without which half of the kinds would not get far."""

    director: SigningKey
    image_key: SigningKey
    keys: ReceiverKeys
    """of the receiver that is attacked"""
    announced: Announcement
    """the session that the receiver waits for"""
    ended: Announcement
    """a session that the receiver took part in"""
    ended_ticket: SignedTicket


def sample_scene() -> Scene:
    """Of the keys in tests.sample_orders."""
    ended = signed_announcement(tsi=OTHER_TSI)
    return Scene(DIRECTOR, IMAGE_KEY, SEAT.keys, signed_announcement(tsi=TSI), ended, ticket_for(SEAT, ended))


class Forger:
    """Knows the session that is waited for, the one that is over, and everything valid around them."""

    def __init__(self, rng: random.Random, scene: Scene) -> None:
        self._rng = rng
        self._scene = scene
        self._made: Final[dict[bytes, Forgery]] = {}
        self.announced: Final = scene.announced
        self.good: Final = self._ticket(scene.announced)
        self._announcement_payload: Final = self.said(self.announced)
        self._ticket_payload: Final = self.said(self.good)
        self._ended: Final = (self.said(scene.ended), self.said(scene.ended_ticket))
        keys = [Seat.of(f"seat {number}").keys for number in range(POOL)]
        boots = [msgspec.structs.replace(scene.keys, boot_nonce=one.boot_nonce) for one in keys]
        directors = [SigningKey(seed(f"director {number}")) for number in range(POOL)]
        self._of_seats: Final = [self._ticket(self.announced, one) for one in keys]
        self._of_boots: Final = [self._ticket(self.announced, one) for one in boots]
        self._of_directors: Final = [
            sign_ticket(self.announced, scene.keys, SECRET, one, may_write=True) for one in directors
        ]
        self._plan: Final = sign_ticket(self.announced, scene.keys, SECRET, scene.director, may_write=False)
        self._of_sessions: Final = [self._ticket(self._image(tsi=f"{number:016x}")) for number in range(1, POOL)]
        self._foreign_images: Final = [self.pair(self._foreign_image(number)) for number in range(POOL)]
        self._other_images: Final = [self.pair(self._other_image(number)) for number in range(POOL)]
        self.outsiders: Final[tuple[Callable[[], Forgery], ...]] = (
            self.flipped_ticket_payload,
            self.flipped_announcement_payload,
            self.truncated_payload,
            self.other_text_of_payload,
            self.signed_by_somebody,
            self.moved_from_another_topic,
            self.signature_for_another_purpose,
            self.noise,
        )
        self.insiders: Final[tuple[Callable[[], Forgery], ...]] = (
            self.flipped_ticket,
            self.flipped_announcement,
            self.other_director,
            self.other_receiver,
            self.earlier_boot,
            self.other_session,
            self.swapped_fields,
            self.plan_made_an_order,
            self.truncated_ticket,
            self.other_text_of_ticket,
            self.foreign_image_key,
            self.other_image,
            self.other_manifest_digest,
            self.ticket_signed_for_another_purpose,
            self.other_secret,
            self.ended_session,
        )

    def forgeries(self, count: int, *, insiders: float = 0.2) -> Iterator[Forgery]:
        """``count`` of all kinds in turn; a share of ``insiders`` costs a receiver twice the work."""
        for number in range(count):
            makers = self.insiders if self._rng.random() < insiders else self.outsiders
            yield makers[number % len(makers)]()

    def opening(self) -> list[Delivery]:
        """What a receiver has heard before: the session that is over, with its order, and the one that waits."""
        return [*self._ended, self._announcement_payload]

    def finale(self) -> list[Delivery]:
        """The real order."""
        return [self._announcement_payload, self._ticket_payload]

    # --- the outsider ------------------------------------------------------------------------------------------------

    def flipped_ticket_payload(self) -> Forgery:
        topic, payload = self._ticket_payload
        return Forgery("bit of a ticket's payload", ((topic, self._flipped(payload)),))

    def flipped_announcement_payload(self) -> Forgery:
        topic, payload = self._announcement_payload
        return Forgery("bit of an announcement's payload", ((topic, self._flipped(payload)), self._ticket_unsigned()))

    def truncated_payload(self) -> Forgery:
        topic, payload = self._ticket_payload
        start, stop = sorted(self._rng.sample(range(len(payload)), 2))
        return Forgery("truncated payload", ((topic, payload[start:stop]),))

    def other_text_of_payload(self) -> Forgery:
        topic, payload = self._ticket_payload
        body = self._other_text(payload[:-OVERHEAD])
        return Forgery("other text of a payload", ((topic, body + payload[-OVERHEAD:]),))

    def signed_by_somebody(self) -> Forgery:
        key = self._rng.choice([OTHER_DIRECTOR, self._scene.image_key, OTHER_SEAT.signing_key])
        message: Message = self._rng.choice([self.good, *self._of_directors])
        return Forgery("payload of another key", ((topic_of(message), signed_payload(message, key)),))

    def moved_from_another_topic(self) -> Forgery:
        theirs = self._rng.choice(self._of_seats)
        renamed = self.said(theirs)[1].replace(theirs.receiver_id.encode(), self.good.receiver_id.encode())
        return Forgery("payload of another topic", ((ticket_topic(self.good.receiver_id), renamed),))

    def signature_for_another_purpose(self) -> Forgery:
        topic, payload = self._ticket_payload
        purpose = self._rng.choice([one for one in Purpose if one is not Purpose.CONTROL])
        body = payload[:-OVERHEAD]
        signature = self._scene.director.sign(purpose, topic.encode() + b"\0" + body)
        return Forgery("payload signed for another purpose", ((topic, body + b"\n" + base64.b64encode(signature)),))

    def noise(self) -> Forgery:
        topic = self._rng.choice([self._ticket_payload[0], self._announcement_payload[0], "slatecast/v1/nowhere"])
        return Forgery("noise", ((topic, self._rng.randbytes(self._rng.randrange(1, 900))),))

    def _ticket_unsigned(self) -> Delivery:
        topic, payload = self._ticket_payload
        return topic, payload[:-OVERHEAD]

    # --- the insider -------------------------------------------------------------------------------------------------

    def flipped_ticket(self) -> Forgery:
        name = self._rng.choice(["ticket", "signature"])
        return self._insider("bit of a ticket", **{name: self._flipped(getattr(self.good, name))})

    def flipped_announcement(self) -> Forgery:
        """Any field that a receiver would use; the ticket is good."""
        changes: dict[str, Any] = self._rng.choice(
            [
                {"port": self._rng.randrange(1, 1 << 16)},
                {"group": f"239.{self._rng.randrange(192)}.1.1"},
                {"source": f"192.0.2.{self._rng.randrange(2, 255)}"},
                {"catch_up_url": f"https://192.0.2.66:{self._rng.randrange(1, 1 << 16)}"},
                {"manifest_digest": self._flipped(self.announced.manifest_digest)},
                {"image_key": self._flipped(self.announced.image_key)},
                {"image_signature": self._flipped(self.announced.image_signature)},
                {"manifest_length": self._rng.randrange(1, 1 << 18)},
                {"image": msgspec.structs.replace(self.announced.image, disk_size=self._rng.randrange(1 << 40))},
            ]
        )
        altered = msgspec.structs.replace(self.announced, **changes)
        kept = altered if altered != self.announced else msgspec.structs.replace(self.announced, port=1)
        return self._around("altered announcement", self.said(kept), self._ticket_payload)

    def other_director(self) -> Forgery:
        return self._pooled("ticket of another director", self._of_directors)

    def other_receiver(self) -> Forgery:
        return self._pooled("ticket of another receiver", self._of_seats)

    def earlier_boot(self) -> Forgery:
        return self._pooled("ticket of an earlier boot", self._of_boots)

    def other_session(self) -> Forgery:
        return self._pooled("ticket of another session", self._of_sessions)

    def swapped_fields(self) -> Forgery:
        """One or more fields come from another valid ticket; the signature is of one of both."""
        pool = self._rng.choice([self._of_seats, self._of_boots, self._of_sessions, [self._plan]])
        other = self._rng.choice(pool)
        mine, theirs = json.loads(self.good.ticket), json.loads(other.ticket)
        names = [name for name in mine if mine[name] != theirs[name]]
        swapped = mine | {
            name: theirs[name] for name in self._rng.sample(names, self._rng.randrange(1, len(names) + 1))
        }
        body = json.dumps(swapped, separators=(",", ":")).encode()
        signature = self._rng.choice([self.good.signature, other.signature])
        if body == other.ticket:  # all fields swapped
            signature = self.good.signature
        return self._insider("fields of two tickets", ticket=body, signature=signature)

    def plan_made_an_order(self) -> Forgery:
        """The director has signed the rest of it, and both texts that it is put together from."""
        may_write = self._rng.choice([b"true", b"1", b'"true"', b"True", b"null"])
        body = self._plan.ticket.replace(b'"may_write":false', b'"may_write":' + may_write)
        twice = self._plan.ticket[:-1] + b',"may_write":true}'
        signature = self._rng.choice([self._plan.signature, self.good.signature])
        return self._insider("plan made an order", ticket=self._rng.choice([body, twice]), signature=signature)

    def plan(self) -> list[Delivery]:
        """The real order to look at the disk and touch nothing."""
        return [self._announcement_payload, self.said(self._plan)]

    def truncated_ticket(self) -> Forgery:
        start, stop = sorted(self._rng.sample(range(len(self.good.ticket)), 2))
        return self._insider("truncated ticket", ticket=self.good.ticket[start:stop])

    def other_text_of_ticket(self) -> Forgery:
        """Even if the director itself has signed the other text."""
        body = self._other_text(self.good.ticket)
        signature = self._scene.director.sign(Purpose.TICKET, body) if self._rng.random() < 0.5 else self.good.signature
        return self._insider("other text of a ticket", ticket=body, signature=signature)

    def foreign_image_key(self) -> Forgery:
        return self._around("foreign image key", *self._rng.choice(self._foreign_images))

    def other_image(self) -> Forgery:
        return self._around("signature of another image", *self._rng.choice(self._other_images))

    def other_manifest_digest(self) -> Forgery:
        return self._resigned("manifest digest of another image", manifest_digest=self._rng.randbytes(32))

    def ticket_signed_for_another_purpose(self) -> Forgery:
        purpose = self._rng.choice([one for one in Purpose if one is not Purpose.TICKET])
        signature = self._scene.director.sign(purpose, self.good.ticket)
        return self._insider("ticket signed for another purpose", signature=signature)

    def other_secret(self) -> Forgery:
        """The director has signed it, but the box is of another ticket, or made by somebody who had no context."""
        theirs = msgspec.json.decode(self._rng.choice([*self._of_boots, *self._of_seats]).ticket, type=Ticket)
        made = sealed_box.seal_to(self._scene.keys.sealing_key, SECRET, self._rng.randbytes(8))
        return self._resigned("secret of another ticket", sealed_secret=self._rng.choice([theirs.sealed_secret, made]))

    def ended_session(self) -> Forgery:
        """Every byte is genuine."""
        return Forgery("replay of a session that is over", self._ended)

    # --- parts -------------------------------------------------------------------------------------------------------

    def _insider(self, kind: str, **changes: Any) -> Forgery:
        return Forgery(kind, (self.said(msgspec.structs.replace(self.good, **changes)),))

    def _resigned(self, kind: str, **changes: Any) -> Forgery:
        ticket = msgspec.structs.replace(msgspec.json.decode(self.good.ticket, type=Ticket), **changes)
        body = msgspec.json.encode(ticket)
        return self._insider(kind, ticket=body, signature=self._scene.director.sign(Purpose.TICKET, body))

    def _pooled(self, kind: str, pool: list[SignedTicket]) -> Forgery:
        """Addressed to us, for the session that waits; made once, since signing costs more than the rest."""
        ticket = self._rng.choice(pool)
        if ticket.signature not in self._made:
            self._made[ticket.signature] = self._insider(kind, ticket=ticket.ticket, signature=ticket.signature)
        return self._made[ticket.signature]

    def _around(self, kind: str, announcement: Delivery, ticket: Delivery) -> Forgery:
        """An announcement that takes the place of the real one, until that is heard again."""
        return Forgery(kind, (announcement, ticket, self._announcement_payload))

    def _foreign_image(self, number: int) -> Announcement:
        key = self._rng.choice([OTHER_IMAGE_KEY, self._scene.director, SigningKey(seed(f"image key {number}"))])
        return self._image(key, port=1000 + number)

    def _other_image(self, number: int) -> Announcement:
        """The signature of one image on another one."""
        other = self._image(manifest_digest=seed(f"manifest {number}"))
        return msgspec.structs.replace(self.announced, image_signature=other.image_signature)

    def _image(self, key: SigningKey | None = None, **changes: Any) -> Announcement:
        """A session like the one that is waited for, whose image ``key`` has signed."""
        key = key or self._scene.image_key
        plain = msgspec.structs.replace(self.announced, **changes)
        return msgspec.structs.replace(
            plain, image_key=key.public, image_signature=key.sign(Purpose.IMAGE, plain.manifest_digest)
        )

    def _ticket(self, announced: Announcement, keys: ReceiverKeys | None = None) -> SignedTicket:
        return sign_ticket(announced, keys or self._scene.keys, SECRET, self._scene.director, may_write=True)

    def pair(self, announced: Announcement) -> tuple[Delivery, Delivery]:
        return self.said(announced), self.said(self._ticket(announced))

    def said(self, message: Message) -> Delivery:
        """With the director's signature under it."""
        return topic_of(message), signed_payload(message, self._scene.director)

    def _flipped(self, data: bytes) -> bytes:
        flipped = bytearray(data)
        for _ in range(self._rng.choice([1, 1, 1, 2, 8])):
            flipped[self._rng.randrange(len(data))] ^= 1 << self._rng.randrange(8)
        return bytes(flipped) if flipped != data else bytes([data[0] ^ 1]) + data[1:]

    def _other_text(self, body: bytes) -> bytes:
        """What a reader of JSON could take for the same; never the same bytes."""
        plain: dict[str, Any] = json.loads(body)
        names = list(plain)
        place = self._rng.randrange(len(names))
        name, value = names[place], plain[names[place]]
        gap = self._rng.randrange(len(body) + 1)
        space = self._rng.choice([b" ", b"\t", b"\r\n", b"\xef\xbb\xbf", b"\0"])
        size = str(self.announced.image.disk_size).encode()
        other: object = self._rng.choice([None, 1.5, -1, [], {}, "", [value]])
        return self._rng.choice(
            [
                json.dumps(plain, indent=self._rng.choice([None, 0, 1])).encode(),
                json.dumps({one: plain[one] for one in names[place:] + names[:place]}).encode(),
                json.dumps(plain | {name: other}, separators=(",", ":")).encode(),
                body[:-1] + f",{json.dumps(name)}:{json.dumps(value)}}}".encode(),
                body[:-1] + b',"min_size":' + size + b".0}",
                body.replace(size, size + b".0") + b" " * (size not in body),
                body.replace(name.encode(), f"\\u00{ord(name[0]):02x}{name[1:]}".encode(), 1),
                body[:gap] + space + body[gap:],
            ]
        )
