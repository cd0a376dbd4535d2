"""Which connection stays, which is closed for another, which is turned away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.admission import ConnectionLimits, Connections, address_group


def connections(
    total: int = 4, by_address: int = 3, by_loopback: int = 3, proxy: str = ""
) -> Connections[str]:
    """Connections named by texts; `proxy` is the address of a trusted one."""
    limits = ConnectionLimits(total, by_address, by_loopback)
    return Connections(limits, trusted=lambda address: address == proxy)


def test_while_there_is_room_everybody_is_let_in() -> None:
    """And counted, until closed."""
    held = connections()
    assert [None, None] == [held.opened("a", "192.0.2.1"), held.opened("b", "192.0.2.2")]
    assert (2, 2) == (len(held), held.waiting)
    held.closed("a")
    held.closed("a")
    assert (1, 1) == (len(held), held.waiting)


@pytest.mark.row("G1")
def test_a_full_listener_gives_up_the_one_that_waits_longest() -> None:
    """A request that was admitted keeps its connection, however old."""
    held = connections()
    for name, address in zip("abcd", ("1", "2", "3", "4"), strict=True):
        held.opened(name, address)
    held.admitted("a")
    assert "b" == held.opened("e", "5")
    assert 4 == len(held)


def test_a_connection_waits_from_the_end_of_its_last_request() -> None:
    """Not from when it was opened."""
    held = connections()
    for name, address in zip("abcd", ("1", "2", "3", "4"), strict=True):
        held.opened(name, address)
    held.admitted("a")
    held.waits("a")
    assert ["b", "c", "d", "a"] == [
        held.opened(name, str(number)) for number, name in enumerate("efgh", 5)
    ]


def test_when_none_waits_the_new_one_is_turned_away() -> None:
    """And is not counted."""
    held = connections(total=2)
    for name in "ab":
        held.opened(name, name)
        held.admitted(name)
    assert "c" == held.opened("c", "3")
    assert 2 == len(held)
    held.closed("c")
    assert 2 == len(held)


@pytest.mark.row("G1")
def test_an_address_over_its_share_gives_up_its_own() -> None:
    """Never another's, even when another's waits longer."""
    held = connections(total=9)
    held.opened("other", "192.0.2.9")
    for name in "abc":
        held.opened(name, "192.0.2.1")
    held.admitted("a")
    assert "b" == held.opened("d", "192.0.2.1")
    for name in "cd":
        held.admitted(name)
    assert "e" == held.opened("e", "192.0.2.1")
    assert (4, 1) == (len(held), held.waiting)


def test_an_address_of_one_gives_up_its_only_one() -> None:
    """The new one is counted to the same address all the same."""
    held = connections(by_address=1)
    held.opened("a", "192.0.2.1")
    assert "a" == held.opened("b", "192.0.2.1")
    assert "b" == held.opened("c", "192.0.2.1")
    assert (1, 1) == (len(held), held.waiting)


def test_a_trusted_proxy_is_held_to_the_whole_alone() -> None:
    """Everybody comes from it."""
    held = connections(total=5, by_address=2, proxy="192.0.2.1")
    assert [None] * 5 == [held.opened(name, "192.0.2.1") for name in "abcde"]
    assert "a" == held.opened("f", "192.0.2.1")


def test_this_machine_never_has_all() -> None:
    """Its share is larger than another address's, and smaller than the whole."""
    limits = ConnectionLimits.of(1000, 100)
    assert (1000, 100, 750) == (limits.total, limits.by_address, limits.by_loopback)
    assert ConnectionLimits(1, 1, 1) == ConnectionLimits.of(1, 100)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("127.0.0.1", "::1", True),
        ("127.0.0.1", "127.9.9.9", True),
        ("", "127.0.0.1", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::9", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_what_counts_as_one_address(first: str, second: str, same: bool) -> None:
    """An IPv6 network of /64 is one; a mapped IPv4 address is IPv4; this machine is one."""
    assert same == (address_group(first) == address_group(second))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["open", "admit", "wait", "close", "give up"]),
            st.integers(0, 9),
            st.integers(0, 2),
        ),
        max_size=60,
    )
)
def test_the_count_is_true_and_within_the_limits(steps: list[tuple[str, int, int]]) -> None:
    """Whatever comes in whatever order; who was admitted is never closed for another."""
    held = connections(total=4, by_address=2)
    there: dict[int, tuple[int, bool]] = {}  # address, and whether it waits
    numbered: Connections[int] = Connections(held.limits)
    for what, number, address in steps:
        if what == "open" and number not in there:
            closed = numbered.opened(number, f"192.0.2.{address}")
            if closed != number:
                if closed is not None:
                    assert there.pop(closed)[1]
                there[number] = (address, True)
        elif what == "admit" and number in there:
            numbered.admitted(number)
            there[number] = (there[number][0], False)
        elif what == "wait" and number in there:
            numbered.waits(number)
            there[number] = (there[number][0], True)
        elif what == "close":
            numbered.closed(number)
            there.pop(number, None)
        elif what == "give up" and (given_up := numbered.give_up_one()) is not None:
            assert there.pop(given_up)[1]
        assert (len(there), sum(waits for _, waits in there.values())) == (
            len(numbered),
            numbered.waiting,
        )
        assert len(there) <= 4
        assert all(sum(a == one for a, _ in there.values()) <= 2 for one in range(3))
