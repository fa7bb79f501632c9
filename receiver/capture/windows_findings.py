"""Identity and secrets that a Windows system would give to every machine that is made from it.

The registry is not read: what would take that is not looked for.
"""

import re
from collections.abc import Iterator
from typing import Final

from receiver.capture.linux_findings import PRIVATE_KEY
from receiver.capture.traces import Rule, Trace, find_traces
from receiver.capture.tree import Tree

WORDS: Final = {
    "not-generalised": "Windows was not generalised, so every machine would have this one's identity: run "
    "'sysprep /generalize /oobe /shutdown' before the capture",
    "unattended-passwords": "an answer file of Windows Setup holds a password: delete it, and change the password",
    "autologon": "an answer file of Windows Setup logs somebody on without a password: delete it unless that is meant",
    "wifi-keys": "the key of a Wi-Fi would be on every machine: 'netsh wlan delete profile' unless all of them need it",
    "ssh-host-keys": "every machine would have these SSH host keys: delete them; OpenSSH makes new ones when it starts",
    "ssh-private-keys": "a private SSH key would be on every machine: delete it",
    "domain-join": "Windows has joined a domain: leave it, and join from each machine",
}
"""Per code, what it means and what to do; the paths are put before it."""

_ANSWER_FILES: Final = (
    "unattend.xml",
    "autounattend.xml",
    "Windows/Panther/unattend.xml",
    "Windows/Panther/autounattend.xml",
    "Windows/Panther/unattend-original.xml",
    "Windows/Panther/Unattend/unattend.xml",
    "Windows/Panther/Unattend/autounattend.xml",
    "Windows/System32/Sysprep/unattend.xml",
    "Windows/System32/Sysprep/Panther/unattend.xml",
    "Windows/System32/Sysprep/Panther/Unattend/unattend.xml",
)
_PASSWORD: Final = re.compile(
    # Setup puts the starred words in the place of a password when it is done with it.
    r"<\w*password\b[^>]*>\s*(?:<value>)?\s*(?!\*SENSITIVE\*DATA\*DELETED\*)[^<\s]",
    re.IGNORECASE,
)
_AUTOLOGON: Final = re.compile(r"<autologon\b(?:(?!</autologon).){0,800}<enabled>\s*true", re.IGNORECASE | re.DOTALL)
_SUCCEEDED: Final = "Windows/System32/Sysprep/Sysprep_succeeded.tag"

_RULES: Final = (
    *(Rule("unattended-passwords", path, _PASSWORD) for path in _ANSWER_FILES),
    *(Rule("autologon", path, _AUTOLOGON) for path in _ANSWER_FILES),
    Rule(
        "wifi-keys",
        "ProgramData/Microsoft/Wlansvc/Profiles/Interfaces/*/*.xml",
        re.compile(r"<keyMaterial>\s*[^<\s]", re.IGNORECASE),
    ),
    Rule("ssh-host-keys", "ProgramData/ssh/ssh_host_*_key"),
    Rule("ssh-private-keys", "Users/*/.ssh/*", PRIVATE_KEY),
    Rule("domain-join", "Windows/debug/NetSetup.LOG", re.compile(r"NetpDoDomainJoin: status: 0x0\b")),
)


def windows_traces(tree: Tree) -> Iterator[Trace]:
    """What is found on one file system; nothing where no Windows is on it."""
    yield from find_traces(tree, _RULES)
    if tree.names("Windows/System32/config") and tree.read(_SUCCEEDED) is None:
        yield Trace("not-generalised", "Windows")
