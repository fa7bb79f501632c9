"""Machines that really boot: the reference machine, and blank ones that got its image, by BIOS and by UEFI."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import reference_machine, steps, virtual_machine, whole_way
from tests.lab.environment_folder import missing_for_environment
from tests.lab.network import Lab, missing_requirement
from tests.lab.served_site import ServedSite
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


def test_a_blank_machine_starts_by_uefi_from_the_disk_that_a_cast_wrote(site: Site) -> None:
    bench = steps.Bench(site, pcs=steps.PCS[1:2])
    steps.build_reference(bench)
    steps.build_environment(bench)
    steps.boot_reference(bench)
    steps.add_image(bench)
    steps.cast_to_blank_machines(bench)
    steps.start_from_new_disks(bench)
    assert {facts.firmware for facts in bench.facts.values()} == {"bios", "uefi"}


def test_a_blank_machine_goes_the_whole_way_from_the_network_to_its_own_disk_by_bios(tmp_path: Path) -> None:
    with Lab(0) as lab, ServedSite(tmp_path / "site", lab) as site:
        way = whole_way.Way(site, pcs=steps.PCS[:1], old_seats=frozenset())
        whole_way.build_reference(way)
        steps.build_environment(way)
        steps.add_image(way)
        whole_way.serve(way)
        whole_way.reimage(way)
        print(way.times)
        whole_way.compare(way)
