from pathlib import Path

import pytest

from receiver.capture.tree import Tree
from receiver.capture.windows_findings import WORDS, windows_traces
from tests.receiver.capture.reference_disk import put

ANSWERS = "<component><UserAccounts><AdministratorPassword>\n<Value>{}</Value></AdministratorPassword></UserAccounts>"
AUTOLOGON = "<AutoLogon><Username>x</Username><Enabled>{}</Enabled></AutoLogon>"
PANTHER = "Windows/Panther/unattend.xml"


def found(root: Path) -> list[tuple[str, str]]:
    return [(trace.code, trace.path) for trace in windows_traces(Tree(root, ignores_case=True))]


@pytest.mark.parametrize(
    ("path", "content", "code"),
    [
        (PANTHER, ANSWERS.format("secret"), "unattended-passwords"),
        (PANTHER, "<Password>secret</Password>", "unattended-passwords"),
        ("Windows/System32/Sysprep/unattend.xml", ANSWERS.format("secret"), "unattended-passwords"),
        (PANTHER, AUTOLOGON.format("true"), "autologon"),
        (
            "ProgramData/Microsoft/Wlansvc/Profiles/Interfaces/{1}/{2}.xml",
            "<sharedKey><keyMaterial>secret</keyMaterial>",
            "wifi-keys",
        ),
        ("ProgramData/ssh/ssh_host_rsa_key", "secret", "ssh-host-keys"),
        ("Users/ann/.ssh/id_rsa", "-----BEGIN RSA PRIVATE KEY-----", "ssh-private-keys"),
        ("Windows/debug/NetSetup.LOG", "11/21 NetpDoDomainJoin: status: 0x0\n", "domain-join"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_found(tmp_path: Path, path: str, content: str, code: str, encoding: str) -> None:
    if code.startswith("ssh") and encoding == "utf-16":
        encoding = "utf-8"
    put(tmp_path, path, content.encode(encoding))
    assert found(tmp_path) == [(code, path)]
    assert code in WORDS


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (PANTHER, ANSWERS.format("*SENSITIVE*DATA*DELETED*")),
        (PANTHER, "<Password>*SENSITIVE*DATA*DELETED*</Password>"),
        (PANTHER, ANSWERS.format("")),
        (PANTHER, "<PlainText>true</PlainText>"),
        (PANTHER, AUTOLOGON.format("false")),
        ("Windows/debug/NetSetup.LOG", "NetpDoDomainJoin: status: 0x52e"),
    ],
)
def test_not_found(tmp_path: Path, path: str, content: str) -> None:
    put(tmp_path, path, content)
    assert not found(tmp_path)


def test_a_windows_that_was_not_generalised(tmp_path: Path) -> None:
    put(tmp_path, "Windows/System32/config/SYSTEM", "hive")
    assert found(tmp_path) == [("not-generalised", "Windows")]
    put(tmp_path, "Windows/System32/Sysprep/Sysprep_succeeded.tag", "")
    assert not found(tmp_path)


@pytest.mark.parametrize("content", ["<AutoLogon>" * 20_000, "<Password>" * 20_000, "<" * 200_000])
def test_hostile_answers_take_no_time(tmp_path: Path, content: str) -> None:
    put(tmp_path, PANTHER, content)
    found(tmp_path)
