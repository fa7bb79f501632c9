from pathlib import Path

import pytest

from broadcaster.library.adding import add_image
from broadcaster.library.backups import backups_of, keep_newest
from broadcaster.library.library import Library
from protocol.backup_names import backup_name
from protocol.errors import ConfigError
from tests.broadcaster.library.disks import MIB, noise, sparse_file

MAC = "52:54:00:12:34:56"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.open_or_create(tmp_path / "library")
    for machine, count in ((MAC, 4), ("office-7", 2)):
        for seed in range(1, count + 1):
            add_image(
                library, sparse_file(tmp_path / "disk.img", MIB, {0: noise(seed, MIB // 2)}), backup_name(machine)
            )
    return library


def test_backups_are_listed_by_machine_newest_first(library: Library) -> None:
    assert [header.version for header in backups_of(library, MAC)] == [4, 3, 2, 1]
    assert [header.name for header in backups_of(library, "office-7")] == ["backup-office-7"] * 2
    assert backups_of(library, "nobody") == []


def test_only_the_newest_are_kept(library: Library) -> None:
    retained = keep_newest(library, MAC, 2)
    assert (retained.removed, retained.kept) == ((1, 2), (3, 4))
    assert retained.freed_bytes == 0, "the other machine's backups hold the same chunks"
    assert library.versions(backup_name("office-7")) == [1, 2]
    assert keep_newest(library, MAC, 2).removed == ()
    assert keep_newest(library, MAC, 1).freed_bytes == MIB // 2
    assert keep_newest(library, "nobody", 1).kept == ()
    with pytest.raises(ConfigError, match="one is the least"):
        keep_newest(library, MAC, 0)
    assert library.versions(backup_name(MAC)) == [4]


def test_one_that_is_being_read_stays_until_the_next_time(library: Library) -> None:
    with library.in_use(library.load(backup_name(MAC), 1)):
        retained = keep_newest(library, MAC, 1)
        assert (retained.removed, retained.kept) == ((2, 3), (1, 4))
    assert keep_newest(library, MAC, 1).removed == (1,)
