import dataclasses

from dashboards.pages.library_words import NOT_TOLD, READING, why_no_images
from tests.dashboards.played_desk import PlayedDesk


def test_why_there_are_no_images() -> None:
    picture = PlayedDesk().fleet()
    assert why_no_images(picture, "empty") == ""
    none = dataclasses.replace(picture, images=())
    assert why_no_images(none, "empty") == "empty"
    unknown = dataclasses.replace(none, is_library_known=False)
    assert why_no_images(unknown, "empty") == READING
    silent = dataclasses.replace(picture.health, is_broadcaster_heard=False)
    assert why_no_images(dataclasses.replace(unknown, health=silent), "empty") == NOT_TOLD
