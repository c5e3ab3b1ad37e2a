"""Buckets refill steadily, tables of addresses stay bounded, and proxies that nobody trusts tell nothing."""

from ipaddress import ip_network

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.errors import Invalid, RateLimited
from router_svc.domain.limits import Addresses, Bucket, client_address, network_of, refuse_many_tokens

OURS = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@given(
    per_minute=st.integers(1, 500),
    gaps=st.lists(st.floats(0, 10, allow_nan=False), min_size=1, max_size=200),
)
def test_no_minute_lets_more_through_than_the_bucket_and_its_refill(per_minute: int, gaps: list[float]) -> None:
    bucket, now, taken = Bucket(per_minute), 1_000.0, 0
    for gap in gaps:
        now += gap
        if bucket.wait_s(now) <= 0:
            bucket.take(now)
            taken += 1
    assert taken <= per_minute + (now - 1_000.0) * per_minute / 60 + 1


def test_a_bucket_that_was_emptied_has_one_again_after_its_share_of_a_minute() -> None:
    bucket = Bucket(60)
    for _ in range(60):
        bucket.take(0.0)
    assert bucket.wait_s(0.0) == pytest.approx(1)
    assert bucket.wait_s(1.0) <= 0


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    bucket = Bucket(60)
    bucket.take(1e9)
    assert bucket.wait_s(1_000.0) <= 0


def test_a_table_of_addresses_stays_bounded_and_forgets_who_asked_longest_ago() -> None:
    table = Addresses(1, most=3)
    table.admit("10.0.0.1", 0)
    for last in range(2, 5):
        table.admit(f"10.0.0.{last}", 0)
    assert len(table) == 3
    table.admit("10.0.0.1", 0)
    with pytest.raises(RateLimited):
        table.admit("10.0.0.4", 0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("no address", "no address", True),
    ],
)
def test_addresses_of_one_customer_share_a_bucket(one: str, other: str, *, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("203.0.113.9", "1.1.1.1", "203.0.113.9"),  # whoever is no proxy of ours can write what he likes
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.7", "203.0.113.9"),
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, <script>", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("unknown", "1.1.1.1", "unknown"),
    ],
)
def test_the_client_is_the_last_address_that_is_none_of_ours(peer: str, forwarded_for: str | None, client: str) -> None:
    assert client_address(peer, forwarded_for, trusted=OURS) == client
    assert client_address(peer, forwarded_for, trusted=()) == peer


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_a_key_with_a_limit_of_tokens_gets_no_longer_answers(name: str) -> None:
    refuse_many_tokens({name: msgspec.Raw(b"100")}, most=100)
    refuse_many_tokens({name: msgspec.Raw(b"null")}, most=100)
    with pytest.raises(Invalid):
        refuse_many_tokens({name: msgspec.Raw(b"101")}, most=100)
