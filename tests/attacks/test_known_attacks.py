"""Known holes of other imaging systems, each by name, tried on this one.

What needs a running cast is in test_routes.py (FOG CVE-2026-47688, CVE-2023-46237) and test_canaries.py (G14); texts
that reach a shell are in test_command_line.py (FOG CVE-2024-39914, CVE-2025-58443, CVE-2026-24138).
"""

import ast
import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from rich.console import Console

from broadcaster.audit import AuditEvent, AuditLog
from broadcaster.metrics import OUTCOMES
from broadcaster.report import SeatReport, SessionReport
from broadcaster.waiting_room import Applicant, WaitingRoom, WrongToken
from protocol import enrolment, messages, ticket, trust
from protocol.enrolment import decode_hello, encode
from protocol.errors import MessageError, SignatureError
from protocol.signing import SigningKey
from slatecast.cli.admitting import Admitting
from slatecast.cli.proof import one_line
from slatecast.cli.room_display import print_report
from tests.attacks import hostile, source
from tests.attacks.test_command_line import COMMANDS
from tests.broadcaster.applicants import Candidate
from tests.end_to_end.room import OLD_BYTE, Room, free_port
from tests.sample_messages import report as receiver_report

HTTP_MODULES = (
    "broadcaster/catch_up.py",
    "broadcaster/front_door.py",
    "broadcaster/handshakes.py",
    "broadcaster/http_listener.py",
    "protocol/catch_up.py",
    "protocol/enrolment.py",
    "protocol/link/metrics_endpoint.py",
)
"""Everything that a request passes through before an answer is made."""


def called(pattern: str) -> set[tuple[str, str]]:
    """(module, name) of every call in the product whose dotted name is of this form."""
    wanted = re.compile(pattern)
    return {
        (module, name)
        for module, tree in source.modules().items()
        for name, _call in source.calls(tree)
        if wanted.fullmatch(name)
    }


# --- FOG: command injection, CVE-2024-39914, CVE-2025-58443, CVE-2026-24138 -----------------------------------------


def test_fog_cve_2024_39914_no_shell_and_no_interpreter_in_the_source() -> None:
    assert not called(r"os\.(system|popen|exec\w+|spawn\w+|posix_spawn\w*)")
    assert not called(r"(subprocess\.)?get(status)?output|.*create_subprocess_shell|pty\.spawn")
    assert not called(r"eval|exec|__import__|(pickle|marshal|shelve|dill)\..*|yaml\.(unsafe_)?load\w*")
    for module, tree in source.modules().items():
        for name, call in source.calls(tree):
            assert not [word for word in call.keywords if word.arg == "shell"], f"{module}: {name}"


def test_fog_cve_2024_39914_every_process_is_started_from_a_list() -> None:
    started = called(r"subprocess\.(run|Popen|call|check_\w+)|.*create_subprocess_exec")
    assert {module for module, _name in started} == {
        "broadcaster/broker.py",
        "broadcaster/environment/archive.py",
        "broadcaster/environment/chroot.py",
        "broadcaster/environment/debian_root.py",
        "broadcaster/environment/python_packages.py",
        "broadcaster/library/served_disk.py",
        "broadcaster/library/shrink_table.py",
        "broadcaster/netboot/dnsmasq.py",
        "protocol/disk/ntfs_mount.py",
        "protocol/disk/source.py",
        "protocol/disk/system_tools.py",
        "receiver/configure/running.py",
        "receiver/keep_label.py",
        "receiver/target.py",
        "slatecast/cli/demo.py",
        "slatecast/sample_disk.py",
        "slatecast/serving/child.py",
    }, "whatever starts a process is to be looked at here"
    for module, tree in source.modules().items():
        for name, call in source.calls(tree):
            if (module, name) in started and "exec" not in name:
                assert not isinstance(call.args[0], ast.Constant | ast.JoinedStr), f"{module}: {name}"


# --- FOG: requests that the server makes for others, CVE-2023-46236; listing, CVE-2023-46237; uploads, CVE-2021-32243


def test_fog_cve_2023_46236_a_broadcaster_fetches_nothing() -> None:
    """The console calls the webhooks of its configuration, and a terminal its console; nobody else names an address."""
    fetching = called(r"(.*\.)?(ClientSession|urlopen|urlretrieve|HTTPS?Connection|ProxyManager|PoolManager)")
    assert {module.partition("/")[0] for module, _name in fetching} == {"dashboards", "receiver", "slatecast"}
    assert {module for module, _name in fetching if module.startswith(("dashboards", "slatecast"))} == {
        "dashboards/notices/webhook.py",
        "slatecast/console_api.py",
    }
    for module, tree in source.modules().items():
        clients = {
            name for name in source.imported(tree) if re.match(r"requests|httpx|urllib\.request|http\.client", name)
        }
        assert not clients, f"{module}: {clients}"


def test_fog_cve_2023_46237_and_cve_2021_32243_no_request_reaches_a_file() -> None:
    """No folder is listed, no file is sent, no upload is kept: nothing could be run from a served path."""
    files = called(
        r"open|.*\.(open|fdopen|listdir|scandir|iterdir|r?glob|walk|read_bytes|read_text|write_bytes|write_text|mkdir"
        r"|FileResponse|StaticResource|add_static|sendfile)"
    )
    assert not {call for call in files if call[0] in HTTP_MODULES}


# --- FOG: who knows a MAC address gets the password, CVE-2024-41108, CVE-2024-42348 ----------------------------------


OF_THE_DISK = (
    "broadcaster/configurations/steps.py",
    "protocol/capture.py",
    "protocol/configuration.py",
    "receiver/capture/linux_findings.py",
    "receiver/configure/linux_identity.py",
)
"""What finds or changes the machine-id on a disk, since it must not be on two; nobody is known by it."""


def test_fog_cve_2024_41108_no_address_or_number_of_the_machine_is_an_identity() -> None:
    assert not called(r"(uuid\.)?getnode|uuid\.uuid1|(fcntl\.)?SIOCGIFHWADDR")
    for module, tree in source.modules().items():
        identities = r"product_uuid|board_serial" + ("" if module in OF_THE_DISK else "|machine-id")
        for text in source.texts(tree):
            assert not re.search(identities, text), f"{module}: {text}"


def test_fog_cve_2024_41108_two_machines_that_look_alike_are_two() -> None:
    """Same seat, same address, even the same public keys: what counts is who can sign."""
    room = WaitingRoom(lambda _event: None)
    first = Candidate(1, seat="desk", address="10.0.0.7")
    second = Candidate(2, seat="desk", address="10.0.0.7")
    for one in (first, second):
        room.offered(one.exchange)
        assert room.confirmed(one.receiver_id, one.confirm, 1.0)
    room.accept(first.receiver_id)
    assert [one.receiver_id for one in room.admitted] == [first.receiver_id]
    assert [one.receiver_id for one in room.pending] == [second.receiver_id]
    thief = Candidate(1, seat="desk", address="10.0.0.7", exchange_number=1)
    room.offered(thief.exchange)
    forged = enrolment.sign_confirm(thief.exchange.transcript, thief.random, b"", SigningKey(bytes(range(32))))
    with pytest.raises(SignatureError):
        room.confirmed(first.receiver_id, forged, 2.0)
    with pytest.raises(SignatureError):  # nor does what it said for another exchange count
        room.confirmed(first.receiver_id, thief.confirm_with(signature=first.confirm.signature), 2.0)
    (applicant,) = room.admitted
    assert applicant.confirm == first.confirm


# --- FOG: stored XSS by what a client posts, CVE-2026-47685, CVE-2026-47687, CVE-2026-47689, CVE-2023-46235 ----------

SEATS = (*hostile.MARKUP, *hostile.CONTROL, *hostile.COMMANDS, *hostile.PATHS)


def as_heard(seat: str) -> str:
    """How a seat's name arrives that a stranger has posted."""
    hello = Candidate(3).hello
    return decode_hello(encode(msgspec.structs.replace(hello, seat=seat[:64]))).seat


@pytest.mark.parametrize("seat", [*SEATS, "x" * 64], ids=ascii)
def test_fog_cve_2026_47685_what_a_stranger_posts_is_shown_as_letters(seat: str) -> None:
    lines: list[str] = []
    admitting = Admitting(2, lines.append)
    room = WaitingRoom(admitting.on_event)
    candidate = Candidate(4, seat=as_heard(seat), address="10.0.0.9")
    room.offered(candidate.exchange)
    applicant = room.confirmed(candidate.receiver_id, candidate.confirm, 1.0)
    assert isinstance(applicant, Applicant)
    admitting._room = room
    room.announce(applicant)
    admitting.on_event(WrongToken("10.0.0.9", applicant.seat, may_go_on=False))
    screen = Console(file=io.StringIO(), width=300, force_terminal=False)
    screen.print(admitting)
    room.refuse(candidate.receiver_id)
    shown = [*lines, screen.file.getvalue()]  # type: ignore[attr-defined]  # it is the StringIO
    assert len(lines) == 3
    assert all(hostile.is_harmless(text) for text in shown), shown
    assert all("\n" not in line for line in lines)
    assert all(candidate.words in text for text in (lines[0], shown[-1]))


@pytest.mark.parametrize("seat", [*SEATS, "x" * 64], ids=ascii)
def test_fog_cve_2026_47687_reports_and_logs_hold_it_as_letters(seat: str, tmp_path: Path) -> None:
    hostile_seat = as_heard(seat)
    said = receiver_report(1, seat=seat[:64], reason=seat, target=seat[:64])
    heard = messages.decode_message(messages.topic_of(said), messages.encode_message(said))
    assert isinstance(heard, messages.ReceiverReport)
    assert all(hostile.is_harmless(text) for text in (heard.seat, heard.reason, heard.target))
    report = report_of({"seat": heard.seat, "reason": heard.reason})
    screen = Console(file=io.StringIO(), width=1000, force_terminal=False)
    print_report(report, screen)
    printed: str = screen.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO
    assert hostile.is_harmless(printed)
    if heard.seat.strip():
        assert heard.seat.strip() in printed, "no markup was obeyed"
    assert json.loads(msgspec.json.encode(report))["seats"][0]["seat"] == heard.seat
    log = AuditLog(tmp_path / "audit.jsonl", SigningKey(bytes(32)))
    log.append(AuditEvent.RECEIVER_ADMITTED, {"seat": seat, "how": hostile_seat}, datetime.now(UTC))
    (line,) = (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    assert hostile.is_harmless(line)
    assert json.loads(line)["fields"]["how"] == hostile_seat
    assert hostile.is_harmless(one_line(seat))


def test_fog_cve_2026_47685_a_name_cannot_pose_as_the_words_to_compare() -> None:
    """The line that an operator compares with a screen holds one set of words, and what a stranger says in quotes."""
    lines: list[str] = []
    room = WaitingRoom(Admitting(2, lines.append).on_event)
    candidate = Candidate(5, seat="pc7' (10.0.0.7); its screen must show: able acid aged also")
    room.offered(candidate.exchange)
    applicant = room.confirmed(candidate.receiver_id, candidate.confirm, 1.0)
    assert applicant is not None
    room.announce(applicant)
    assert re.fullmatch(
        rf"1: seat \"[^\"]*\" \(10\.0\.0\.5\) asks to be let in; its screen must show: {candidate.words} \(type 1 .*\)",
        lines[0],
    )


def report_of(texts: dict[str, str]) -> SessionReport:
    """The report of a cast to one seat that says this."""
    seat: dict[str, Any] = {"receiver": "ab" * 16, "outcome": "failed", "seconds": 1.0, "loss_ratio": 0.0}
    seat |= {"bytes_received": 0, "catch_up_bytes": 0, "repaired": 0, "verified": False, **texts}
    whole: dict[str, Any] = {"session": "0" * 16, "image": "lab", "version": 1, "seconds": 1.0, "end_reason": ""}
    whole |= {"bytes_on_wire": 0, "catch_up_bytes": 0, "datagrams_sent": 0, "repair_datagrams": 0, "stored_bytes": 1}
    return SessionReport(**whole, rate_bits_per_second=1, seats=[SeatReport(**seat)])


@pytest.mark.parametrize("length", [65, 10_000, 1_000_000])
def test_fog_cve_2026_47689_a_megabyte_of_a_name_is_none(length: int) -> None:
    whole = encode(Candidate(3, seat="a" * 64).hello)
    longer = whole.replace(b"a" * 64, b"a" * length)
    with pytest.raises(MessageError):
        decode_hello(longer)


def test_fog_cve_2023_46235_no_text_of_a_stranger_is_a_label_of_a_metric() -> None:
    """Labels come from a table of our own; the modules of metrics take no text from reports."""
    for module in ("broadcaster/metrics.py", "receiver/metrics.py"):
        tree = source.modules()[module]
        labels = [word.value for _name, call in source.calls(tree) for word in call.keywords if word.arg == "labels"]
        assert all(ast.unparse(label) == "['state']" for label in labels)
        read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert read.isdisjoint({"reason", "seat", "target", "alarm", "receiver_id"})
    assert all(re.fullmatch("[a-z]+", outcome) for outcome in OUTCOMES)


# --- WDS CVE-2026-0386, SCCM CRED-1, MDT: secrets in what boots, or in what anybody is told --------------------------

PUBLIC = {
    enrolment.Hello: {"identity_key", "sealing_key", "boot_nonce", "seat", "commitment", "pairing"},
    enrolment.Offer: {"trust", "broker", "broker_authority", "broadcaster_random", "pairing", "seat_api"},
    enrolment.Confirm: {"receiver_random", "token_proof", "signature"},
    enrolment.Verdict: {"state", "refusal", "signature", "token_proof", "admission", "certificate"},
    trust.Trust: {"director_key", "image_keys", "authority", "serial", "superseded"},
    trust.Rotation: {"serial", "director_key", "digest", "signature"},
    messages.Announcement: {
        *("protocol_version", "tsi", "image", "group", "port", "source", "oti", "manifest_digest", "image_key"),
        *("image_signature", "manifest_length", "manifest_block_digests", "catch_up_url"),
    },
}
"""What is told to whoever asks, or lies on boot media: every field was judged to be no secret."""


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: kind.__name__)
def test_sccm_cred_1_what_everybody_is_told_has_no_field_for_a_secret(kind: type[msgspec.Struct]) -> None:
    assert set(kind.__struct_fields__) == PUBLIC[kind], "is the new field public? Then say so here"


def test_sccm_cred_1_the_ticket_holds_its_secret_sealed() -> None:
    secret = [name for name in ticket.Ticket.__struct_fields__ if "secret" in name or "key" in name]
    assert secret
    assert not [name for name in secret if "secret" in name and "sealed" not in name]


def test_sccm_cred_1_multicast_dns_tells_an_address_and_a_port() -> None:
    (advertised,) = [
        call for name, call in source.calls(source.modules()["slatecast/casting.py"]) if name == "advertise"
    ]
    assert [ast.unparse(argument) for argument in advertised.args] == ["interface", "door.port"]
    assert not advertised.keywords


@pytest.mark.system
@pytest.mark.slow
def test_mdt_bootstrap_ini_boot_media_need_nothing_secret(room: Room) -> None:
    """All that a receiver needs to know its broadcaster by is a file of public keys."""
    assert room.start("keys", "init").finish() == 0
    assert room.start("keys", "export-trust", "trust.json").finish() == 0
    told = json.loads((room.folder / "trust.json").read_bytes())
    assert set(told) <= PUBLIC[trust.Trust]
    assert b"PRIVATE" not in (room.folder / "trust.json").read_bytes()
    assert told["authority"]


@pytest.mark.system
@pytest.mark.slow
def test_wds_cve_2026_0386_without_any_option_nobody_is_served(room: Room) -> None:
    """Hands-free deployment was open to everybody on the network: here nobody at the screen, no token, no image."""
    bare = {"SLATECAST_CAST_TOKEN": "", "SLATECAST_RECEIVE_TOKEN": ""}
    argv = ("cast", room.add(room.source()), "--library", room.library, "--interface", "lo")
    cast = room.start(*argv, environment=bare)
    target = room.target("seat")
    options = ("--once", "--target", target, "--server", cast.door(), "--interface", "lo", "--seat", "stranger")
    receiver = room.start("receive", *options, environment=bare)
    assert "nothing proves which broadcaster this is" in receiver.complaint(3)
    assert cast.interrupt() == "interrupted"
    assert set(target.read_bytes()) == {OLD_BYTE}
    assert "PRIVATE" not in receiver.errors.text + cast.errors.text


@pytest.mark.system
@pytest.mark.slow
def test_wds_cve_2026_0386_a_broker_without_tls_is_asked_for_and_warned_of(room: Room) -> None:
    cast = room.cast(room.add(room.source()), "--broker", f"mqtt://127.0.0.1:{free_port()}")
    assert cast.finish() == 6
    assert "has no TLS: anybody on the network can read" in " ".join(cast.errors.text.split())


# --- Clonezilla: integrity is an option there ------------------------------------------------------------------------

FLAGS = {
    "--answer-all": "sends machines to their own disks",
    "--backup": "keeps more, not less",
    "--backups": "lists more",
    "--everyone": "boots machines that nobody named; what is written to them is proved and admitted all the same",
    "--file-only": "judges the file alone, before anything is started",
    "--force": "replaces a file that was named",
    "--forget-old": "trusts fewer keys, not more",
    "--full": "writes more, not less",
    "--help": "",
    "--https": "",
    "--inspect-only": "looks at a disk and sends nothing",
    "--ipv6": "",
    "--json": "",
    "--may-restart": "restarts a PC, once its disk was verified",
    "--metrics": "shows figures without a login",
    "--new": "begins a cast anew",
    "--no-backup": "for this once overwrites what nobody has captured, as an operator says; what is written is proved",
    "--no-metrics": "",
    "--no-secure-boot": "hands out no signed loaders: whether firmware checks them is its own setting",
    "--no-wait": "does not look on",
    "--once": "",
    "--plain": "leaves the console's TLS to what stands before it; disks are checked all the same",
    "--secure-boot": "hands out signed loaders",
    "--serial": "",
    "--watch": "",
    "--yes": "does not ask before removing or revoking",
}
"""Every option without a value; none makes slatecast check less."""


def test_clonezilla_no_option_switches_verification_off() -> None:
    flags, texts = set(), []
    for command in COMMANDS.values():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                spellings = [*parameter.opts, *parameter.secondary_opts]
                flags |= {one for one in spellings if parameter.is_flag}
                texts += [one for one in spellings if one not in FLAGS]
    assert flags <= set(FLAGS), "does the new flag switch anything off?"
    doubtful = re.compile(
        r"no-|skip|insecure|unsafe|unsigned|allow|ignore|disable|without|plain|anonymous|unverified|raw"
    )
    assert not [one for one in texts if doubtful.search(one)]


def test_clonezilla_no_variable_of_the_environment_does_either() -> None:
    read = {
        ast.unparse(call.args[0])
        for tree in source.modules().values()
        for name, call in source.calls(tree)
        if re.fullmatch(r"(os\.)?(environ\.get|getenv)", name)
    }
    known = {
        "'NOTIFY_SOCKET'",
        "'PATH'",
        "'SOURCE_DATE_EPOCH'",
        "'SUDO_USER'",
        "'TERM'",
        "VERBOSITY",
        "'XDG_STATE_HOME'",
        "variable",
    }
    assert read <= known, "what does the new variable switch?"
