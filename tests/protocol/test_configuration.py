import json
from typing import Any, get_args

import msgspec
import pytest

from protocol.configuration import (
    MAX_BEACON_LENGTH,
    MAX_CONFIGURATION_LENGTH,
    AnyStep,
    DriversStep,
    FilesStep,
    GrowStep,
    OnError,
    Restart,
    ScriptStep,
    SeatConfiguration,
    StepReport,
    StepState,
    WindowsStep,
    beacon_datagram,
    decode_beacon,
    decode_configuration,
    decode_step_report,
    files_of,
    name_of,
)
from protocol.errors import MessageError
from tests.vectors.make_configuration import PATH

VECTORS: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
CONFIGURATION: dict[str, Any] = VECTORS["configuration"]
STEPS: list[dict[str, Any]] = CONFIGURATION["steps"]


def decoded(**changes: Any) -> SeatConfiguration:
    return decode_configuration(json.dumps({**CONFIGURATION, **changes}).encode())


def step(tag: str, **changes: Any) -> AnyStep:
    (vector,) = (each for each in STEPS if each["step"] == tag)
    return decoded(steps=[{**vector, **changes}]).steps[0]


def test_vector_of_a_configuration() -> None:
    configuration = decoded()
    assert configuration.restart is Restart.POWEROFF
    assert configuration.beacon is not None
    assert configuration.beacon.token == VECTORS["beacon"]["token"]
    assert [type(each) for each in configuration.steps] == list(get_args(AnyStep))
    assert configuration.steps[1].on_error is OnError.CONTINUE
    made = json.loads(msgspec.json.encode(configuration))
    assert {name: made[name] for name in CONFIGURATION} == made
    for mine, theirs in zip(made["steps"], STEPS, strict=True):
        assert {name: mine[name] for name in theirs if name not in {"files", "sets", "file", "unattend"}} == {
            name: value for name, value in theirs.items() if name not in {"files", "sets", "file", "unattend"}
        }


def test_vector_of_a_report() -> None:
    report = decode_step_report(json.dumps(VECTORS["step_report"]).encode())
    assert report == StepReport(**{**VECTORS["step_report"], "state": StepState.FAILED})


def test_vector_of_a_beacon() -> None:
    vector = VECTORS["beacon"]
    assert beacon_datagram(vector["token"]) == vector["datagram"].encode()
    assert decode_beacon(vector["datagram"].encode()).hex() == vector["token"]
    assert decode_beacon(vector["datagram"].encode() + b"\n").hex() == vector["token"]


@pytest.mark.parametrize(
    "path",
    ["", "/etc/motd", "..", "../etc", "etc/../../x", "etc/..", "./etc", "a//b", "a/", "a\\b", "a\nb", "x" * 1025],
)
def test_a_path_that_leaves_the_root_or_is_odd_is_refused(path: str) -> None:
    with pytest.raises(MessageError):
        step("files", files=[{"path": path, "digest": "ab" * 32, "length": 1}])


@pytest.mark.parametrize("path", ["etc/motd", "..a", "a..", "a/...", ".ssh/keys", "Program Files/ü"])
def test_a_path_within_the_root(path: str) -> None:
    found = step("files", files=[{"path": path, "digest": "ab" * 32, "length": 1}])
    assert isinstance(found, FilesStep)
    assert found.files[0].path == path


@pytest.mark.parametrize(
    ("tag", "changes"),
    [
        ("grow", {"partition": 257}),
        ("grow", {"size": 1}),
        ("identities", {"seed": "x" * 32}),
        ("hostname", {"name": "-lab"}),
        ("hostname", {"name": "lab\n127.0.0.1 bank"}),
        ("machine-id", {"machine_id": "ab"}),
        ("windows", {"computer_name": "SIXTEEN-LETTERS-"}),
        ("windows", {"computer_name": "1234"}),
        ("windows", {"computer_name": "a<b"}),
        ("script", {"limit_seconds": 3601}),
        ("script", {"arguments": ["x"] * 65}),
        ("boot", {"first": "usb"}),
        ("beacon", {"system": "plan9"}),
        ("beacon", {"step": "format"}),
    ],
)
def test_a_step_out_of_bounds_is_refused(tag: str, changes: dict[str, Any]) -> None:
    with pytest.raises(MessageError):
        step(tag, **changes)


def test_too_many_steps_and_too_long_a_body_are_refused() -> None:
    with pytest.raises(MessageError):
        decoded(steps=[{"step": "grow"}] * 65)
    with pytest.raises(MessageError, match="is over"):
        decode_configuration(b" " * (MAX_CONFIGURATION_LENGTH + 1))


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 100_000, b"null", b"{}"])
def test_what_is_no_configuration_and_no_report_is_refused(body: bytes) -> None:
    with pytest.raises(MessageError):
        decode_configuration(body)
    with pytest.raises(MessageError):
        decode_step_report(body[:8192])


def test_a_configuration_cut_short_is_refused() -> None:
    whole = json.dumps(CONFIGURATION).encode()
    for length in range(0, len(whole), 37):
        with pytest.raises(MessageError):
            decode_configuration(whole[:length])


def test_a_report_does_nothing_to_a_terminal() -> None:
    body = json.dumps({**VECTORS["step_report"], "text": "\x1b[2Jred\u202e", "name": "a\nb"}).encode()
    report = decode_step_report(body)
    assert report.text.isprintable()
    assert report.name.isprintable()


@pytest.mark.parametrize(
    "datagram",
    [b"", b"slatecast booted ", b"x" * (MAX_BEACON_LENGTH + 1), beacon_datagram("0" * 32) + b"00"],
)
def test_what_is_no_beacon_is_refused(datagram: bytes) -> None:
    with pytest.raises(MessageError):
        decode_beacon(datagram)


def test_every_file_of_a_step_is_named() -> None:
    for tag, kind, count in (("windows", WindowsStep, 1), ("files", FilesStep, 2), ("drivers", DriversStep, 1)):
        found = step(tag)
        assert isinstance(found, kind)
        assert len(files_of(found)) == count
    assert files_of(GrowStep()) == ()


def test_names_of_steps() -> None:
    found = step("script")
    assert isinstance(found, ScriptStep)
    assert name_of(found) == "script setup.sh"
    assert name_of(GrowStep()) == "grow"
