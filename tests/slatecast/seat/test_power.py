import pytest

from slatecast.seat import power
from slatecast.seat.events import Afterwards
from slatecast.seat.power import leave_machine


@pytest.mark.parametrize(("how", "program"), [(Afterwards.RESTART, "reboot"), (Afterwards.POWER_OFF, "poweroff")])
def test_it_asks_the_kernel_at_once(how: Afterwards, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(power, "need_tool", lambda name: f"/sbin/{name}")
    monkeypatch.setattr(power, "run_tool", lambda *command: ran.append(command))
    leave_machine(how)
    assert ran == [(f"/sbin/{program}", "-f")]
