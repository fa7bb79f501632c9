import msgspec
import pytest
from nicegui import events, ui
from nicegui.elements.upload_files import SmallFileUpload

from dashboards.pages.room_files import MAX_UPLOAD, RoomFiles, read_file
from dashboards.rooms.csv_form import rooms_to_csv
from dashboards.rooms.layout import laid_out
from dashboards.rooms.rooms import RoomPolicy, Rooms
from dashboards.rooms.rooms_file import rooms_to_toml
from protocol.errors import MessageError
from tests.dashboards.pages.visitor import visiting

ROOMS = Rooms(rooms=(laid_out("A", 2, 2), laid_out("<b>B</b>", 1, 1)))


def test_a_file_is_read_by_its_name() -> None:
    assert read_file("rooms.CSV", rooms_to_csv(ROOMS), Rooms()) == ROOMS
    assert read_file("rooms.toml", rooms_to_toml(ROOMS), Rooms()) == ROOMS


def test_a_table_of_seats_does_not_take_a_room_its_policy() -> None:
    policy = RoomPolicy(image="lab", backs_up=True)
    present = Rooms(rooms=(msgspec.structs.replace(ROOMS.rooms[0], policy=policy),))
    assert [room.policy for room in read_file("rooms.csv", rooms_to_csv(ROOMS), present).rooms] == [
        policy,
        RoomPolicy(),
    ]
    assert read_file("rooms.toml", rooms_to_toml(ROOMS), present) == ROOMS


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("rooms.xlsx", b"PK", "end with .csv or .toml"),
        ("", b"", "end with .csv or .toml"),
        ("rooms.csv", b"a,b\n", "line 1 is not the header"),
        ("rooms.toml", b"[[", "no TOML"),
        ("rooms.toml", b"#" * (MAX_UPLOAD + 1), "1 MiB"),
    ],
)
def test_what_is_no_file_of_rooms(name: str, data: bytes, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        read_file(name, data, Rooms())


@pytest.mark.asyncio
@pytest.mark.slow
async def test_what_was_read_is_told_and_what_was_not() -> None:
    async with visiting() as visitor:
        await visitor.open("/sessions")
        read: list[tuple[Rooms, str]] = []
        with visitor.browser._client:
            files = RoomFiles(lambda: ROOMS, lambda rooms, name: read.append((rooms, name)), can_edit=True)
        upload = files._upload
        assert upload.props["max-file-size"] == MAX_UPLOAD
        for name, data in (("rooms.csv", b"nonsense"), ("rooms.toml", rooms_to_toml(ROOMS))):
            file = SmallFileUpload(name, "text/plain", data)
            with visitor.browser._client:
                await files._read(events.UploadEventArguments(sender=upload, client=upload.client, file=file))
            assert visitor.says("Nothing was read: line 1 is not the header") == (not read)
        assert read == [(ROOMS, "rooms.toml")]
        assert {button.text for button in visitor.all(ui.button)} >= {"CSV", "TOML"}
