"""``python -m tests.faults.under_strace INJECTION PATH -- ARGV``: run Python with system calls on PATH going wrong.

INJECTION is strace's, such as ``fsync:error=EIO:when=1``; ``when`` counts for each thread on its own. The tracer is
the grandchild, so that whoever kills this process kills the traced one, and the tracer ends with it.
"""

import os
import sys


def main() -> None:
    injection, path, _, *argv = sys.argv[1:]
    strace = ["strace", "-D", "-f", "--seccomp-bpf", "-qqq", "-o", "/dev/null", "-P", path, "-e", f"inject={injection}"]
    os.execvp(strace[0], [*strace, sys.executable, *argv])


if __name__ == "__main__":
    main()
