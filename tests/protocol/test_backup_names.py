import pytest

from protocol.backup_names import backup_name, is_backup
from protocol.errors import ConfigError
from protocol.manifest import IMAGE_NAME

MAC = "52:54:00:12:34:56"
MACHINES = (
    "office-7",
    MAC,
    MAC.replace(":", "-"),
    backup_name(MAC).removeprefix("backup-"),  # a machine that is called as another one's backup
    "Übungsraum 3, Platz 7",
    "Ubungsraum 3, Platz 7",
    "x" * 57,
    "x" * 58,
    "x" * 64,
    "x" * 63 + "y",
    "../../etc",
    "..",
    "a/b",
    "a b",
    ":",
)


def test_every_machine_has_a_name_of_its_own_that_an_image_can_have() -> None:
    names = [backup_name(machine) for machine in MACHINES]
    assert len(set(names)) == len(MACHINES)
    assert all(IMAGE_NAME.fullmatch(name) and is_backup(name) for name in names)
    assert names[0] == "backup-office-7"
    assert names[1] == "backup-52-54-00-12-34-56-42b2f5dc", "or backups of last year are not found again"
    assert backup_name("..") == "backup-.."
    assert not is_backup("lab")
    with pytest.raises(ConfigError, match="without a name"):
        backup_name("")
