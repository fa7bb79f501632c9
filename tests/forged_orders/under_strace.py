"""``python -m tests.forged_orders.under_strace LOG PATH -- ARGV``: run Python and log every system call on PATH.

The tracer is the grandchild, as in tests.faults.under_strace, so that whoever kills this process kills the traced one.
"""

import os
import sys


def main() -> None:
    log, path, _, *argv = sys.argv[1:]
    strace = ["strace", "-D", "-f", "-qqq", "-o", log, "-P", path]
    os.execvp(strace[0], [*strace, sys.executable, *argv])


if __name__ == "__main__":
    main()
