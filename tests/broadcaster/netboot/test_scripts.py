import re
import shutil
import subprocess

import pytest

from broadcaster.netboot.decisions import OWN_DISK, Boots, Decision
from broadcaster.netboot.orders import BootMode
from broadcaster.netboot.scripts import (
    DISK_LOADER,
    MOST_GRUB_TRIES,
    OWN_LOADERS,
    READING_SECONDS,
    Scripts,
    grub_own_disk,
)

MAC = "52:54:00:12:34:56"
SCRIPTS = Scripts("10.0.4.2", 8886, "10.0.4.2:8884")
HOSTILE = "a b\n#!ipxe\nshell ${net0/mac} ; reboot && \"'`$(x)|é"
ENVIRONMENT = Decision(Boots.ENVIRONMENT, "PC-01")
CHOICE = Decision(Boots.CHOICE, mode=BootMode.MENU)


def test_the_kernel_is_told_what_the_environment_reads() -> None:
    assert SCRIPTS.kernel_arguments(Decision(Boots.ENVIRONMENT, "PC 1/ä", BootMode.CAPTURE), MAC) == (
        "slatecast.mode=capture slatecast.seat=PC%201%2F%C3%A4 slatecast.server=10.0.4.2:8884 "
        "BOOTIF=01-52-54-00-12-34-56"
    )
    assert Scripts("10.0.4.2", 1, "").kernel_arguments(Decision(Boots.ENVIRONMENT), MAC) == (
        "slatecast.mode=receive BOOTIF=01-52-54-00-12-34-56"
    )


def test_a_seats_name_cannot_add_a_word_or_a_line() -> None:
    plain = Decision(Boots.ENVIRONMENT, "x")
    hostile = Decision(Boots.ENVIRONMENT, HOSTILE)
    for write in (SCRIPTS.ipxe, lambda each, mac: SCRIPTS.grub(OWN_DISK, {mac: each})):
        expected, found = write(plain, MAC).split(), write(hostile, MAC).split()
        assert len(expected) == len(found)
        (changed,) = {new for old, new in zip(expected, found, strict=True) if old != new}
        assert re.fullmatch(r"slatecast\.seat=[0-9A-Za-z%._~-]+", changed)


@pytest.mark.parametrize("decision", [ENVIRONMENT, CHOICE, OWN_DISK], ids=lambda each: each.boots.name)
def test_every_jump_of_ipxe_has_its_goal_and_no_step_fails_unheard(decision: Decision) -> None:
    for script in (SCRIPTS.ipxe_entry(), SCRIPTS.ipxe(decision, MAC)):
        assert script.startswith("#!ipxe\n")
        assert set(re.findall(r"goto (\w+)", script)) <= set(re.findall(r"^:(\w+)$", script, re.M))
        for line in script.splitlines():
            if line.split(" ")[0] in ("kernel", "initrd", "boot", "imgfetch", "imgexec", "sanboot", "iseq", "choose"):
                assert "||" in line  # otherwise a failure ends the script in the middle
        assert script.splitlines()[-1] in ("exit", "exit 1")


def test_ipxe_waits_for_nothing_without_end() -> None:
    for script in (SCRIPTS.ipxe_entry(), SCRIPTS.ipxe(ENVIRONMENT, MAC), SCRIPTS.ipxe(CHOICE, MAC)):
        for line in re.findall(r"^(?:kernel|initrd|imgfetch|choose) .*", script, re.M):
            assert "--timeout" in line


def test_by_uefi_what_boots_the_disk_is_there_before_anything_can_fail() -> None:
    entry = SCRIPTS.ipxe_entry()
    assert entry.index(f"/{DISK_LOADER} ||") < entry.index(":ask\n")
    assert entry.index(":efi\n") < entry.index(f"imgexec {DISK_LOADER} ||") < entry.index(":none\n")
    for line in SCRIPTS.ipxe(ENVIRONMENT, MAC).splitlines():
        assert "imgfree" not in line or line.startswith("iseq ${platform} efi || "), "it would be lost"


def test_every_line_fits_on_the_screen() -> None:
    scripts = Scripts("192.168.100.200", 65535, "")
    for text in (scripts.ipxe_entry(), scripts.ipxe(ENVIRONMENT, MAC), scripts.grub(OWN_DISK, {})):
        said = re.findall(r'^ *echo "?(slatecast: [^"\n]*)', text, re.M)
        assert said
        assert max(map(len, said)) < 80


def test_a_machine_without_an_order_is_told_nothing_but_to_go_on() -> None:
    assert SCRIPTS.ipxe(OWN_DISK, MAC) == "#!ipxe\nexit\n"


def test_a_choice_defaults_to_the_own_disk() -> None:
    script = SCRIPTS.ipxe(CHOICE, MAC)
    assert "choose --default disk --timeout 3000" in script
    assert "slatecast.mode=menu" in script
    text = SCRIPTS.grub(OWN_DISK, {MAC: CHOICE})
    assert f'"{MAC}" ]; then set boots=CHOICE; set arguments="slatecast.mode=menu ' in text
    assert text.index('"Start this PC" --unrestricted { disk }') < text.index("--unrestricted --hotkey=r { load }")
    assert "set timeout=3\nset default=0\nset superusers=nobody\n" in text


@pytest.mark.skipif(
    shutil.which("grub-script-check") is None, reason="needs grub-script-check: apt install grub-common"
)
@pytest.mark.parametrize("boots", Boots)
def test_grub_can_read_it(boots: Boots) -> None:
    decision = Decision(boots, HOSTILE)
    for text in (SCRIPTS.grub(decision, {}), SCRIPTS.grub(OWN_DISK, {MAC: decision}), grub_own_disk()):
        subprocess.run(["grub-script-check"], input=text.encode(), check=True, capture_output=True)


def test_grub_ends_at_a_loader_of_the_disk() -> None:
    text = SCRIPTS.grub(OWN_DISK, {})
    assert all(loader in text for loader in OWN_LOADERS)
    assert "set boots=OWN_DISK;" in text
    assert "BOOTIF=01-$a-$b-$c-$d-$e-$f" in SCRIPTS.grub(Decision(Boots.ENVIRONMENT), {})


def test_grub_gives_up_kernel_and_initrd_in_words_and_starts_the_disk() -> None:
    body = SCRIPTS.grub(OWN_DISK, {}).partition("function load {\n")[2].partition("\n}\n")[0]
    steps = [line.strip() for line in body.splitlines()]
    assert steps[1] == f"for try in {' '.join(map(str, range(1, MOST_GRUB_TRIES + 1)))}; do"
    assert steps[-3:] == [
        'echo "slatecast: kernel or initrd did not arrive; this PC starts from its own disk"',
        f"sleep {READING_SECONDS}",
        "disk",
    ]
