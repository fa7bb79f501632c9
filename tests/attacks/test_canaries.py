"""No secret of a cast turns up anywhere: goal G14.

One real cast with two real receivers, everything as talkative as it can be. The secrets are those of this cast itself,
taken from where they have to be; then everything that left the processes is searched for them, in every spelling.
"""

import base64
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil
import pytest

from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from broadcaster.saved_cast import SavedCast
from protocol.enrolment import ENROLMENT_PATH, Hello, encode
from protocol.link.tls import TlsIdentity, pinned_context, unproved_context
from protocol.messages import Announcement, decode_message
from protocol.pairing import commitment_to
from protocol.signing import SigningKey
from receiver.identity import ReceiverIdentity
from tests.attacks.asking import ask
from tests.attacks.canaries import Canary, found_in
from tests.attacks.routes import routes
from tests.brokers import receiver_tls_identity
from tests.end_to_end.room import KEYS, Room, Running, free_port, wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]

TOKEN = "canary-token-" + secrets.token_hex(8)
SEEDED_RECEIVER = """
import sys
from pathlib import Path
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from receiver import identity
from slatecast.__main__ main

draw = identity.ReceiverIdentity.draw
notes = Path(sys.argv.pop(1))

def noted():
    drawn = draw()
    secrets = {
        "identity": drawn.signing_key.private_key.private_bytes_raw(),
        "opening": drawn.opening_key._private.private_bytes_raw(),
    }
    notes.write_text("\\n".join(f"{name} {secret.hex()}" for name, secret in secrets.items()))
    return drawn

identity.ReceiverIdentity.draw = noted
main()
""".replace("slatecast.__main__ main", "slatecast.__main__ import main")
"""A receiver that writes down what it must never say."""


@dataclass
class Overheard:
    """Everything that left the processes of a cast, by name."""

    canaries: list[Canary] = field(default_factory=list)
    content: dict[str, bytes] = field(default_factory=dict)
    frames: Path | None = None

    def leaks(self, *names: str) -> list[str]:
        chosen = {name: text for name, text in self.content.items() if not names or name.startswith(names)}
        assert chosen, f"nothing was overheard of {names}"
        return [leak for name, text in chosen.items() for leak in found_in(self.canaries, name, text)]


@pytest.fixture(scope="module")
def overheard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Overheard]:
    """The cast is over when this returns."""
    with Room(tmp_path_factory.mktemp("canaries")) as room:
        yield listen_to_a_cast(room)


def listen_to_a_cast(room: Room) -> Overheard:
    heard = Overheard()
    source, metrics = room.source(), {"cast": free_port(), "seat": free_port()}
    added = room.start("-vv", "image", "add", source, "--name", "lab", "--library", room.library)
    assert added.finish() == 0, added.errors.text
    if os.geteuid() == 0:
        heard.frames = room.folder / "frames"
        tap = room.start_python("-m", "tests.attacks.listening_in", "link", "lo", heard.frames)
        tap.errors.until("^listening$")
    report = room.folder / "report.json"
    argv = ("cast", "lab", "--library", room.library, "--interface", "lo", "--expect", 2, "--report", report)
    # A token in the environment alone: everybody may read a command line.
    cast = room.start("-vv", *argv, "--metrics-port", metrics["cast"], environment={"SLATECAST_CAST_TOKEN": TOKEN})
    door = cast.door()
    observer = room.start_python("-m", "tests.attacks.listening_in", "mqtt", cast.broker(), room.folder / KEYS)
    observer.errors.until("^listening$")
    seats = [seat(room, door, "one", metrics["seat"])]
    observer.output.until('"state":"ready"')
    announced = observer.output.first(announcement_in, "an announcement")
    wait_until(lambda: bool(list((room.library / "casts").glob("*.cast"))), "the record of the cast")
    heard.canaries = secrets_of(room, seats[0][1])
    processes = {"cast": cast, "seat one": seats[0][0]}
    heard.content |= views_of(processes, tokens_go_to={cast.pid, seats[0][0].pid})
    heard.content |= answers(room, door, announced, metrics)
    seats.append(seat(room, door, "two", free_port()))
    codes = [process.finish(60) for process in (cast, *(one for one, _noted in seats))]
    assert codes == [0, 0, 0], cast.errors.text
    heard.canaries += secrets_of_receiver("two", seats[1][1])
    named = {"add": added, "cast": cast, "seat one": seats[0][0], "seat two": seats[1][0]}
    for name, process in named.items():
        heard.content[f"output of {name}"] = process.output.text.encode()
        heard.content[f"log of {name}"] = process.errors.text.encode()
    heard.content["messages"] = observer.output.text.encode()
    heard.content["report"] = report.read_bytes()
    heard.content["audit log"] = (room.library / "audit.jsonl").read_bytes()
    for command in (("keys", "show", "--json"), ("keys", "export-trust", "trust.json"), ("image", "show", "lab")):
        shown = room.start("-vv", "--library", room.library, *command)
        assert shown.finish() == 0, shown.errors.text
        heard.content[f"output of {' '.join(command)}"] = (shown.output.text + shown.errors.text).encode()
    heard.content["trust file"] = (room.folder / "trust.json").read_bytes()
    heard.content["trust beside the keys"] = (room.folder / KEYS / "trust.json").read_bytes()
    for path in (room.folder / "state").rglob("*"):
        if path.is_file():
            heard.content[f"state {path.name}"] = path.read_bytes()
    for path in Library.open(room.library).root.rglob("*"):
        if path.is_file():
            heard.content[f"library {path.name}"] = path.read_bytes()
    if heard.frames is not None:
        heard.content["frames"] = heard.frames.read_bytes()
    return heard


def announcement_in(line: str) -> Announcement | None:
    topic, _, message = line.partition(" ")
    decoded = decode_message(topic, message.encode()) if topic.endswith("/announcement") and message.strip() else None
    return decoded if isinstance(decoded, Announcement) else None


def seat(room: Room, door: str, name: str, port: int) -> tuple[Running, Path]:
    noted = room.folder / f"keys of {name}"
    argv = ("receive", "--once", "--target", room.target(name), "--server", door, "--interface", "lo", "--seat", name)
    process = room.start_python(
        "-c",
        SEEDED_RECEIVER,
        noted,
        "-vv",
        *argv,
        "--metrics-port",
        port,
        environment={"SLATECAST_RECEIVE_TOKEN": TOKEN},
    )
    return process, noted


def secrets_of(room: Room, noted: Path) -> list[Canary]:
    """All that must stay where it is, from where that is."""
    store = KeyStore.open(room.folder / KEYS)
    assert store.image is not None
    (record,) = (room.library / "casts").glob("*.cast")
    saved = msgspec.json.decode(record.read_bytes().partition(b"\n")[2], type=SavedCast)
    pem = b"".join(store.authority.private_key.splitlines()[1:-1])
    return [
        Canary("token", TOKEN.encode()),
        Canary("session secret", saved.session_secret),
        *keys_in("director key", store.director),
        *keys_in("image key", store.image),
        Canary("authority key", msgspec.json.decode(b'"' + pem + b'"', type=bytes)[36:68]),
        *secrets_of_receiver("one", noted),
    ]


def keys_in(name: str, key: SigningKey) -> list[Canary]:
    return [Canary(name, key.private_key.private_bytes_raw())]


def secrets_of_receiver(name: str, noted: Path) -> list[Canary]:
    lines = [line.split() for line in noted.read_text().splitlines()]
    assert len(lines) == 2
    return [Canary(f"{kind} key of seat {name}", bytes.fromhex(secret)) for kind, secret in lines]


def views_of(processes: dict[str, Running], tokens_go_to: set[int]) -> dict[str, bytes]:
    """What everybody may read of a process, and what only its user may; the token was given to some by the latter."""
    views: dict[str, bytes] = {}
    for name, running in processes.items():
        process = psutil.Process(running.pid)
        for number, one in enumerate((process, *process.children(recursive=True))):
            proc = Path("/proc") / str(one.pid)
            views[f"process: command line of {name} {number}"] = (proc / "cmdline").read_bytes()
            views[f"process: name of {name} {number}"] = (proc / "comm").read_bytes()
            environment = (proc / "environ").read_bytes()
            if one.pid in tokens_go_to:
                variables = environment.split(b"\0")
                environment = b"\0".join(line for line in variables if not line.endswith(b"_TOKEN=" + TOKEN.encode()))
            views[f"process: environment of {name} {number}"] = environment
    return views


def answers(room: Room, door: str, announced: Announcement, metrics: dict[str, int]) -> dict[str, bytes]:
    """What every route says to a stranger, and to a receiver that was let in."""
    authority = KeyStore.open(room.folder / KEYS).authority
    stranger = ReceiverIdentity.draw()
    known: TlsIdentity = receiver_tls_identity(stranger, authority)
    contexts = {"door": unproved_context(), "lane": pinned_context(authority.certificate, known), "metrics": None}
    ports = {"door": port_of(door), "lane": port_of(announced.catch_up_url), "metrics": metrics["cast"]}
    heard: dict[str, bytes] = {}
    for route in routes(announced.tsi, stranger.receiver_id):
        for body in (b"", hello_of(stranger)):
            tls = contexts[route.listener]
            answer = ask(ports[route.listener], route.method, route.path, tls=tls, body=body)
            assert answer is not None
            name = f"answer {route} {len(body)}"
            heard[name] = answer.head + b"\r\n\r\n" + answer.body
    offer = heard[f"answer door {ENROLMENT_PATH} {len(hello_of(stranger))}"]
    assert offer.startswith(b"HTTP/1.1 200"), offer
    scraped = ask(metrics["seat"], "GET", "/metrics")
    assert scraped is not None
    heard["answer metrics of the seat"] = scraped.body
    return heard


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def hello_of(receiver: ReceiverIdentity) -> bytes:
    keys = receiver.keys
    return encode(
        Hello(
            identity_key=keys.identity_key,
            sealing_key=keys.sealing_key,
            boot_nonce=keys.boot_nonce,
            seat="stranger",
            commitment=commitment_to(bytes(32)),
            pairing=b"",
        )
    )


class TestCanaries:
    def test_there_is_one_for_every_secret(self, overheard: Overheard) -> None:
        names = {canary.name for canary in overheard.canaries}
        of_seats = {f"{kind} key of seat {seat}" for kind in ("identity", "opening") for seat in ("one", "two")}
        assert names == {"token", "session secret", "director key", "image key", "authority key"} | of_seats

    @pytest.mark.parametrize("what", ["output", "log", "report", "audit log", "trust", "library", "state"])
    def test_g14_nothing_written_or_said_holds_a_secret(self, overheard: Overheard, what: str) -> None:
        if what == "state" and not [name for name in overheard.content if name.startswith("state")]:
            return  # a receiver with a token remembers nothing at all
        assert overheard.leaks(what) == []

    def test_g14_no_message_holds_a_secret(self, overheard: Overheard) -> None:
        messages = overheard.content["messages"]
        for kind in ("announcement", "status", "presence", "report", "ticket", "certificate"):
            assert f"/{kind} ".encode() in messages
        assert overheard.leaks("messages") == []

    def test_g14_no_answer_holds_a_secret(self, overheard: Overheard) -> None:
        assert overheard.leaks("answer") == []

    def test_g14_no_process_shows_a_secret(self, overheard: Overheard) -> None:
        assert len([name for name in overheard.content if name.startswith("process: command line of cast")]) >= 2
        assert overheard.leaks("process") == []

    @pytest.mark.skipif(os.geteuid() != 0, reason="reading what crosses an interface needs root")
    def test_g14_no_datagram_holds_a_secret(self, overheard: Overheard) -> None:
        frames = overheard.content["frames"]
        assert len(frames) > 5 << 20, "the image itself has crossed the interface"
        assert b"_slatecast" in frames, "multicast DNS has"
        assert overheard.leaks("frames") == []


@pytest.mark.parametrize("shift", range(3))
def test_a_planted_secret_is_found_in_every_spelling(shift: int) -> None:
    canary = Canary("key", secrets.token_bytes(32))
    inside = secrets.token_bytes(shift) + canary.secret + secrets.token_bytes(5)
    pem = base64.encodebytes(inside * 3)
    for content in (inside, inside.hex().encode(), base64.b64encode(inside), pem, msgspec.json.encode(inside)):
        assert found_in([canary], "x", b"before" + content + b"after") == ["key in x"]
    assert found_in([canary], "x", secrets.token_bytes(1000)) == []
