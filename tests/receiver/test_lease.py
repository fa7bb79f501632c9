from receiver.lease import OUTAGE_LEASE, SENDER_LEASE, Lease


def test_silence_ends_it() -> None:
    lease = Lease(0.0)
    assert not lease.is_over(0.0, SENDER_LEASE - 0.1)
    assert lease.is_over(0.0, SENDER_LEASE)


def test_a_word_or_a_datagram_renews_it() -> None:
    lease = Lease(0.0)
    lease.heard(10.0)
    assert not lease.is_over(0.0, 10.0 + SENDER_LEASE - 0.1)
    assert lease.is_over(0.0, 10.0 + SENDER_LEASE)
    assert not lease.is_over(20.0, 10.0 + SENDER_LEASE)


def test_while_the_broker_is_away_silence_means_less() -> None:
    lease = Lease(0.0)
    lease.control_lost()
    assert not lease.is_over(0.0, OUTAGE_LEASE - 0.1)
    assert lease.is_over(0.0, OUTAGE_LEASE)
    lease.control_restored(OUTAGE_LEASE)
    assert not lease.is_over(0.0, OUTAGE_LEASE + SENDER_LEASE - 0.1)
    assert lease.is_over(0.0, OUTAGE_LEASE + SENDER_LEASE)
