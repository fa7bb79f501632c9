from slatecast.seat.boot_arguments import BootArguments
from slatecast.seat.settings import SeatSettings


def test_nobody_is_believed_unless_said_so() -> None:
    settings = SeatSettings(BootArguments())
    assert settings.trust is None
    assert settings.known is None
    assert settings.countdown_seconds == 10.0
