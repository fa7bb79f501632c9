"""The configuration file that ``slatecast config init`` writes: every key with its description and its default.

All keys are commented out, so the file as written means the defaults, and later defaults reach those who changed
nothing. It is made from the types of ``settings`` alone; no key can be left out.
"""

import inspect as docstrings
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from slatecast.serving.settings import Settings

HEAD = """\
# Configuration of 'slatecast serve'. Every key is optional; take away the '#' before one to change it.
# The command line and SLATECAST_SERVE_* variables come before this file. 'slatecast config check' judges it.
"""


class Key(NamedTuple):
    """One key of the file."""

    section: str
    name: str
    description: str
    default: Any


class Section(NamedTuple):
    """One table of the file."""

    name: str
    description: str
    keys: tuple[Key, ...]


def sections() -> Iterator[Section]:
    """All tables with all keys, in the order of the types."""
    for name in Settings.__struct_fields__:
        defaults = getattr(Settings(), name)
        yield Section(name, docstrings.getdoc(type(defaults)) or "", tuple(_keys(name, defaults)))


def commented_file() -> str:
    """The whole file, every default commented out."""
    parts = [HEAD]
    for section in sections():
        parts.append(f"\n# {section.description}\n[{section.name}]\n")
        for key in section.keys:
            parts += [f"\n# {key.description}\n", f"#{key.name} = {_as_toml(key.default)}\n"]
    return "".join(parts)


def _as_toml(value: object) -> str:
    """Texts, numbers, truth and lists of them look in TOML as they do in JSON."""
    return msgspec.json.encode(value).decode()


def _keys(section: str, defaults: Any) -> Iterator[Key]:
    kind = inspect.type_info(type(defaults))
    assert isinstance(kind, inspect.StructType)
    for field in kind.fields:
        assert isinstance(field.type, inspect.Metadata), f"{section}.{field.name} has no description"
        assert field.type.extra_json_schema is not None
        yield Key(section, field.name, field.type.extra_json_schema["description"], getattr(defaults, field.name))
