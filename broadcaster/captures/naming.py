"""What captured images may be called. Pure.

A backup of a machine is an image ``backup-...`` (``protocol.backup_names``), of which only the newest versions stay;
nobody else may use such a name.
"""

from protocol.backup_names import PREFIX, is_backup
from protocol.errors import ConfigError
from protocol.manifest import IMAGE_NAME


def checked_name(name: str) -> str:
    """A name that somebody gives to a captured image.

    Raises:
        ConfigError: no image can be called so, or it is a backup's.
    """
    if not IMAGE_NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot be an image's name: letters, digits, '.', '_' and '-', at most 64")
    if is_backup(name):
        raise ConfigError(f"{name}: names that begin with {PREFIX} are those of backups; choose another one")
    return name
