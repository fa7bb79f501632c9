"""Fills in templates and values for one seat, by Jinja2 in its sandbox: an unknown variable is an error, never a gap.

What goes wrong becomes one line that names file and place, and never a value: variables may be secrets. XML templates
are escaped, so that a name with < in it is a name.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from jinja2 import (
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    UndefinedError,
    select_autoescape,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from broadcaster.configurations.schema import Value
from protocol.errors import ConfigError

MAX_RENDERED: Final = 4 << 20
"""[bytes] of one file that a template makes; stops one that repeats itself."""


class Templates:
    """The templates of one folder, with the variables of one seat.

    Args:
        folder: where templates lie; nothing outside of it is read.
        variables: by name.
        seat: for complaints.
    """

    def __init__(self, folder: Path, variables: Mapping[str, Value], seat: str) -> None:
        self._variables = variables
        self._seat = seat
        self._environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(folder, followlinks=False),
            undefined=StrictUndefined,
            autoescape=select_autoescape(enabled_extensions=("xml", "xml.j2"), default=False, default_for_string=False),
            keep_trailing_newline=True,
        )

    def file(self, name: str, where: str, **more: Value) -> bytes:
        """A template of the folder, filled in.

        Raises:
            ConfigError: there is no such template, or it cannot be filled in.
        """
        return self._rendered(lambda: self._environment.get_template(name).render(self._variables, **more), where)

    def text(self, template: str, where: str, **more: Value) -> str:
        """A value of the configuration, filled in.

        Raises:
            ConfigError: it cannot be filled in.
        """
        rendered = self._rendered(
            lambda: self._environment.from_string(template).render(self._variables, **more), where
        )
        return rendered.decode("utf-8")

    def _rendered(self, render: Callable[[], str], where: str) -> bytes:
        try:
            made = render().encode("utf-8")
        except UndefinedError as error:
            hint = _HOSTNAME_HINT if "'hostname'" in str(error) else ""
            raise ConfigError(f"{where}, for seat {self._seat!r}: {error}{hint}") from error
        except TemplateNotFound as error:
            raise ConfigError(f"{where}: there is no file {error.name!r} beside it") from error
        except TemplateSyntaxError as error:
            raise ConfigError(f"{error.name or where}, line {error.lineno}: {error.message}") from error
        except TemplateError as error:
            raise ConfigError(f"{where}, for seat {self._seat!r}: {error}") from error
        except Exception as error:  # whatever a template may do wrong; its text may quote a secret
            what = type(error).__name__
            raise ConfigError(f"{where}, for seat {self._seat!r}: {what} while it is filled in") from None
        if len(made) > MAX_RENDERED:
            raise ConfigError(f"{where}, for seat {self._seat!r}: makes {len(made)} bytes, more than {MAX_RENDERED}")
        return made


_HOSTNAME_HINT: Final = ": give the seat a hostname in the room, or in [seats] of the configuration"
