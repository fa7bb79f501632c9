"""Machines that really boot: the reference machine by BIOS and by UEFI, and blank ones that got its image."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import reference_machine, steps, virtual_machine
from tests.lab.environment_folder import missing_for_environment
from tests.lab.network import Lab, missing_requirement
from tests.lab.site import Site

MISSING = (
    missing_requirement()
    or virtual_machine.missing_requirement()
    or reference_machine.missing_requirement()
    or missing_for_environment()
)

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.timeout(900),  # four starts of an interpreted machine, beside other tests
    pytest.mark.skipif(MISSING is not None, reason=f"{MISSING}"),
]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Lab(0) as lab, Site(tmp_path / "site", lab) as site:
        site.serve_addresses()
        yield site


def test_blank_machines_start_from_the_disks_that_a_cast_wrote(site: Site) -> None:
    bench = steps.Bench(site, pcs=steps.PCS[:2])
    steps.build_reference(bench)
    steps.build_environment(bench)
    steps.boot_reference(bench)
    steps.add_image(bench)
    steps.cast_to_blank_machines(bench)
    steps.start_from_new_disks(bench)
    assert {facts.firmware for facts in bench.facts.values()} == {"bios", "uefi"}
