"""Texts as an attacker writes them, and whether what came of them can do harm on a terminal or in a file of lines."""

import unicodedata

PWNED = "pwned"
"""A file that every text below tries to make in the current folder, if a shell reads it."""

COMMANDS = (
    f"$(touch {PWNED})",
    f"`touch {PWNED}`",
    f"; touch {PWNED} #",
    f"| touch {PWNED}",
    f"x && touch {PWNED}",
    f"'; touch {PWNED}; '",
    f'"; touch {PWNED}; "',
    f"\ntouch {PWNED}\n",
    f"-oProxyCommand=touch${{IFS}}{PWNED}",
)
PATHS = ("../../../../../../etc/passwd", "/etc/passwd\0.img", "-", "--", "~root", "con", "a/../b")
URLS = ("http://127.0.0.1:1/x", "file:///etc/passwd", "nbd://127.0.0.1:1/x", 'json:{"driver":"nbd","host":"::1"}')
MARKUP = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[link=http://a]x[/link][bold red]",
    "{0.__class__} %n%s {seat!r}",
    "'; DROP TABLE seats; --",
)
CONTROL = (
    "\x1b[2J\x1b]0;owned\x07",
    "desk\r\nslatecast: 9 of 9 seats verified",
    "desk\nall seats verified",
    "nul\0nul",
    "\u202egnp.tset",
    "\u2028\u2029\x85",
    "\u200b\ufeff\u00ad",
    "\x9b31m",
)
LONG = ("x" * 1_000_000,)

HARMLESS_MARKUP = frozenset("\n")


def is_harmless(text: str) -> bool:
    """Whether a terminal that prints this, with its own line feeds, shows letters and nothing else."""
    return all(letter.isprintable() or letter in HARMLESS_MARKUP for letter in text) and not any(
        unicodedata.bidirectional(letter) in {"RLO", "LRO", "RLE", "LRE", "RLI", "LRI", "FSI"} for letter in text
    )
