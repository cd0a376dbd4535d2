"""Where a session may connect to, and how much of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.cloud.egress.rules import EgressRules, Level, Pattern
from bailee.cloud.egress.trusted import GROUP_OF, TRUSTED
from bailee.errors import InputError
from bailee.outbound.forwarding.budgets import Budgets, Spending
from bailee.outbound.hosts import read_host

hosts = st.sampled_from(
    [
        "pypi.org",
        "a.pypi.org",
        "evilpypi.org",
        "example.org",
        "a.example.org",
        "1.1.1.1",
        "github.com",
    ]
)
ports = st.sampled_from([22, 25, 80, 443, 8443])
entries = st.lists(
    st.sampled_from(["pypi.org", "*.example.org", "example.org:8443", "*.org", "1.1.1.1"]),
    max_size=3,
)
levels = st.sampled_from(list(Level))


def rule(rules: EgressRules, host: str, port: int = 443) -> tuple[bool, str]:
    """What is decided, and by which rule."""
    verdict = rules.decide(read_host(host), port)
    return verdict.allowed, verdict.rule


@given(levels, entries, entries, hosts, ports)
def test_what_is_denied_is_not_allowed_by_anything(
    level: Level, allow: list[str], deny: list[str], host: str, port: int
) -> None:
    """With any lists and any level, a denied host is denied."""
    rules = EgressRules.of(level, allow=allow, deny=deny)
    if any(pattern.covers(read_host(host), port) for pattern in rules.deny):
        assert not rules.decide(read_host(host), port).allowed


@given(entries, entries, hosts, ports)
def test_each_level_allows_what_the_one_below_does(
    allow: list[str], deny: list[str], host: str, port: int
) -> None:
    """`none` allows nothing; `full` allows whatever `trusted` does."""
    none, trusted, full = (
        EgressRules.of(level, allow=allow, deny=deny).decide(read_host(host), port).allowed
        for level in ("none", "trusted", "full")
    )
    assert not none
    assert full or not trusted


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("pypi.org", 443, (True, "trusted.python")),
        ("PyPI.org.", 443, (True, "trusted.python")),
        ("deb.debian.org", 80, (True, "trusted.debian")),
        ("pypi.org", 22, (False, "port")),
        ("evil-pypi.org", 443, (False, "level.trusted")),
        ("pypi.org.evil.example", 443, (False, "level.trusted")),
        ("a.pypi.org", 443, (False, "level.trusted")),
        ("1.1.1.1", 443, (False, "level.trusted")),
        ("registry.example.org", 8443, (True, "allow:registry.example.org:8443")),
        ("registry.example.org", 443, (False, "level.trusted")),
        ("a.corp.example", 443, (True, "allow:*.corp.example")),
        ("corp.example", 443, (False, "level.trusted")),
        ("a.corp.example", 8443, (False, "port")),
        ("bad.corp.example", 443, (False, "deny:bad.corp.example")),
    ],
)
def test_trusted(host: str, port: int, expected: tuple[bool, str]) -> None:
    """The level `trusted`, with an organisation's lists, case by case."""
    rules = EgressRules.of(
        "trusted",
        allow=["registry.example.org:8443", "*.corp.example"],
        deny=["bad.corp.example"],
    )
    assert expected == rule(rules, host, port)


def test_a_group_can_be_left_out() -> None:
    """An organisation that leaves out `sources` has no source hosts, and the rest."""
    rules = EgressRules.of("trusted", groups=set(TRUSTED) - {"sources"})
    assert (False, "level.trusted") == rule(rules, "github.com")
    assert (True, "trusted.node") == rule(rules, "registry.npmjs.org")


def test_trusted_hosts_are_names_in_their_one_way_of_writing() -> None:
    """Each is an exact name, and in one group."""
    listed = [host for group in TRUSTED.values() for host in group]
    assert len(listed) == len(set(listed)) == len(GROUP_OF)
    assert listed == [read_host(host).name for host in listed]
    assert [] == [host for host in listed if read_host(host).address is not None]


@pytest.mark.parametrize(
    "text", ["", "*", "*.", "*.1.1.1.1", "a/b", "a:0", "http://a", "**.a", "a.*"]
)
def test_what_is_no_entry(text: str) -> None:
    """An entry that would quietly mean something else is refused."""
    with pytest.raises(InputError):
        Pattern.read(text)


@pytest.mark.parametrize(
    "text", ["a.example", "*.a.example", "a.example:1", "[::1]:8080", "1.1.1.1"]
)
def test_an_entry_is_written_as_it_is_read(text: str) -> None:
    """A rule's id repeats the entry that decided."""
    assert text == str(Pattern.read(text))


def test_unknown_words() -> None:
    """An unknown level or group is refused with what there is."""
    with pytest.raises(InputError, match="no network level"):
        EgressRules.of("some")
    with pytest.raises(InputError, match="no group"):
        EgressRules.of("trusted", groups=["pyhton"])


def test_the_rate_of_connections() -> None:
    """A burst, then so many a second; the rest is refused and costs nothing."""
    spending = Spending(Budgets(per_second=2, burst=3))
    assert [None] * 3 + ["budget.rate"] == [spending.connection(0.0) for _ in range(4)]
    assert [None, None, "budget.rate"] == [spending.connection(1.0) for _ in range(3)]
    assert 5 == spending.connections


@given(st.lists(st.floats(0, 5), max_size=60))
def test_never_more_than_burst_and_rate(gaps: list[float]) -> None:
    """However they come, no more connections are let through than burst plus rate times time."""
    spending, now = Spending(Budgets(per_second=2, burst=3)), 0.0
    for gap in gaps:
        now += gap
        spending.connection(now)
    assert spending.connections <= 3 + 2 * now + 1e-6


def test_the_total_and_the_volume() -> None:
    """So many connections in all, so many bytes each way."""
    spending = Spending(Budgets(total=2, sent=100, received=200))
    assert [None, None, "budget.total"] == [spending.connection(0.0) for _ in range(3)]
    spending.sent = 100
    assert spending.over() is None
    spending.sent = 101
    assert "budget.sent" == spending.over()
    spending.sent, spending.received = 0, 201
    assert "budget.received" == spending.over()
