"""How often logins may be tried."""

from collections.abc import Iterable

import pytest

from dashboards.access.limits import TRIES_PER_ACCOUNT, TRIES_PER_ADDRESS, LoginLimits, TooManyTriesError


def tries(limits: LoginLimits, addresses: Iterable[str], accounts: Iterable[str]) -> int:
    """How many are let through."""
    count = 0
    for address, account in zip(addresses, accounts, strict=False):
        try:
            limits.count(address, account)
        except TooManyTriesError:
            return count
        count += 1
    return count


def many(text: str) -> list[str]:
    return [text.format(number) for number in range(200)]


def test_per_address() -> None:
    limits = LoginLimits()
    assert tries(limits, many("192.0.2.1"), many("name{}")) == TRIES_PER_ADDRESS
    limits.count("192.0.2.2", "name0")


def test_per_account_from_many_addresses() -> None:
    assert tries(LoginLimits(), many("192.0.2.{}"), many("ada")) == TRIES_PER_ACCOUNT


@pytest.mark.parametrize("address", ["2001:db8::{:x}", "fe80::{:x}%eth0", "::ffff:192.0.2.1", "no address {}"])
def test_a_network_of_one_machine_counts_as_one(address: str) -> None:
    assert tries(LoginLimits(), many(address), many("name{}")) == TRIES_PER_ADDRESS


def test_other_networks_do_not() -> None:
    assert tries(LoginLimits(), many("2001:db8:0:{:x}::1"), many("name{}")) == 200


def test_a_stranger_cannot_lock_an_operator_out_of_the_usual_place() -> None:
    limits = LoginLimits()
    limits.remember("192.0.2.1", "ada")
    tries(limits, many("198.51.100.{}"), many("ada"))
    limits.count("192.0.2.1", "ada")
    with pytest.raises(TooManyTriesError, match="wait five minutes"):
        limits.count("192.0.2.2", "ada")
