"""What operators order of images: each as its own command line does."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from broadcaster.audit import AUDIT_FILE, AuditEvent, AuditLog
from broadcaster.cast_audit import note, utc_now, who_orders
from broadcaster.host.commands import Handler, Work
from broadcaster.host.sessions import Sessions
from broadcaster.keys import KeyStore
from broadcaster.library.adding import add_image
from broadcaster.library.comparing import compare_manifests
from broadcaster.library.library import Library
from broadcaster.library.removing import remove_image
from broadcaster.library.shrinking import shrink_image
from broadcaster.library.verifying import verify_image
from protocol.commands import Command, CompareVersions, ImportImage, RemoveImage, ShrinkImage, VerifyImage
from protocol.errors import RefusedError, SourceError

MAX_DETAILS: Final = 100
"""[lines] on damaged chunks; all are counted."""

MAX_RANGES: Final = 1000
"""[ranges] of one comparison, as the command promises."""


class ImageCommands:
    """Handlers of the library's commands; ``on_change`` is told when it holds other images than before."""

    def __init__(self, library: Library, keys: KeyStore, sessions: Sessions, on_change: Callable[[], None]) -> None:
        self._library = library
        self._keys = keys
        self._sessions = sessions
        self._on_change = on_change

    @property
    def handlers(self) -> Mapping[type[Command], Handler]:
        """By kind of command."""
        return {
            ImportImage: self.add,
            VerifyImage: self.verify,
            RemoveImage: self.remove,
            ShrinkImage: self.shrink,
            CompareVersions: self.compare,
        }

    async def add(self, command: ImportImage, work: Work) -> object:
        """Add a file or block device of this machine."""
        path = Path(command.path)
        if not path.is_absolute() or not command.path.isprintable():
            raise SourceError(repr(command.path), "give the whole path on the broadcaster's machine, from / on")

        def add() -> tuple[str, int]:
            if path.resolve().is_relative_to(self._keys.folder.resolve()):
                raise SourceError(command.path, "is where keys are kept, which nobody shall read")
            outcome = add_image(
                self._library,
                path,
                command.name,
                signer=self._keys.image,
                progress=work.progress,
                on_wait=lambda: work.progress("waiting for another command", 0, 0),
            )
            header = outcome.manifest.header
            self._write_down(AuditEvent.IMAGE_ADDED, work.operator, image=header.name, version=header.version)
            return header.name, header.version

        name, version = await work.in_thread(add)
        self._on_change()
        return {"name": name, "version": version}

    async def verify(self, command: VerifyImage, work: Work) -> object:
        """Read and check every chunk of an image."""

        def verify() -> dict[str, Any]:
            manifest = self._library.load(command.name, command.version)
            damages = verify_image(self._library, manifest, work.progress)
            return {"damaged": len(damages), "details": [str(damage) for damage in damages[:MAX_DETAILS]]}

        return await work.in_thread(verify)

    async def remove(self, command: RemoveImage, work: Work) -> object:
        """Remove one version, unless a session uses it."""
        users = self._sessions.using(command.name, command.version)
        if users:
            raise RefusedError(f"image {command.name}, version {command.version}, is in use by session {users[0]}")

        def remove() -> int:
            outcome = remove_image(self._library, command.name, command.version)
            versions = ", ".join(map(str, outcome.versions))
            self._write_down(AuditEvent.IMAGE_REMOVED, work.operator, image=command.name, versions=versions)
            return outcome.freed_bytes

        freed_bytes = await work.in_thread(remove)
        self._on_change()
        return {"freed_bytes": freed_bytes}

    async def shrink(self, command: ShrinkImage, work: Work) -> object:
        """Add a version that fits on a smaller disk."""

        def shrink() -> dict[str, Any]:
            outcome = shrink_image(
                self._library,
                command.name,
                command.version,
                command.disk_size or None,
                signer=self._keys.image,
                progress=work.progress,
                on_wait=lambda: work.progress("waiting for another command", 0, 0),
            )
            header = outcome.added.manifest.header
            self._write_down(AuditEvent.IMAGE_ADDED, work.operator, image=header.name, version=header.version)
            return {"name": header.name, "version": header.version, "disk_size": header.disk_size}

        answer = await work.in_thread(shrink)
        self._on_change()
        return answer

    async def compare(self, command: CompareVersions, work: Work) -> object:
        """What changed between two versions."""

        def compare() -> dict[str, Any]:
            old, new = (self._library.load(command.name, each) for each in (command.old_version, command.new_version))
            found = compare_manifests(old, new)
            return {
                "changed_bytes": found.changed_bytes,
                "stored_bytes": found.stored_bytes,
                "ranges": found.ranges[:MAX_RANGES],
            }

        return await work.in_thread(compare)

    def _write_down(self, event: AuditEvent, operator: str, **fields: str | int) -> None:
        log = AuditLog(self._library.root / AUDIT_FILE, self._keys.director)
        note(log, event, utc_now(), {**who_orders(), "operator": operator, **fields})
