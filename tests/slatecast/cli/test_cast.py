import pytest

from broadcaster.report import SeatReport, SessionReport
from protocol.link.interfaces import InterfaceInfo
from protocol.link.mqtt import BrokerAddress
from slatecast.cli import cast as module
from slatecast.cli.cast import exit_code, say_what_failed

LOOPBACK = InterfaceInfo("lo", 1, "127.0.0.1", "::1", 65_536, None, True, False)
WIRED = InterfaceInfo("eth0", 2, "192.0.2.7", None, 1500, 1_000_000_000, False, False)
OTHER = InterfaceInfo("eth1", 3, "198.51.100.7", None, 1500, 1_000_000_000, False, False)


def report(*outcomes: str) -> SessionReport:
    return SessionReport(
        session="7" * 16,
        image="lab",
        version=1,
        stored_bytes=1,
        seconds=1.0,
        end_reason="",
        bytes_on_wire=1,
        catch_up_bytes=0,
        datagrams_sent=1,
        repair_datagrams=0,
        rate_bits_per_second=1,
        seats=[
            SeatReport(
                seat=f"seat-{number}",
                receiver="",
                outcome=outcome,
                reason="" if outcome == "verified" else "some reason",
                seconds=1.0,
                bytes_received=1,
                catch_up_bytes=0,
                loss_ratio=0.0,
                repaired=0,
                verified=outcome == "verified",
            )
            for number, outcome in enumerate(outcomes, start=1)
        ],
    )


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (["verified"], 0),
        (["verified", "verified"], 0),
        (["refused"], 3),
        (["absent", "absent"], 3),
        (["refused", "absent"], 3),
        (["verified", "absent"], 4),
        (["verified", "refused"], 4),
        (["lost"], 4),
        (["stalled"], 4),
        (["failed", "refused"], 4),
        (["aborted"], 4),
        (["verified", "lost", "damaged"], 5),
        (["verified", "incomplete"], 5),
        (["lost", "incomplete"], 5),
    ],
)
def test_exit_code(outcomes: list[str], code: int) -> None:
    assert exit_code(report(*outcomes)) == code


def test_what_failed_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say_what_failed(report("verified"))
    assert capsys.readouterr() == ("", "")
    say_what_failed(report("verified", "lost", "absent"))
    assert capsys.readouterr().err == (
        "slatecast: 2 of 3 seats are not verified: seat-2 lost (some reason); seat-3 absent (some reason)\n"
    )


@pytest.mark.parametrize(
    ("name", "broker", "chosen"),
    [
        (None, None, WIRED),
        (None, "192.0.2.1", WIRED),
        (None, "broker.example", OTHER),
        (None, "localhost", WIRED),
        ("lo", None, LOOPBACK),
        ("lo", "broker.example", LOOPBACK),
    ],
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_without_a_name_the_interface_leads_to_the_broker_as_at_a_receiver(
    monkeypatch: pytest.MonkeyPatch, name: str | None, broker: str | None, chosen: InterfaceInfo
) -> None:
    """On a machine with two networks: the default route leads through eth0, a broker elsewhere through eth1."""
    routes = {"192.0.2.1": WIRED, "broker.example": OTHER, "localhost": LOOPBACK}

    def resolve(name: str | None = None, *, towards: str | None = None) -> InterfaceInfo:
        return LOOPBACK if name == "lo" else routes[towards] if towards else WIRED

    monkeypatch.setattr(module, "resolve_interface", resolve)
    assert module._resolve_interface(name, BrokerAddress(broker) if broker else None) == chosen
