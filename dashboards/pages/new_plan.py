"""The form of a new plan: which image, which version, which room; and the plans that wait already."""

from typing import Any, Final

from nicegui import ui

from dashboards.desk_rules import NO_CONFIGURATION
from dashboards.fleet.views import FleetView, RoomView
from dashboards.pages.capture_words import image_names, plan_in_words
from dashboards.pages.library_words import why_no_images
from dashboards.pages.notes import Note
from dashboards.pages.paths import start_path
from dashboards.pages.quantities import bytes_in_words, count_in_words
from dashboards.pages.seat_words import plain, planned_in_words
from dashboards.pages.visit import Visit
from dashboards.pages.words import section_title
from dashboards.plan_order import PlanOrder
from dashboards.rooms.rooms import room_named
from protocol.operators import ImageNews, SessionStep, Severity

NEWEST: Final = 0
"""stands for the newest version, also one that comes while the page is open"""

CONFIGURED_BY_IMAGE: Final = "the image's own, if any"
NOT_CONFIGURED: Final = "nothing"

NO_IMAGES: Final = "The library holds no image yet. Import one under Library."
NO_ROOMS: Final = "There is no room yet. Add one under Edit rooms."

_MEGABIT: Final = 1_000_000


class NewPlan:
    """Choices, and the button that makes the plan."""

    def __init__(self, visit: Visit, room: str, image: str = "", version: str = "") -> None:
        self._visit = visit
        self._room_wanted = room
        self._image_wanted, self._version_wanted = image, version
        self._images: tuple[ImageNews, ...] = ()
        self._rooms: tuple[RoomView, ...] = ()
        self._waiting: object = None
        with ui.element("section").classes("panel") as self._open_plans:
            section_title("Plans that wait for their start")
            self._list = ui.element("ul").classes("plain-list")
        with ui.element("section").classes("panel form-panel"):
            section_title("A new plan")
            self._form()
        visit.watch(self._look)

    def _form(self) -> None:
        self._library = Note(Severity.INFO)
        self._no_rooms = Note(Severity.INFO)
        with ui.element("div").classes("fields"):
            self._room = ui.select({}, label="Room", on_change=self._room_chosen).props("outlined")
            self._image = ui.select({}, label="Image", on_change=self._image_chosen).props("outlined")
            self._version = ui.select({}, label="Version", on_change=self._chosen).props("outlined")
            self._rate = ui.number(label="At most (Mbit/s)", min=1, precision=0).props("outlined")
            self._rate.props["hint"] = "Empty: the rate of the configuration"
            self._configuration = ui.select({}, label="Done to each disk afterwards").props("outlined")
        self._backs_up = ui.switch("Capture every disk before it is overwritten")
        self._about_room = ui.label().classes("muted wrap-text")
        self._about_image = ui.label().classes("muted wrap-text")
        self._refusal = Note()
        with ui.row().classes("actions at-left"):
            self._button = ui.button("Make the plan", icon="fact_check", on_click=self._visit.handler(self._plan))
            self._button.props("unelevated no-caps")
            ui.label("Nothing is written by a plan.").classes("muted")

    def _look(self, picture: FleetView) -> None:
        self._show_plans(picture)
        self._library.show(why_no_images(picture, NO_IMAGES))
        self._no_rooms.show("" if picture.rooms else NO_ROOMS)
        self._rooms = picture.rooms
        rooms = {room.name: plain(room.name) for room in picture.rooms}
        wanted = next((name for name in rooms if name == self._room_wanted), None)
        if wanted:
            self._room_wanted = ""
        configurations = {"": CONFIGURED_BY_IMAGE, NO_CONFIGURATION: NOT_CONFIGURED}
        configurations |= {name: plain(name) for name in picture.configurations}
        _offer(self._configuration, configurations, "")
        _offer(self._room, rooms, wanted or (next(iter(rooms)) if len(rooms) == 1 else None))
        if picture.images != self._images:
            self._images = picture.images
            names = {name: plain(name) for name in image_names(picture)}
            _offer(self._image, names, next(iter(names)) if len(names) == 1 else None)
            self._offer_versions()
        self._take_wanted()
        self._chosen()

    def _take_wanted(self) -> None:
        """Choose the image that the address names, once the library has it; later it is the operator who chooses."""
        if not self._image_wanted or self._image_wanted not in self._image.options:
            return
        self._image.value, self._image_wanted = self._image_wanted, ""
        wanted = int(self._version_wanted) if self._version_wanted.isdecimal() else NEWEST
        if wanted in self._version.options:
            self._version.value = wanted

    def _show_plans(self, picture: FleetView) -> None:
        plans = [one for one in picture.sessions if one.step is SessionStep.PLANNED]
        self._open_plans.visible = bool(plans)
        waiting = [
            (
                plan.tsi,
                plan_in_words(picture, plan),
                plan.ordered_by,
                count_in_words(len(plan.seats), "machine"),
            )
            for plan in plans
        ]
        if waiting == self._waiting:
            return
        self._waiting = waiting
        self._list.clear()
        with self._list:
            for tsi, words, ordered_by, seats in waiting:
                with ui.element("li").classes("tray-item"), ui.element("div").classes("tray-words"):
                    with ui.link(target=start_path(tsi=tsi)).classes("session-link"):
                        ui.label(words)
                    ui.label(f"{seats}, {planned_in_words(ordered_by)}").classes("muted small wrap-text")

    def _room_chosen(self) -> None:
        """A plan begins with what its room's policy says."""
        room = room_named(self._visit.desk.rooms(), self._room.value or "")
        if room is not None:
            policy = room.policy
            self._backs_up.value = policy.backs_up
            if policy.configuration in self._configuration.options:
                self._configuration.value = policy.configuration
            if policy.image in self._image.options and not self._image_wanted:
                self._image.value = policy.image
        self._chosen()

    def _image_chosen(self) -> None:
        self._offer_versions()
        self._version.value = NEWEST if self._versions() else None
        self._chosen()

    def _versions(self) -> list[ImageNews]:
        chosen = [image for image in self._images if image.name == self._image.value]
        return sorted(chosen, key=lambda image: -image.version)

    def _offer_versions(self) -> None:
        versions = self._versions()
        newest = {NEWEST: f"newest (version {versions[0].version})"} if versions else {}
        _offer(self._version, {**newest, **{image.version: str(image.version) for image in versions}}, None)

    def _chosen(self) -> None:
        self._refusal.clear()
        room = next((room for room in self._rooms if room.name == self._room.value), None)
        self._about_room.text = _room_in_words(room) if room else ""
        wanted = self._version.value
        image = next((image for image in self._versions() if wanted in {NEWEST, image.version}), None)
        self._about_image.text = _image_in_words(image) if image and wanted is not None else ""
        self._button.enabled = room is not None and image is not None and wanted is not None

    async def _plan(self) -> None:
        order = PlanOrder(
            room=self._room.value,
            image=self._image.value,
            version=self._version.value,
            rate_bits_per_second=int(self._rate.value or 0) * _MEGABIT,
            configuration=self._configuration.value or "",
            backs_up=bool(self._backs_up.value),
        )
        self._refusal.clear()
        self._button.props("loading")
        try:
            tsi = await self._visit.act(lambda user: self._visit.desk.plan(user, order), refused=self._refuse)
        finally:
            self._button.props(remove="loading")
        if tsi:
            ui.navigate.to(start_path(tsi=tsi))

    def _refuse(self, words: str) -> None:
        self._refusal.show(words)


def _offer(select: ui.select, options: dict[Any, str], value: object) -> None:
    """Other options; what is chosen stays while it is one of them, else it is ``value``."""
    if options == select.options:
        if value is not None and select.value is None:
            select.value = value
        return
    chosen = select.value if select.value in options else value
    select.set_options(options, value=chosen)


def _room_in_words(room: RoomView) -> str:
    there = sum(1 for seat in room.seats if seat.machine and seat.receiver_id)
    assigned = sum(1 for seat in room.seats if seat.machine)
    words = f"{there} of {count_in_words(assigned, 'machine')} of {plain(room.name)} switched on"
    if there < assigned:
        words += "; the others are left out. Wake them on the page of the room first if they are wanted."
    return words


def _image_in_words(image: ImageNews) -> str:
    signed = "signed" if image.is_signed else "not signed by a key that this room knows"
    return (
        f"Version {image.version}: a disk of {bytes_in_words(image.disk_size)}, "
        f"{bytes_in_words(image.stored_bytes)} stored, {signed}"
    )
