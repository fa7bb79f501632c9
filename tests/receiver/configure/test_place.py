from pathlib import Path

from receiver.configure.place import Machine


def test_the_machine_is_what_its_firmware_says(tmp_path: Path) -> None:
    (tmp_path / "sys_vendor").write_text("Dell Inc.\x1b\n")
    (tmp_path / "product_name").write_bytes(b"OptiPlex \xff7080\n")
    (tmp_path / "efi").mkdir()
    (tmp_path / "efi/BootOrder").write_bytes(b"")
    machine = Machine.here(tmp_path, tmp_path / "efi")
    assert machine == Machine("Dell Inc.", "OptiPlex \N{REPLACEMENT CHARACTER}7080", has_efi=True)
    assert str(machine) == "Dell Inc. OptiPlex \N{REPLACEMENT CHARACTER}7080"


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    machine = Machine.here(tmp_path, tmp_path / "none")
    assert machine == Machine()
    assert str(machine) == "unknown"
