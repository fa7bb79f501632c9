"""Puts the nonce of the content security policy onto the inline scripts of NiceGUI's own page template.

NiceGUI has no setting for it. Only the template's text is changed, at start: what is filled in later, however hostile,
never gets a nonce.
"""

import re
from typing import Final

from jinja2 import DictLoader
from nicegui.client import templates

from protocol.errors import SessionStateError

NONCE_KEY: Final = "slatecast.nonce"
"""Key of the ASGI scope under which the guards leave the nonce."""

_TEMPLATE: Final = "index.html"
_FILLED_IN: Final = f"{{{{ request.scope.get('{NONCE_KEY}', '') }}}}"


def put_nonce_on_pages() -> None:
    """Change the template once for this process; nothing happens the second time.

    Raises:
        SessionStateError: the template is not as we know it; look at it before another NiceGUI is used.
    """
    loader = templates.env.loader
    if isinstance(loader, DictLoader):
        return
    if loader is None:
        raise SessionStateError("NiceGUI has no page template")
    source = loader.get_source(templates.env, _TEMPLATE)[0]
    templates.env.loader = DictLoader({_TEMPLATE: nonced(source)})
    if templates.env.cache is not None:
        templates.env.cache.clear()


def nonced(source: str) -> str:
    """The template with a nonce on each script.

    Raises:
        SessionStateError: there is none.
    """
    changed, count = re.subn(r"<script(?=[\s>])", f'<script nonce="{_FILLED_IN}"', source)
    if not count:
        raise SessionStateError("the page template of NiceGUI has no scripts")
    return changed
