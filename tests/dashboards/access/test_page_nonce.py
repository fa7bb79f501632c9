"""The nonce on NiceGUI's template."""

import re

import pytest
from nicegui.client import templates

from dashboards.access.page_nonce import NONCE_KEY, nonced, put_nonce_on_pages
from protocol.errors import SessionStateError


def test_every_script_of_the_template_gets_it_and_nothing_that_is_filled_in() -> None:
    put_nonce_on_pages()
    put_nonce_on_pages()
    assert templates.env.loader is not None
    source = templates.env.loader.get_source(templates.env, "index.html")[0]
    scripts = re.findall(r"<script[^>]*>", source)
    assert len(scripts) >= 6
    assert all(each.count("nonce=") == 1 and NONCE_KEY in each for each in scripts)


def test_only_tags() -> None:
    assert nonced("<script>a</script><scripted>").count("nonce=") == 1
    with pytest.raises(SessionStateError):
        nonced("<b>")
