import re
from pathlib import Path

import pytest

from receiver.capture.traces import Rule, Trace, as_text, find_traces, paths_like
from receiver.capture.tree import Tree
from tests.receiver.capture.reference_disk import put


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    for path in ("etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_host_rsa_key.pub", "home/ann/.ssh/id", "home/bob/.ssh/id"):
        put(tmp_path, path, f"of {path}")
    put(tmp_path, "etc/empty", " \n")
    return Tree(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("etc/none", ["etc/none"]),
        ("etc/ssh/*_key", ["etc/ssh/ssh_host_rsa_key"]),
        ("home/*/.ssh/*", ["home/ann/.ssh/id", "home/bob/.ssh/id"]),
        ("none/*", []),
        ("e?c/empty", ["etc/empty"]),
    ],
)
def test_paths(tree: Tree, pattern: str, paths: list[str]) -> None:
    assert list(paths_like(tree, pattern)) == paths


def test_a_rule_finds_what_it_says(tree: Tree) -> None:
    rules = (
        Rule("key", "etc/ssh/*_key"),
        Rule("blank", "etc/empty"),
        Rule("ann", "home/*/.ssh/*", re.compile("ann")),
        Rule("none", "etc/none"),
    )
    assert list(find_traces(tree, rules)) == [
        Trace("key", "etc/ssh/ssh_host_rsa_key"),
        Trace("ann", "home/ann/.ssh/id"),
    ]


def test_below_a_root(tree: Tree) -> None:
    assert list(find_traces(tree, [Rule("key", "ssh/*_key")], "etc/")) == [Trace("key", "etc/ssh/ssh_host_rsa_key")]


@pytest.mark.parametrize("content", ["<a>ü".encode("utf-16"), "<a>ü".encode()])
def test_both_spellings_of_windows(content: bytes) -> None:
    assert as_text(content) == "<a>ü"


def test_any_bytes_are_text() -> None:
    assert as_text(b"\xff\xfe\x00")
    assert as_text(b"\x80abc").endswith("abc")
