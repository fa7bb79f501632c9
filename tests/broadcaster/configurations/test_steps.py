import pytest

from broadcaster.configurations.shelf import example_facts
from broadcaster.configurations.steps import derived
from protocol.configuration import (
    BootStep,
    DriversStep,
    FilesStep,
    FirstBoot,
    HostnameStep,
    IdentitiesStep,
    MachineIdStep,
    OnError,
    ScriptStep,
    System,
    WindowsStep,
    name_of,
)
from protocol.errors import ConfigError
from tests.broadcaster.configurations.written import Written

ALL = """
[beacon]
[boot]
first = "disk"
[[scripts]]
source = "b.sh"
limit = 9
[windows]
[[drivers]]
source = "drv"
[[files]]
path = "/etc/motd"
template = "motd"
mode = "600"
[ssh-host-keys]
[machine-id]
[hostname]
on-error = "continue"
[identities]
[grow]
"""
FILES: dict[str, str | bytes] = {"b__sh": "#!/bin/sh\n", "motd": "{{ seat }}\n", "drv/net/e__inf": "inf", "drv/x": "x"}


def test_all_steps_in_their_order(written: Written) -> None:
    rendered = written.rendered(ALL, **FILES)
    steps = rendered.configuration.steps
    assert [name_of(step) for step in steps] == [
        *("grow", "identities", "hostname", "machine-id", "ssh-host-keys", "files", "drivers", "windows"),
        *("script b.sh", "boot", "beacon"),
    ]
    by_type = {type(step): step for step in steps}
    hostname = by_type[HostnameStep]
    assert isinstance(hostname, HostnameStep)
    assert (hostname.name, hostname.on_error) == ("pc-01", OnError.CONTINUE)
    files = by_type[FilesStep]
    assert isinstance(files, FilesStep)
    (motd,) = files.files
    assert (motd.path, motd.mode, rendered.made[motd.digest]) == ("etc/motd", 0o600, b"pc-01\n")
    drivers = by_type[DriversStep]
    assert isinstance(drivers, DriversStep)
    assert [each.path for each in drivers.sets[0].files] == ["net/e.inf", "x"]
    assert (drivers.system, drivers.folder) == (System.WINDOWS, "Drivers")
    boot = by_type[BootStep]
    assert isinstance(boot, BootStep)
    assert (boot.label, boot.first) == ("slatecast debian", FirstBoot.DISK)
    script = by_type[ScriptStep]
    assert isinstance(script, ScriptStep)
    assert script.limit_seconds == 9
    assert rendered.sources[script.file.digest] == written.folder / "lab/b.sh"


def test_identities_follow_from_the_seed_and_differ_by_seat(written: Written) -> None:
    written.write("[identities]\n[machine-id]\n")
    (facts,) = example_facts("x")
    first = written.shelf.render("lab", facts)
    assert first.configuration == written.shelf.render("lab", facts).configuration
    disk, machine = first.configuration.steps
    assert isinstance(disk, IdentitiesStep)
    assert isinstance(machine, MachineIdStep)
    assert len({disk.seed, machine.machine_id, derived(bytes(32), "beacon"), derived(bytes(31) + b"1", "disk")}) == 4


def test_our_unattend_has_the_name_of_the_computer(written: Written) -> None:
    rendered = written.rendered("[windows]\n")
    (step,) = rendered.configuration.steps
    assert isinstance(step, WindowsStep)
    assert step.computer_name == "PC-01"
    assert b"<ComputerName>PC-01</ComputerName>" in rendered.made[step.unattend.digest]
    assert step.unattend.path == "Windows/Panther/unattend.xml"


def test_an_unattend_of_the_site(written: Written) -> None:
    toml = '[variables]\npassword_file = "secret"\n[windows]\nunattend = "u.xml"\n'
    rendered = written.rendered(toml, u__xml="<p>{{ password }} {{ computer_name }}</p>", secret="a<b\n")
    (step,) = rendered.configuration.steps
    assert isinstance(step, WindowsStep)
    assert rendered.made[step.unattend.digest] == b"<p>a&lt;b PC-01</p>"
    assert "a<b" not in repr(rendered)


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ('[[drivers]]\nsource = "none"', "drivers 1: there is no folder"),
        ('[[scripts]]\nsource = "none.sh"', r"scripts 1: .*none\.sh cannot be read: No such file"),
        ('[[scripts]]\nsource = "b.sh"\narguments = ["{{ no }}"]', "scripts 1, arguments, for seat 'pc-01': 'no' is"),
        ('[[files]]\npath = "{{ no }}"\nsource = "b.sh"', "files 1, path, for seat 'pc-01': 'no' is undefined"),
        ('[[files]]\npath = "../etc"\nsource = "b.sh"', "for seat 'pc-01'.*regex"),
        ('[hostname]\nname = "a b"', "for seat 'pc-01'.*regex"),
        ('[windows]\ncomputer-name = "MUCH-TOO-LONG-A-NAME"', "for seat 'pc-01'.*regex"),
    ],
)
def test_what_cannot_be_made_is_one_line(written: Written, toml: str, line: str) -> None:
    with pytest.raises(ConfigError, match=line) as caught:
        written.rendered(toml, b__sh="x")
    assert "\n" not in str(caught.value)
