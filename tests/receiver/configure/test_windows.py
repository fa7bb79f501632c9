from pathlib import Path

from protocol.configuration import StepState, WindowsStep
from receiver.configure.windows import answer_setup
from tests.receiver.configure.written_disk import WrittenDisk, fetched, real_disk

pytestmark = real_disk


def test_the_answer_file_is_where_setup_looks(windows: WrittenDisk, tmp_path: Path) -> None:
    file, files = fetched(tmp_path, "Windows/Panther/unattend.xml", b"<unattend/>")
    step = WindowsStep(computer_name="LAB-07", unattend=file)
    with windows.place(files) as place:
        outcome = answer_setup(place, step)
        assert "will be LAB-07" in outcome.text
        assert "no sign of sysprep" in outcome.text
        with place.disk.windows_root() as root:
            root.write("Windows/System32/Sysprep/Sysprep_succeeded.tag", b"")
        again = answer_setup(place, step)
    assert again.state is StepState.SKIPPED
    assert "sysprep" not in again.text
    with windows.mounted() as folder:
        assert (folder / "WINDOWS/Panther/unattend.xml").read_bytes() == b"<unattend/>"
