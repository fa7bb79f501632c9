"""Rules for what must not be on two machines, and finding what they mean in a file system.

A rule names files by a pattern and may say what a file must hold. What is found is a code and a path: the contents of
a file, which may be a secret, do not leave this module.
"""

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from receiver.capture.tree import Tree


class Rule(NamedTuple):
    """Files that are a finding."""

    code: str
    pattern: str
    """path with * and ? within a folder's or file's name"""
    holds: re.Pattern[str] = re.compile(r"\S")
    """what must be found in the file; anything but blanks where nothing is said"""


class Trace(NamedTuple):
    """One thing that was found."""

    code: str
    path: str


def find_traces(tree: Tree, rules: Iterable[Rule], root: str = "") -> Iterator[Trace]:
    """What the rules mean below ``root``, a folder of the file system that is empty or ends in ``/``."""
    for rule in rules:
        for path in paths_like(tree, rule.pattern, root):
            content = tree.read(path)
            if content is not None and rule.holds.search(as_text(content)):
                yield Trace(rule.code, path)


def paths_like(tree: Tree, pattern: str, root: str = "") -> Iterator[str]:
    """Paths of that pattern; those without * and ? whether they are there or not."""
    head, _, tail = pattern.partition("/")
    if not {"*", "?"} & set(pattern):
        yield root + pattern
        return
    names = [name for name in tree.names(root) if fnmatchcase(name, head)] if {"*", "?"} & set(head) else [head]
    for name in names:
        if tail:
            yield from paths_like(tree, tail, f"{root}{name}/")
        else:
            yield root + name


def as_text(content: bytes) -> str:
    """A file as text, in whichever of the two spellings that Windows has."""
    is_wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    return content.decode("utf-16" if is_wide else "utf-8", errors="replace")
