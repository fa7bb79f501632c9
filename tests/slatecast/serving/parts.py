"""Fake parts of a service: real small processes that speak the supervisor's language."""

import sys
from pathlib import Path

from slatecast.serving.child import ChildPlan, Pauses

AT_ONCE = Pauses(first=0.0, longest=0.0, settled=60.0)
"""dead parts are started again at once, and none ever counts as settled"""

_PREAMBLE = """
import json, os, signal, sys, time
handed = sys.stdin.readline().strip()
def say(**status):
    print(json.dumps(status), flush=True)
def ready(where=""):
    say(type="ready", where=where)
def note(text):
    with open(sys.argv[1], "a") as file:
        file.write(text + chr(10))
def end(number, frame):
    note(sys.argv[2] + " ended")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
def starts():
    note("start")
    return open(sys.argv[1]).read().count("start")
def wait():
    sys.stdin.read()
    note(sys.argv[2] + " left alone")
"""


def fake(log: Path, code: str, *, name: str = "part", handover: bytes = b"", stop_timeout: float = 10.0) -> ChildPlan:
    """A part that runs ``code``; what it notes is in ``log``."""
    return ChildPlan(name, (sys.executable, "-c", _PREAMBLE + code, str(log), name), handover, stop_timeout)
