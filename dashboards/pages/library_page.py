"""The library: every version of every image, what is being done with them, and what can be done."""

from typing import Final

from nicegui import ui

from dashboards import desk_rules as rules
from dashboards.fleet.views import FleetView
from dashboards.pages.capture_words import backed_up_machines
from dashboards.pages.comparison import Comparison
from dashboards.pages.dialogs import confirmed
from dashboards.pages.figures import Figure, SignChip
from dashboards.pages.image_work import ImageWork
from dashboards.pages.library_words import why_no_images
from dashboards.pages.listing import ACTIONS, Listing
from dashboards.pages.local_time import LocalTime
from dashboards.pages.moments import moment_of
from dashboards.pages.paths import session_path
from dashboards.pages.quantities import NOTHING, bytes_in_words, share_in_words
from dashboards.pages.seat_words import Sign, Tone, plain
from dashboards.pages.shrink_dialog import ShrinkDialog
from dashboards.pages.visit import Visit
from dashboards.pages.words import Words, page_title, section_title
from dashboards.user import Role
from protocol.backup_names import is_backup
from protocol.firmware import Firmware
from protocol.operators import ImageNews

SIGNED: Final = Sign("verified", "signed", Tone.GOOD)
UNSIGNED: Final = Sign("gpp_maybe", "not signed by a key of this room", Tone.SLOW)
NOTHING_YET: Final = (
    "The library holds no image yet. Import one below: the file has to be on the broadcaster's machine."
)

IMAGES, BACKUPS = "images", "backups"
KINDS: Final = {IMAGES: "Images", BACKUPS: "Backups of seats"}

NO_BACKUPS: Final = "The library holds no backup yet. Back up seats under Captures, or let a room's policy do it."

FIRMWARE_WORDS: Final = {
    Firmware.BIOS: "BIOS",
    Firmware.UEFI: "UEFI",
    Firmware.BOTH: "BIOS and UEFI",
    Firmware.UNKNOWN: NOTHING,
}

HEADINGS: Final = ("Image", "Version", "Created", "Disk", "Boots by", "Stored", "Signature", "Used by", ACTIONS)


def build_library(visit: Visit) -> None:
    """The page of all images."""
    LibraryPage(visit)


class LibraryPage:
    """One open page."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._images: tuple[ImageNews, ...] = ()
        self._listed: list[tuple[ImageNews, str]] = []
        page_title("Library")
        with ui.element("section").classes("panel"):
            section_title("Images")
            with ui.element("div").classes("figures"):
                self._count = Figure("Versions")
                self._free = Figure("Free on its disk")
                self._path = Figure("Kept in")
            self._kind = ui.toggle(KINDS, value=IMAGES, on_change=lambda _: self._list(self._visit.picture()))
            self._kind.props('no-caps unelevated dense aria-label="Which versions to list"').classes(
                "theme-toggle narrow"
            )
            self._nothing = ui.label().classes("muted wrap-text")
            self._listing = Listing("Images", HEADINGS)
        self._work = ImageWork(visit)
        self._shrinking = ShrinkDialog(visit, self._work.shrink)
        self._comparison = Comparison(visit)
        visit.watch(self._look)

    def _look(self, picture: FleetView) -> None:
        host = picture.health.host
        self._count.show(str(len(picture.images)))
        if host is not None and host.library_bytes_total:
            free = share_in_words(host.library_bytes_free / host.library_bytes_total)
            self._free.show(f"{bytes_in_words(host.library_bytes_free)} ({free})")
            self._path.show(host.library_path)
        else:
            self._free.show(NOTHING)
            self._path.show(NOTHING)
        self._work.look()
        if picture.images != self._images:
            self._images = picture.images
            self._comparison.show(picture.images)
        self._list(picture)

    def _list(self, picture: FleetView) -> None:
        wants_backups = self._kind.value == BACKUPS
        images = [image for image in picture.images if is_backup(image.name) == wants_backups]
        if wants_backups and picture.images and not images:
            self._nothing.text = NO_BACKUPS
        else:
            self._nothing.text = why_no_images(picture, NOTHING_YET)
        self._listing.element.visible = bool(images)
        where = backed_up_machines(picture) if wants_backups else {}
        listed = [(image, where.get(image.name, "")) for image in images]
        if listed == self._listed:
            return
        self._listed = listed
        self._listing.clear()
        for image, place in listed:
            self._row(image, place)

    def _row(self, image: ImageNews, place: str) -> None:
        listing = self._listing
        with listing.row():
            with listing.cell():
                Words("span", image.name).classes("wrap-text strong")
                if place:
                    ui.label(f"of {place}").classes("muted small wrap-text")
            listing.text(str(image.version))
            with listing.cell():
                created = moment_of(image.created)
                if created is None:
                    Words("span", image.created)
                else:
                    LocalTime(created, with_date=True)
            listing.text(bytes_in_words(image.disk_size), "no-break")
            listing.text(FIRMWARE_WORDS[image.firmware])
            listing.text(bytes_in_words(image.stored_bytes), "no-break")
            with listing.cell():
                SignChip(SIGNED if image.is_signed else UNSIGNED)
            with listing.cell():
                for tsi in image.sessions:
                    ui.link(f"session {tsi[:4]}", session_path(tsi)).classes("session-link")
                if not image.sessions:
                    Words("span", NOTHING).props('aria-label="no session"')
            with listing.cell():
                if self._visit.may(Role.OPERATOR):
                    self._button("Verify", image)
                if self._visit.may(Role.ADMIN):
                    self._button("Shrink", image)
                    self._button("Remove", image)

    def _button(self, text: str, image: ImageNews) -> None:
        action = {"Verify": self._work.verify, "Shrink": self._shrinking.open, "Remove": self._remove}[text]
        button = ui.button(text, on_click=self._visit.handler(action, image)).props("flat dense no-caps")
        button.props["aria-label"] = f"{text} {plain(image.name)} version {image.version}"
        if text == "Remove":
            button.props["color"] = "negative"

    async def _remove(self, image: ImageNews) -> None:
        # What the desk would refuse is not asked for first.
        def judge(_: object) -> bool:
            rules.judge_removal(self._visit.picture(), image.name, image.version)
            return True

        if not await self._visit.act(judge):
            return
        if not await confirmed(
            f"Remove version {image.version} of {image.name}?",
            "It cannot be brought back, only imported anew. What other versions share with it stays.",
            "Remove",
            typed=f"{plain(image.name).strip()} {image.version}",
        ):
            return
        freed = await self._visit.act(
            lambda user: self._visit.desk.remove_image(user, image.name, image.version),
            f"Version {image.version} of {image.name} is removed.",
        )
        if freed is not None:
            self._work.say(f"Removed version {image.version} of {image.name}: {bytes_in_words(freed)} are free again.")
