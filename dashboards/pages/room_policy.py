"""The policy of a room while it is edited: assigned image, what follows a wipe, backups, self-service."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from nicegui import ui

from dashboards.desk_rules import NO_CONFIGURATION
from dashboards.fleet.views import FleetView
from dashboards.pages.capture_words import image_names
from dashboards.pages.new_plan import CONFIGURED_BY_IMAGE, NOT_CONFIGURED
from dashboards.pages.seat_words import plain
from dashboards.pages.words import section_title
from dashboards.rooms.rooms import RoomPolicy

NO_IMAGE: Final = "no image"
NEWEST: Final = "the newest"


class RoomPolicyPanel:
    """The panel; ``on_change`` is told the policy as it was edited."""

    def __init__(self, on_change: Callable[[RoomPolicy], object]) -> None:
        self._on_change = on_change
        self._policy = RoomPolicy()
        self._is_showing = False
        with ui.element("section").classes("panel"):
            section_title("What holds in this room")
            with ui.element("div").classes("fields"):
                self._image = self._select("Image of its seats", "image")
                self._version = self._select("Version", "version")
                self._configuration = self._select("Done to each disk afterwards", "configuration")
                self._kept = ui.number(label="Backups kept of each seat", min=1, max=100, precision=0)
                self._kept.props("outlined").on_value_change(
                    lambda event: self._edit(backups_kept=int(event.value) if event.value else 1)
                )
            self._backs_up = self._switch("Capture every disk before it is overwritten", "backs_up")
            self._allows = self._switch("Whoever sits at a seat may put that image on its disk", "allows_restore")

    def show(self, policy: RoomPolicy, picture: FleetView) -> None:
        """Show the policy of the room that is edited, and what can be chosen."""
        self._is_showing = True
        try:
            self._policy = policy
            names = {name: plain(name) for name in image_names(picture)}
            self._offer(self._image, {"": NO_IMAGE, **names}, policy.image)
            versions = {image.version: str(image.version) for image in picture.images if image.name == policy.image}
            self._offer(self._version, {0: NEWEST, **versions}, policy.version)
            configurations = {"": CONFIGURED_BY_IMAGE, NO_CONFIGURATION: NOT_CONFIGURED}
            configurations |= {name: plain(name) for name in picture.configurations}
            self._offer(self._configuration, configurations, policy.configuration)
            self._kept.value = policy.backups_kept
            self._backs_up.value = policy.backs_up
            self._allows.value = policy.allows_restore
            self._version.enabled = bool(policy.image)
            self._allows.enabled = bool(policy.image) or policy.allows_restore
        finally:
            self._is_showing = False

    def _select(self, label: str, field: str) -> ui.select:
        select = ui.select({}, label=label).props("outlined")
        select.on_value_change(lambda event: self._edit(**{field: event.value}))
        return select

    def _switch(self, label: str, field: str) -> ui.switch:
        switch = ui.switch(label)
        switch.on_value_change(lambda event: self._edit(**{field: bool(event.value)}))
        return switch

    def _offer(self, select: ui.select, options: dict[Any, str], value: Any) -> None:
        """What is chosen stays to be seen, also where the library does not have it any more."""
        known = options if value in options else {**options, value: f"{plain(str(value))} (not in the library)"}
        if known != select.options or value != select.value:
            select.set_options(known, value=value)

    def _edit(self, **changes: Any) -> None:
        if self._is_showing or None in changes.values():
            return
        if "image" in changes and changes["image"] != self._policy.image:
            changes["version"] = 0
        changed = msgspec.structs.replace(self._policy, **changes)
        if changed != self._policy:
            self._policy = changed
            self._version.enabled = bool(changed.image)
            self._allows.enabled = bool(changed.image) or changed.allows_restore
            self._on_change(changed)
