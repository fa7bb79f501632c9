"""``python -m tests.mutants.ticket_hunt``: shows that the unit tests of protocol/ticket.py find every planted bug.

Each mutant is planted in memory by a child of its own, so that nothing but the tests is run 50 times. Prints one line
for each, and the score.
"""

import os
import signal
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor

import pytest

import tests.sample_messages  # noqa: F401 - what every child needs, and nothing that imports the mutated module
from tests.mutants.catalogue import Mutant
from tests.mutants.copies import ROOT, check
from tests.mutants.ticket_catalogue import MUTANTS, TICKET

MODULE = "protocol.ticket"

TESTS = "tests/protocol/test_ticket.py"

PYTEST_OPTIONS = ("-x", "-q", "--noconftest", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", "-c", os.devnull)

PROCESSES = 2

LONGEST_RUN = 30
"""[s] The tests take one."""


def planted(mutant: Mutant | None) -> types.CodeType:
    """The module with the bug; one that cannot be compiled is an error, not a catch."""
    source = (ROOT / TICKET).read_text(encoding="utf-8")
    if mutant is not None:
        check(mutant)
        for change in mutant.changes:
            source = source.replace(change.old, change.new)
    return compile(source, TICKET, "exec")


def survives(mutant: Mutant | None) -> bool:
    """Whether all tests pass in a child with this bug."""
    code = planted(mutant)
    child = os.fork()
    if child == 0:
        os._exit(_run_tests(code))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _run_tests(code: types.CodeType) -> int:
    """In the child: exit code of pytest, 0 when nothing was found."""
    signal.alarm(LONGEST_RUN)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    module = types.ModuleType(MODULE)
    module.__file__ = str(ROOT / TICKET)
    sys.modules[MODULE] = module
    try:
        exec(code, module.__dict__)
        return int(pytest.main([*PYTEST_OPTIONS, str(ROOT / TESTS)]))
    except BaseException:  # a mutant may break anything in any way, and that finds it
        return 1


def main() -> int:
    """Print what became of each; 1 when a mutant survived, 2 when the tests fail without any."""
    if MODULE in sys.modules:
        raise SystemExit(f"{MODULE} is imported already, so nothing could be planted in it")
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    if not survives(None):
        print("the tests fail where nothing is planted")
        return 2
    began = time.monotonic()
    with ThreadPoolExecutor(PROCESSES) as pool:
        verdicts = list(pool.map(survives, MUTANTS))
    for mutant, has_survived in zip(MUTANTS, verdicts, strict=True):
        print(f"{mutant.name:45} {'SURVIVED' if has_survived else 'found'}")
    print(f"{verdicts.count(False)} of {len(MUTANTS)} found, {time.monotonic() - began:.0f} s")
    return int(any(verdicts))


if __name__ == "__main__":
    sys.exit(main())
