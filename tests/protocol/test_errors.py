import inspect
import re

from protocol import errors
from protocol.errors import SlatecastError


def test_drawn_tree_is_the_real_one() -> None:
    drawn = re.findall(r"^ *((?:[|+ -]*)[A-Z]\w+Error)\b", errors.__doc__ or "", re.MULTILINE)
    real = {name for name, thing in inspect.getmembers(errors, inspect.isclass) if thing.__module__ == errors.__name__}
    assert {line.strip("|+- ") for line in drawn} == real


def test_every_error_is_ours_and_says_what_it_is() -> None:
    for _, error in inspect.getmembers(errors, inspect.isclass):
        assert issubclass(error, SlatecastError)
        assert error.__doc__


def test_text_is_one_line_and_values_are_attributes() -> None:
    integrity = errors.IntegrityError("chunk 7", b"\x01" * 32, b"")
    assert (integrity.what, integrity.expected, integrity.actual) == ("chunk 7", b"\x01" * 32, b"")
    assert str(integrity) == "chunk 7: expected digest 0101010101010101, found nothing"
    disk = errors.DiskError("/dev/sda", "writing", "Input/output error", offset=1_049_088)
    assert str(disk) == "/dev/sda: writing at byte 1049088 (sector 2049) failed: Input/output error"
    assert (disk.target, disk.operation, disk.reason, disk.offset) == (
        "/dev/sda",
        "writing",
        "Input/output error",
        1_049_088,
    )
    assert str(errors.TargetError("/dev/sda", "is mounted")) == "/dev/sda: is mounted"
    assert str(errors.SourceError("lab.img", "is empty")) == "lab.img: is empty"


def test_what_is_quoted_of_a_peer_does_nothing_to_a_terminal() -> None:
    for error in (errors.MessageError, errors.ManifestError):
        said = str(error("unknown field `\x1b[2J\n\N{RIGHT-TO-LEFT OVERRIDE}`" + "x" * 100_000))
        assert said.startswith("unknown field `\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}")
        assert said.isprintable()
        assert len(said) == 400
