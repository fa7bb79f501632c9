"""Bugs that could be written into the judging of tickets; each must be found by tests/protocol/test_ticket.py.

Each comparison is negated or removed, each key swapped, each step of what a ticket binds left out.
"""

from tests.mutants.catalogue import Change, Mutant

TICKET = "protocol/ticket.py"


def _mutant(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, name, (Change(TICKET, old, new),))


VERIFY_TICKET = "signing.verify(director_key, Purpose.TICKET, signed.ticket, signed.signature)"
VERIFY_IMAGE = "announcement.image_key, Purpose.IMAGE, announcement.manifest_digest, announcement.image_signature"
OTHER_MACHINE = "if ticket.receiver_key != receiver.identity_key:"
OTHER_BOOT = "if ticket.boot_nonce != receiver.boot_nonce:"
OTHER_SESSION = "if ticket.tsi != announcement.tsi or ticket.announcement_digest != announcement_digest(announcement):"
OTHER_IMAGE = "if ticket.manifest_digest != announcement.manifest_digest:"
CHECK_IMAGE = "    check_image(announcement, image_keys)\n    try:"
FOREIGN_IMAGE = "if announcement.image_key not in image_keys:"
OPEN = "secret = opening_key.open(ticket.sealed_secret, _box_context(ticket.tsi, receiver))"
CONTEXT = 'return b"slatecast session secret v1\\0" + tsi.encode() + receiver.identity_key + receiver.boot_nonce'
CANONICAL = "if _ENCODER.encode(ticket) != body:"
DIGEST = "return hashlib.sha256(encode_message(announcement)).digest()"
SEAL = "sealed_box.seal_to(receiver.sealing_key, session_secret, context)"
SIGN = "director.sign(Purpose.TICKET, body)"

MUTANTS = (
    _mutant("director's signature not checked", VERIFY_TICKET, "pass"),
    _mutant(
        "announcement's image key may order",
        VERIFY_TICKET,
        VERIFY_TICKET.replace("director_key", "announcement.image_key"),
    ),
    _mutant("any control signature may order", VERIFY_TICKET, VERIFY_TICKET.replace("TICKET", "CONTROL")),
    _mutant("any admission may order", VERIFY_TICKET, VERIFY_TICKET.replace("TICKET", "ADMISSION")),
    _mutant(
        "receiver's own key may order", VERIFY_TICKET, VERIFY_TICKET.replace("director_key", "receiver.identity_key")
    ),
    _mutant("signature over something else", VERIFY_TICKET, VERIFY_TICKET.replace("signed.ticket", "b''")),
    _mutant("machine not compared", OTHER_MACHINE, "if False:"),
    _mutant("machine negated", OTHER_MACHINE, OTHER_MACHINE.replace("!=", "==")),
    _mutant(
        "machine compared with itself",
        OTHER_MACHINE,
        OTHER_MACHINE.replace("receiver.identity_key", "ticket.receiver_key"),
    ),
    _mutant(
        "machine compared with its sealing key", OTHER_MACHINE, OTHER_MACHINE.replace("identity_key", "sealing_key")
    ),
    _mutant("boot not compared", OTHER_BOOT, "if False:"),
    _mutant("boot negated", OTHER_BOOT, OTHER_BOOT.replace("!=", "==")),
    _mutant("boot only ordered", OTHER_BOOT, OTHER_BOOT.replace("!=", "<")),
    _mutant("boot ordered the other way", OTHER_BOOT, OTHER_BOOT.replace("!=", ">")),
    _mutant("boot compared in part", OTHER_BOOT, "if ticket.boot_nonce[:1] < receiver.boot_nonce[:1]:"),
    _mutant("session not compared", OTHER_SESSION, "if False:"),
    _mutant("session negated", OTHER_SESSION, OTHER_SESSION.replace("tsi != ann", "tsi == ann")),
    _mutant("session needs both to differ", OTHER_SESSION, OTHER_SESSION.replace(" or ", " and ")),
    _mutant(
        "session's name not compared", OTHER_SESSION, OTHER_SESSION.replace("ticket.tsi != announcement.tsi or ", "")
    ),
    _mutant("announcement not compared", OTHER_SESSION, "if ticket.tsi != announcement.tsi:"),
    _mutant("announcement negated", OTHER_SESSION, OTHER_SESSION.replace("digest != ann", "digest == ann")),
    _mutant("announcement's digest of nothing", DIGEST, 'return hashlib.sha256(b"").digest()'),
    _mutant(
        "announcement's digest of its name only", DIGEST, "return hashlib.sha256(announcement.tsi.encode()).digest()"
    ),
    _mutant("image not compared", OTHER_IMAGE, "if False:"),
    _mutant("image negated", OTHER_IMAGE, OTHER_IMAGE.replace("!=", "==")),
    _mutant("image's signature never looked at", CHECK_IMAGE, "    try:"),
    _mutant("any image key will do", FOREIGN_IMAGE, "if False:"),
    _mutant("only foreign image keys will do", FOREIGN_IMAGE, FOREIGN_IMAGE.replace("not in", "in")),
    _mutant(
        "only the first image key will do",
        FOREIGN_IMAGE,
        FOREIGN_IMAGE.replace("image_keys:", "tuple(image_keys)[:1]:"),
    ),
    _mutant("image's signature for another purpose", VERIFY_IMAGE, VERIFY_IMAGE.replace("IMAGE", "CONTROL")),
    _mutant(
        "image's signature over something else", VERIFY_IMAGE, VERIFY_IMAGE.replace("manifest_digest", "image_key")
    ),
    _mutant(
        "image's signature not checked",
        f"signing.verify(\n            {VERIFY_IMAGE}\n        )",
        "pass",
    ),
    _mutant("secret not opened", OPEN, "secret = ticket.sealed_secret"),
    _mutant("secret opened for nothing", OPEN, OPEN.replace("_box_context(ticket.tsi, receiver)", 'b""')),
    _mutant("secret not bound to the session", CONTEXT, CONTEXT.replace(" + tsi.encode()", "")),
    _mutant("secret not bound to the machine", CONTEXT, CONTEXT.replace(" + receiver.identity_key", "")),
    _mutant("secret not bound to the boot", CONTEXT, CONTEXT.replace(" + receiver.boot_nonce", "")),
    _mutant("secret sealed to the identity key", SEAL, SEAL.replace("sealing_key", "identity_key")),
    _mutant("secret in clear", SEAL, "session_secret + bytes(sealed_box.OVERHEAD)"),
    _mutant("ticket signed as control", SIGN, SIGN.replace("TICKET", "CONTROL")),
    _mutant("other texts are tickets, too", CANONICAL, "if False:"),
    _mutant("only other texts are tickets", CANONICAL, CANONICAL.replace("!=", "==")),
    _mutant(
        "malformed is a crash",
        "except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:",
        "except RecursionError as error:",
    ),
    _mutant("box error is a crash", "    except SealError:\n", "    except KeyError:\n"),
    _mutant("smaller disk allowed", "min_size=announcement.image.disk_size,", "min_size=0,"),
    _mutant(
        "sector size not told", "logical_sector_size=announcement.image.logical_sector_size", "logical_sector_size=0"
    ),
    _mutant("every ticket lets write", "may_write=may_write,", "may_write=True,"),
    _mutant("no ticket lets write", "may_write=may_write,", "may_write=False,"),
    _mutant("order for another id", "receiver_id=receiver.receiver_id,", 'receiver_id="0" * 32,'),
    _mutant("id of the sealing key", "signing.fingerprint(self.identity_key)", "signing.fingerprint(self.sealing_key)"),
)
