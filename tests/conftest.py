"""What holds for all tests: shared fixtures, Hypothesis profiles, and no skipped test where all can run."""

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import settings

pytest_plugins = ["tests.brokers"]

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("fuzz", deadline=None, print_blob=True, max_examples=20_000)
settings.load_profile("default")


def pytest_configure() -> None:
    """Hear Ctrl-C, and let what tests start hear it: a shell starts its jobs in the background deaf to it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many rooms the simulator plays, and from which seed on."""
    parser.addoption("--seeds", type=int, default=200, help="rooms that the simulator plays (200)")
    parser.addoption("--first-seed", type=int, default=0, help="seed of the first of them (0)")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In continuous integration as root everything can be installed, so a skipped test there is a failed one."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") and os.geteuid() == 0:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} may not be skipped here: {reason}"
    return report
