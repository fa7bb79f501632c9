"""Why no image can be chosen: the library is empty, is still being told, or nobody tells of it. Pure."""

from typing import Final

from dashboards.fleet.views import FleetView

READING: Final = "The library is being read: its images are here in a few seconds."
NOT_TOLD: Final = "The broadcaster has not told its images. See Health for the reason."


def why_no_images(picture: FleetView, empty: str) -> str:
    """One sentence, ``empty`` when the library is known to hold none; nothing when there are images."""
    if picture.images:
        return ""
    if picture.is_library_known:
        return empty
    return READING if picture.health.is_broadcaster_heard else NOT_TOLD
