"""Debian's Chromium under Playwright: where it is, and how it is started."""

import os
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Playwright

CHROMIUM: Final = Path("/usr/bin/chromium")

PHONE_HOME: Final = ("--disable-component-update", "--disable-background-networking", "--no-first-run")
"""options that keep the browser itself from asking its maker for anything"""


def missing_browser() -> str | None:
    """Why no browser can be started, in words for a skipped test, or None when one can."""
    return None if CHROMIUM.exists() else "chromium is not installed: apt-get install chromium"


def launched(playwright: Playwright) -> Browser:
    """A browser without a window; as root, as in a container, it cannot put itself into a sandbox."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=CHROMIUM, args=[*PHONE_HOME, *sandbox])
