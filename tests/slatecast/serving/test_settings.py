from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ConfigError
from slatecast.serving.settings import MAX_FILE_LENGTH, Settings, rate_in_bits, read_settings


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "slatecast.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_no_file_is_the_defaults(tmp_path: Path) -> None:
    assert read_settings(None) == read_settings(written(tmp_path, "")) == Settings()
    assert (Settings().console.port, Settings().broker.port, Settings().broadcaster.port) == (8443, 8883, 8884)
    assert Settings().console.https
    assert not Settings().console.metrics


def test_what_is_overridden_comes_first(tmp_path: Path) -> None:
    file = written(tmp_path, '[broadcaster]\ninterface = "eth1"\nrate = "900M"\n[console]\nport = 9443\n')
    settings = read_settings(file, {"broadcaster": {"interface": "lo"}, "console": {"https": False}})
    assert (settings.broadcaster.interface, settings.broadcaster.rate) == ("lo", "900M")
    assert (settings.console.port, settings.console.https) == (9443, False)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("prot = 1", "'prot' is no section here; there are broadcaster, broker, console, notices, boot"),
        ("[broker]\nprot = 1", "[broker]: 'prot' is no key here; there are port, address, ca_file"),
        ("[broker]\nport = 0", "[broker] port: expected a whole number >= 1"),
        ("[broker]\nport = 65536", "[broker] port: expected a whole number <= 65535"),
        ("[broker]\nport = '8883'", "[broker] port: expected a whole number, got a text"),
        ("[console]\nhttps = 1", "[console] https: expected true or false, got a whole number"),
        ("broker = 3", "[broker]: expected a table, got a whole number"),
        ("[broadcaster]\nrate = 1.5", "[broadcaster] rate: expected a text or a whole number, got a number with a"),
        ("[broadcaster]\nrate = '9 bananas'", "[broadcaster] rate: '9 bananas' is not a rate: write 900M"),
        ("[broadcaster]\nrate = -1", "[broadcaster] rate: '-1' is not a rate"),
        ("[broadcaster]\nrate = 900", "[broadcaster] rate: '900' is only 900 bit/s: write 900M"),
        ("[broadcaster]\nrate = '2G'\nmax_rate = '1G'", "[broadcaster] max_rate: rate 2G is more than 1G: lower"),
        ("[broadcaster]\ntoken = 'abc'", "[broadcaster] token: a token has 4 to 128 characters"),
        ("[broadcaster]\ntoken = 'abcde'\ntoken_file = 'x'", "[broadcaster] token: there is a token_file as well"),
        ("[broadcaster]\nlibrary = 'a\\u0000'".replace("'", '"'), "expected a text without control characters"),
        ("[broker]\naddress = 'http://x'", "[broker] address: broker http://x: the scheme must be mqtt or mqtts"),
        ("[broker]\nca_file = 'x'", "[broker] ca_file: it belongs to an address that begins with mqtts://"),
        ("[console]\nport = 8884", "[console] port: broadcaster, broker, console, metrics and boot need ports"),
        ("[boot]\nrange = '10.0.4.200-10.0.4.220'", "[boot] range: with dhcp 'proxy' no address is given away"),
        ("[boot]\ndhcp = 'full'", "[boot] range: dhcp 'full' needs a range of addresses"),
        ("[boot]\ndhcp = 'reserved'\nrange = '10.0.4.2'", "[boot] range: '10.0.4.2' is no range of addresses"),
        ("[notices]\nwebhooks = ['ftp://x']", "[notices] webhooks[0]: expected an address like https://host/path"),
        ("[notices]\nwebhook_secret_file = 'x'", "[notices] webhook_secret_file: there are no webhooks that it could"),
        ("[notices]\nmail_to = ['x']", "[notices] mail_to[0]: expected an address like name@host"),
        ("[notices]\nmail_to = ['x@y']", "[notices] smtp_host: mail needs smtp_host, mail_from and mail_to together"),
        ("[notices]\nsmtp_user = 'x'", "[notices] smtp_host: smtp_user and smtp_password_file belong together"),
        ("[console", "not TOML: "),
        ("[broker]\nport = 1\nport = 2", "not TOML: "),
        (b"\xff", "not TOML: "),
        ("x" * (MAX_FILE_LENGTH + 1), "so it is no configuration"),
        ("[" * 50_000, "not TOML: "),
        (f"'{'a' * 100_000}\\u001b[31m' = 1".replace("'", '"'), "is no section here"),
    ],
)
def test_a_fault_is_one_short_line_with_file_and_key(tmp_path: Path, text: str | bytes, fault: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        read_settings(file)
    said = str(refused.value)
    assert said.startswith(f"{file}: ")
    assert fault in said
    assert said.isprintable()
    assert len(said) < len(str(file)) + 300


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml: No such file or directory; 'slatecast config init'"):
        read_settings(tmp_path / "nothing.toml")


def test_a_broker_elsewhere_takes_no_port_here(tmp_path: Path) -> None:
    read_settings(written(tmp_path, "[broker]\nport = 8884\naddress = 'mqtts://10.0.4.2'\nca_file = 'x'"))


@pytest.mark.parametrize(("rate", "bits"), [("", None), ("900M", 900_000_000), (1_500_000, 1_500_000)])
def test_rates(rate: str | int, bits: int | None) -> None:
    assert rate_in_bits(rate) == bits


@given(st.binary(max_size=200) | st.text("[]\"'=.\n abport1brokerconsole", max_size=200).map(str.encode))
def test_any_file_is_settings_or_one_line(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = written(tmp_path_factory.getbasetemp(), data)
    try:
        assert isinstance(read_settings(file), Settings)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
