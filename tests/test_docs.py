"""Holds the documents to the code: layouts, messages, constants, commands, exit codes, error lines, links."""

import ast
import importlib
import re
import struct
from collections.abc import Iterator
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args
from xml.etree import ElementTree

import click
import msgspec
import pytest
from msgspec import inspect

from broadcaster.access import ROLES, SAID_BY_RECEIVERS, SAID_TO_ALL
from broadcaster.audit import AuditEntry, AuditEvent
from broadcaster.report import SeatReport, SessionReport
from dashboards import console
from dashboards.access import accounts, first_login, tokens
from dashboards.fleet.views import SeatState
from dashboards.notices.events import SeatFailed, SessionEnded, Unfinished
from dashboards.pages.shell import MENU
from dashboards.user import Role
from protocol import (
    PROTOCOL_VERSION,
    certificate,
    commands,
    configuration,
    enrolment,
    fields,
    manifest,
    messages,
    operators,
    ticket,
    trust,
    wire,
)
from protocol.signing import Purpose
from slatecast import __main__ as front_door
from slatecast.serving import console_identity

ROOT = Path(__file__).parent.parent
PROTOCOL = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PACKAGES = ("protocol", "broadcaster", "receiver", "dashboards", "slatecast")


# --- reading documents -----------------------------------------------------------------------------------------------


def section(document: str, heading: str) -> str:
    """What stands under a heading, up to the next one of the same or a higher level."""
    match = re.search(rf"^(#+) {re.escape(heading)}$", document, re.M)
    assert match is not None, f"no heading {heading!r}"
    rest = document[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.M)
    return rest[: end.start()] if end else rest


def table(text: str) -> list[list[str]]:
    """The cells of the first table in a text, without its head; the code ticks around a whole cell are taken off."""
    lines = re.search(r"(?:^\|.*\|\n)+", text, re.M)
    assert lines is not None, "no table"
    rows = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in lines[0].splitlines()[2:]]
    return [[re.sub(r"^`([^`]*)`$", r"\1", cell.strip().replace(r"\|", "|")) for cell in row] for row in rows]


def code_words(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


# --- protocol.md: datagram and manifest ------------------------------------------------------------------------------


def test_datagram_table_is_the_header() -> None:
    rows = table(section(PROTOCOL, "Datagram"))
    sizes = [struct.calcsize(f">{code}") for code in wire.HEADER.format.lstrip(">")]
    offsets = [sum(sizes[:index]) for index in range(len(sizes))]
    fields = ["magic", "version", "toi", "tsi", "sbn", "source_block_length", "esi"]
    header = [[str(offset), str(size), field] for offset, size, field in zip(offsets, sizes, fields, strict=True)]
    assert [row[:3] for row in rows[: len(fields)]] == header
    assert [row[:3] for row in rows[len(fields) :]] == [
        [str(wire.HEADER_LENGTH), "L", "encoding symbol"],
        [f"{wire.HEADER_LENGTH}+L", str(wire.TAG_LENGTH), "tag"],
    ]


def test_row_of_the_manifest() -> None:
    sizes = [int(row[1]) for row in table(section(PROTOCOL, "Rows"))]
    assert sizes == [struct.calcsize(f">{code}") for code in re.findall(r"\d+s|I", manifest.ROW.format)]


@pytest.mark.parametrize("part", [manifest.ManifestHeader, manifest.PartitionInfo], ids=lambda part: part.__name__)
def test_every_field_of_the_manifest(part: type[Any]) -> None:
    assert [row[0] for row in table(section(PROTOCOL, part.__name__))] == list(part.__struct_fields__)


# --- protocol.md: messages -------------------------------------------------------------------------------------------


PATTERNS = {
    getattr(inspect.type_info(text), "pattern", ""): words
    for text, words in (
        (fields.MacAddress, "MAC address"),
        (commands.BootMachines.__annotations__["mode"], "receive, menu or capture"),
        (operators.TsiOrNone, "16 hex digits, or empty"),
        (configuration.Hostname, "host name, up to 64 characters"),
        (configuration.ComputerName, "name of a Windows computer, up to 15 characters"),
        (configuration.IdentityOrNone, "32 hex digits, or empty"),
    )
}


def in_words(kind: inspect.Type) -> str:  # noqa: PLR0911 - one line for each type is the clearest table
    match kind:
        case inspect.BoolType():
            return "boolean"
        case inspect.FloatType(ge=least, le=most):
            return f"number, {least} to {most}"
        case inspect.IntType(ge=least, lt=bound, le=most):
            return f"integer, {least} to {_power(bound - 1 if most is None and bound is not None else most)}"
        case inspect.BytesType(min_length=least, max_length=most):
            return f"{most} bytes in base64" if least == most else f"up to {most} bytes in base64"
        case inspect.StrType(pattern=str(pattern)) if pattern in PATTERNS:
            return PATTERNS[pattern]
        case inspect.StrType(pattern=str(pattern), max_length=None):
            return f"{''.join(re.findall(r'{(.*)}', pattern))} hex digits"
        case inspect.StrType(max_length=most):
            return f"text, up to {most} characters"
        case inspect.VarTupleType(item_type=item, max_length=most):
            return f"list, up to {most} of: {in_words(item)}"
        case inspect.TupleType(item_types=items):
            return f"[{'; '.join(map(in_words, items))}]"
        case inspect.EnumType(cls=named) | inspect.StructType(cls=named):
            return f"{named.__name__}"
        case inspect.UnionType(types=[kind, inspect.NoneType()]):
            return f"{in_words(kind)}, or null"
        case inspect.UnionType(types=[inspect.StructType(cls=named), *_]):
            return "a step" if issubclass(named, configuration.Step) else "a command"
    raise AssertionError(f"no words for {kind}")


def _power(number: int | None) -> str:
    """2^62 rather than its digits."""
    assert number is not None
    for value, suffix in ((number, ""), (number + 1, "-1")):
        if value > 1 << 16 and value & (value - 1) == 0:
            return f"2^{value.bit_length() - 1}{suffix}"
    return str(number)


TOP_LEVEL = [
    messages.Announcement,
    messages.SessionStatus,
    messages.Presence,
    messages.ReceiverReport,
    messages.RepairRequest,
    messages.MissingBlocks,
    messages.SignedTicket,
    messages.SignedCertificate,
]
FOR_OPERATORS = [
    operators.HostNews,
    operators.ApplicantNews,
    operators.ReceiversNews,
    operators.ReceiverNews,
    operators.ImagesNews,
    operators.ImageNews,
    operators.CapturesNews,
    operators.CaptureNews,
    operators.SessionNews,
    operators.Happening,
    operators.SeatsNews,
    operators.SeatNews,
    commands.Order,
    commands.Answer,
    commands.PlannedSeat,
    commands.BootedSeat,
]
OF_CONFIGURATIONS = [
    configuration.SeatConfiguration,
    configuration.ConfiguredFile,
    configuration.DriverSet,
    configuration.Beacon,
    configuration.StepReport,
]
INSIDE = [
    *FOR_OPERATORS,
    *OF_CONFIGURATIONS,
    messages.ImageSummary,
    messages.FecOti,
    ticket.Ticket,
    ticket.DiskPolicy,
    certificate.Certificate,
    trust.Rotation,
    enrolment.Hello,
    enrolment.Offer,
    enrolment.Confirm,
    enrolment.Verdict,
]


@pytest.mark.parametrize("part", [*TOP_LEVEL, *INSIDE], ids=lambda part: part.__name__)
def test_every_field_of_a_message_with_its_type_and_bounds(part: type[Any]) -> None:
    assert described(part.__name__) == fields_in_words(part)


def test_every_struct_for_operators_has_a_table() -> None:
    made = {
        part.__name__
        for module in (operators, commands)
        for part in vars(module).values()
        if isinstance(part, type) and issubclass(part, msgspec.Struct) and part.__module__ == module.__name__
    }
    named = {part.__name__ for part in (*FOR_OPERATORS, commands.Command, *get_args(commands.AnyCommand))}
    assert made == named


def test_every_command_with_its_fields() -> None:
    rows = table(section(PROTOCOL, "Commands"))
    kinds = get_args(commands.AnyCommand)
    assert [row[0] for row in rows] == [kind.__struct_config__.tag for kind in kinds]
    for row, kind in zip(rows, kinds, strict=True):
        types = {name: words for name, words in fields_in_words(kind)}  # noqa: C416 - rows of two are lists
        optional = {field.name for field in msgspec.structs.fields(kind) if not field.required}
        assert row[1] == "; ".join(f"{name}{'?' * (name in optional)}: {words}" for name, words in types.items())


def test_every_step_with_its_fields() -> None:
    rows = table(section(PROTOCOL, "Steps"))
    kinds = get_args(configuration.AnyStep)
    assert [row[0] for row in rows] == [kind.__struct_config__.tag for kind in kinds]
    for row, kind in zip(rows, kinds, strict=True):
        types = {name: words for name, words in fields_in_words(kind)}  # noqa: C416 - rows of two are lists
        optional = {field.name for field in msgspec.structs.fields(kind) if not field.required}
        own = {name: words for name, words in types.items() if name != "on_error"}
        assert row[1] == "; ".join(f"{name}{'?' * (name in optional)}: {words}" for name, words in own.items())


def test_every_topic_for_operators() -> None:
    topics = {row[0] for row in table(section(PROTOCOL, "Operators"))}
    news = (
        *operators.ALL_NEWS[:1],
        "receivers/{page}",
        "images/{page}",
        "captures/{page}",
        "sessions/{tsi}",
        "sessions/{tsi}/{page}",
    )
    answers = commands.answer_topic("{command_id}")
    expected = {f"{operators.OPERATORS_ROOT}/{topic}" for topic in news[1:]}
    assert topics == {*expected, news[0], commands.COMMANDS_TOPIC, answers}


def test_every_field_of_a_trust() -> None:
    assert described("Trust of a broadcaster") == fields_in_words(trust.Trust)


def described(heading: str) -> list[list[str]]:
    return [row[:2] for row in table(section(PROTOCOL, heading))]


def fields_in_words(part: type[Any]) -> list[list[str]]:
    kind = inspect.type_info(part)
    assert isinstance(kind, inspect.StructType)
    return [[field.name, in_words(field.type)] for field in kind.fields]


@pytest.mark.parametrize("part", TOP_LEVEL, ids=lambda part: part.__name__)
def test_every_message_has_its_topic_and_tag(part: type[Any]) -> None:
    example = SimpleNamespace(tsi="{tsi}", receiver_id="{receiver_id}")
    leaf = part.__struct_config__.tag
    whose = f"sessions/{example.tsi}" if leaf in {"announcement", "status"} else f"receivers/{example.receiver_id}"
    assert {f"{messages.TOPIC_ROOT}/{whose}/{leaf}", f'"type": "{leaf}"'} <= code_words(
        section(PROTOCOL, part.__name__)
    )


def test_topic_filters() -> None:
    assert {messages.ALL_SESSIONS, messages.ALL_RECEIVERS} <= code_words(section(PROTOCOL, "Messages"))


@pytest.mark.parametrize(
    "words",
    [
        messages.SessionPhase,
        messages.ReceiverState,
        operators.Severity,
        operators.SessionStep,
        configuration.OnError,
        configuration.System,
        configuration.FirstBoot,
        configuration.Restart,
        configuration.StepState,
    ],
    ids=lambda words: words.__name__,
)
def test_every_phase_and_state_in_order(words: type[StrEnum]) -> None:
    assert [row[0] for row in table(section(PROTOCOL, words.__name__))] == [word.value for word in words]


def test_every_purpose_of_a_signature() -> None:
    assert [row[0] for row in table(section(PROTOCOL, "Signatures and keys"))] == [each.value for each in Purpose]


def test_routes_of_enrolment() -> None:
    text = section(PROTOCOL, "Enrolment")
    assert all(f"POST {path} " in text for path in (enrolment.ENROLMENT_PATH, enrolment.confirm_path("{receiver_id}")))


def test_every_state_and_reason_of_a_verdict() -> None:
    words = {each.value for each in (*enrolment.VerdictState, *enrolment.Refusal) if each.value}
    assert words <= code_words(section(PROTOCOL, "Verdict"))


def test_rules_of_access() -> None:
    roles, receivers = table(section(PROTOCOL, "Who may say and hear what"))
    assert code_words(roles[0]) == set(ROLES)
    assert code_words(receivers[1]) == set(SAID_BY_RECEIVERS)
    assert code_words(receivers[2]) == set(SAID_TO_ALL)


def test_every_entry_of_the_audit_log() -> None:
    fields, events = section(PROTOCOL, "AuditEntry").split("| event | fields |")
    assert [row[0] for row in table(fields)] == list(AuditEntry.__struct_fields__)
    assert [row[0] for row in table(f"\n| event | fields |{events}")] == [event.value for event in AuditEvent]


def test_version() -> None:
    assert f"The protocol version is {PROTOCOL_VERSION}." in PROTOCOL


# --- protocol.md: constants ------------------------------------------------------------------------------------------

CONSTANTS = table(section(PROTOCOL, "Timing")) + table(section(PROTOCOL, "Bounds"))


@pytest.mark.parametrize(("name", "module", "value"), [row[:3] for row in CONSTANTS], ids=str)
def test_constant_has_the_documented_value(name: str, module: str, value: str) -> None:
    actual = getattr(importlib.import_module(module), name)
    assert documented_number(value) == pytest.approx(float(actual))  # a header's value is text


def documented_number(value: str) -> float:
    number, _, unit = value.partition(" ")
    factor = {"KiB": 1 << 10, "MiB": 1 << 20, "%": 0.01}.get(unit.split(" ")[0], 1)
    return float(number.replace(",", "")) * factor


def test_every_timing_constant_is_documented() -> None:
    documented = {(row[0], row[1]) for row in CONSTANTS}
    assert set(timing_constants()) <= documented


def timing_constants() -> Iterator[tuple[str, str]]:
    """Public constants in seconds of everything that speaks the protocol."""
    for path in [*sorted((ROOT / "protocol").rglob("*.py")), *role_modules()]:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for statement, following in pairwise(body):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                name, note = statement.target.id, ast.unparse(following)
                if not name.startswith("_") and re.match(r"""['"]+\[s(econds)?\]""", note):
                    yield name, ".".join(path.relative_to(ROOT).with_suffix("").parts)


def role_modules() -> list[Path]:
    return [path for role in ("broadcaster", "receiver") for path in sorted((ROOT / role).rglob("*.py"))]


# --- operations.md ---------------------------------------------------------------------------------------------------


def all_commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, group
    context = click.Context(group)
    for each in group.list_commands(context):
        command = group.get_command(context, each)
        assert command is not None
        if isinstance(command, click.Group):
            yield from all_commands(command, f"{name} {each}")
        else:
            yield f"{name} {each}", command


COMMANDS = [(name, command) for name, command in all_commands(front_door.slatecast, "slatecast") if command.params]


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_option_of_a_command(name: str, command: click.Command) -> None:
    text = section(OPERATIONS, f"`{name}`").partition("\n### ")[0]
    documented = {option for row in table(text) for option in re.findall(r"-{1,2}[a-z][a-z0-9-]*", row[0])}
    actual = {
        option for parameter in command.params if isinstance(parameter, click.Option) for option in parameter.opts
    }
    assert documented == actual
    for argument in command.params:
        if isinstance(argument, click.Argument):
            assert argument.make_metavar(click.Context(command)).strip("[]").partition("[")[0] in text


def test_every_exit_code() -> None:
    codes = {value for name, value in vars(front_door).items() if name.startswith("EXIT_")}
    documented = {int(row[0]) for row in table(section(OPERATIONS, "Exit codes"))}
    assert documented == codes | {0, 1}


@pytest.mark.parametrize("part", [SessionReport, SeatReport], ids=lambda part: part.__name__)
def test_every_field_of_the_report(part: type[Any]) -> None:
    assert [row[0] for row in table(section(OPERATIONS, part.__name__))] == list(part.__struct_fields__)


# --- operations.md: the console --------------------------------------------------------------------------------------

OF_SESSIONS = (
    commands.PlanSession,
    commands.StartSession,
    commands.StopSession,
    commands.PauseSession,
    commands.ContinueSession,
    commands.RetrySeats,
    commands.DismissSeat,
    commands.MoveToCatchUp,
)


def test_every_order_says_what_it_does_to_disks() -> None:
    rows = table(section(OPERATIONS, "Plan, start, and what each order does to disks"))
    assert [row[0] for row in rows] == [kind.__struct_config__.tag for kind in OF_SESSIONS]
    others = {kind for kind in get_args(commands.AnyCommand) if "tsi" not in kind.__struct_fields__}
    with_session = set(get_args(commands.AnyCommand)) - others | {commands.PlanSession}
    assert with_session == {*OF_SESSIONS, commands.FetchReport, commands.FetchAftercare}


def test_every_state_of_a_seat_in_order() -> None:
    assert [row[0] for row in table(section(OPERATIONS, "Seat states"))] == [state.value for state in SeatState]


def test_trouble_comes_with_what_to_do() -> None:
    rows = {row[0]: row[2] for row in table(section(OPERATIONS, "Seat states"))}
    assert all(rows[state.value] for state in SeatState if state.is_trouble)


def test_every_role_in_order() -> None:
    rows = table(section(OPERATIONS, "Accounts and roles"))
    assert [row[0] for row in rows] == [role.name.lower() for role in Role]


def test_pages_that_are_named_are_in_the_menu() -> None:
    titles = {entry.title for entry in MENU}
    assert {"Accounts", "Edit rooms", "Start a session", "Health"} <= titles


def test_files_of_the_state_folder() -> None:
    rows = table(section(OPERATIONS, "What lies in the state folder"))
    named = {file.strip("`") for row in rows for file in row[0].split(", ")}
    files = {first_login.FIRST_LOGIN, tokens.CONSOLE_FILE, console.HISTORY_FILE}
    assert named >= {*files, accounts.ACCOUNTS_FILE, console_identity.IDENTITY_FILE, "tokens.json", "rooms.toml"}


def test_fields_of_a_notice() -> None:
    ended = SessionEnded("0" * 16, "Lab A", "lab", 1, 0.0, 1.0, "", 1, 1, ())
    failed = SeatFailed("0" * 16, "Lab A", "lab", "pc-1", 0.0, Unfinished("01", "failed", ""))
    words = code_words(section(OPERATIONS, "Notices"))
    both = ended.as_json().keys() & failed.as_json().keys()
    assert words >= {*both, ended.as_json()["event"], failed.as_json()["event"]}


CONSOLE_CONSTANTS = table(section(OPERATIONS, "Times and bounds of the console"))


@pytest.mark.parametrize(("name", "module", "value"), [row[:3] for row in CONSOLE_CONSTANTS], ids=str)
def test_constant_of_the_console_has_the_documented_value(name: str, module: str, value: str) -> None:
    assert documented_number(value) == pytest.approx(float(getattr(importlib.import_module(module), name)))


def test_every_documented_error_line_is_in_the_code() -> None:
    texts = [
        node.value
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    written = "\n".join(texts)
    rows = table(section(OPERATIONS, "What an error line means"))
    assert len(rows) > 20
    strange = [part for row in rows for part in row[0].split("…") if part.strip() and part.strip() not in written]
    assert not strange


# --- all documents ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        there = path.parent / file if file else path
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_named_files_exist(path: Path) -> None:
    words = code_words(path.read_text(encoding="utf-8"))
    named = {word for word in words if re.fullmatch(rf"(?:{'|'.join(PACKAGES)}|tests|benches|docs)/[\w/]+\.\w+", word)}
    assert not {word for word in named if not (ROOT / word).exists()}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_named_tests_exist(path: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", path.read_text(encoding="utf-8"))
    assert not [(file, name) for file, name in named if name not in functions_in(ROOT / file)]


def test_every_promise_names_its_tests() -> None:
    document = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    console = section(document, "What the console promises").partition("\n| promise |")[2]
    rows = [*table(section(document, "Promises")), *table(f"\n| promise |{console}")]
    assert all(re.search(r"tests/[\w/]+\.py::test_\w+", row[-1]) for row in rows)


def functions_in(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("path", sorted((ROOT / "docs/images").glob("*.svg")), ids=lambda path: path.name)
def test_pictures_are_well_formed_and_described(path: Path) -> None:
    picture = ElementTree.parse(path).getroot()
    assert picture.tag.endswith("svg")
    assert any(child.tag.endswith("desc") and child.text for child in picture)
