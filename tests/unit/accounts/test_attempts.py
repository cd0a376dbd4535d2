"""How long one has to wait, and what of an address counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bailee.accounts.attempts import LONGEST_WAIT, network, wait

KINDS = st.sampled_from(["email", "address", "sign-up"])


@given(KINDS, st.integers(0, 10_000))
def test_more_failures_never_wait_less(kind: str, failures: int) -> None:
    """And never longer than the longest."""
    assert wait(kind, failures) <= wait(kind, failures + 1) <= LONGEST_WAIT


@given(KINDS)
def test_enough_failures_wait_longest(kind: str) -> None:
    """The limit is reached."""
    assert LONGEST_WAIT == wait(kind, 60)


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_addresses_of_one_subscriber_count_as_one(address: object, host: int) -> None:
    """Of IPv6 the first 64 bits: one customer has all the rest."""
    first = int(address) >> 64 << 64  # type: ignore[call-overload]
    from ipaddress import IPv6Address

    assert network(str(IPv6Address(first | 1 << 63))) == network(
        str(IPv6Address(first | 1 << 63 | host >> 1))
    )


def test_an_address_is_the_same_however_it_is_written() -> None:
    """Mapped IPv4 is IPv4; what is no address counts as it is."""
    assert "192.0.2.7" == network("::ffff:192.0.2.7")
    assert "2001:db8::/64" == network("2001:0DB8:0:0::9")
    assert "testclient" == network("testclient")
