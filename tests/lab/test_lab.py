"""A machine that really boots, from the network and from its new disk, by UEFI and by BIOS."""

from pathlib import Path

import pytest

from tests.lab import reference_machine, steps, virtual_machine, whole_way
from tests.lab.environment_folder import missing_for_environment
from tests.lab.network import Lab, missing_requirement
from tests.lab.served_site import ServedSite
from tests.lab.virtual_machine import Firmware, Hardware, VirtualMachine

MISSING = (
    missing_requirement()
    or virtual_machine.missing_requirement()
    or reference_machine.missing_requirement()
    or missing_for_environment()
)

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.timeout(900),  # three starts of an interpreted machine, beside other tests
    pytest.mark.skipif(MISSING is not None, reason=f"{MISSING}"),
]


def test_a_blank_machine_goes_the_whole_way_from_the_network_to_its_own_disk(tmp_path: Path) -> None:
    """By UEFI; the disk that was written then starts by BIOS too, as that of the reference machine does."""
    (pc,) = pcs = steps.PCS[1:2]
    with Lab(0) as lab, ServedSite(tmp_path / "site", lab) as site:
        way = whole_way.Way(site, pcs=pcs, old_seats=frozenset())
        whole_way.build_reference(way)
        steps.build_environment(way)
        steps.add_image(way)
        whole_way.serve(way)
        whole_way.reimage(way)
        print(way.times)
        whole_way.compare(way)
        by_uefi = way.facts[pc.seat]
        with VirtualMachine(Hardware(Firmware.BIOS, [way.disk(pc)]), tmp_path / "bios", name="BIOS") as machine:
            by_bios = machine.facts(whole_way.LONG_PATIENCE)
    steps.assert_firmware(by_bios, Firmware.BIOS)
    assert (by_bios.files_sha256, by_bios.machine_id) == (by_uefi.files_sha256, by_uefi.machine_id)
    assert not by_bios.failed_units
