"""``python -m tests.fuzz.drive TARGET SLOWEST -- libFuzzer's options and folders``: one parser under atheris.

Stops at the first undocumented error, and libFuzzer writes the input to a file. The slowest input is kept in the file
SLOWEST; ``hunt`` judges its time without the instruments.
"""

import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["protocol", "broadcaster", "receiver"]):
    from tests.fuzz.judging import play
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    name, slowest, _, *options = sys.argv[1:]
    target = TARGETS[name]
    longest = 0.0

    def test_one_input(data: bytes) -> None:
        nonlocal longest
        began = time.thread_time()
        play(target, data)
        took = time.thread_time() - began
        if took > longest:
            longest = took
            Path(slowest).write_bytes(data)

    atheris.Setup([sys.argv[0], *options, f"-max_len={target.longest}"], test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
