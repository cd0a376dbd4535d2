"""Gateways of their own, each a process, reserve and count on one home on PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from bailee.usage.counts import UsageOf
from bailee.usage.limits import (
    LimitMeasure,
    LimitSpan,
    Scope,
    Subject,
    UsageLimit,
    limit_id,
)
from support.clients import processes
from support.clients.processes import Process
from support.clients.programs import clean_environment
from support.homes.there import There
from support.servers import postgres
from support.servers.postgres_relay import PostgresRelay

pytestmark = pytest.mark.row("O2", "O6")

LONG = 120.0
_PROGRAM = Path(__file__).with_name("gateway_process.py")
TOKENS, MONEY = 20, 216
"""What a request uses, the second in micro-USD; it may use five times as much and more."""


class Gateways:
    """A home that is open here, and gateways beside it."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        self._closing = closing
        server = postgres.shared()
        self.home = There(folder, server.new(), server.new())
        closing.callback(self.home.close)
        self.relay = closing.enter_context(PostgresRelay(self.home.names["BAILEE_DATABASE_URL"]))
        self.account = self.home.account

    def start(self, **names: str) -> Process:
        """One more."""
        made = processes.start(
            str(self.home.folder),
            self.home.clock().isoformat(),
            env=clean_environment(self.home.folder, **{**self.home.names, **names}),
            program=_PROGRAM,
            given=True,
            stderr=2,
        )
        self._closing.callback(made.communicate)
        self._closing.callback(made.kill)
        return made

    def limit(self, person: str, measure: str, amount: int, *asked: Process) -> None:
        """Set one, and wait until these know it."""
        span = LimitSpan.NOW if measure == "concurrency" else LimitSpan.DAY
        whose, of = Subject(Scope.PERSON, person), LimitMeasure(measure)
        limit = UsageLimit(limit_id(whose, of, span), whose, of, span, amount)
        self.home.node.limits.set_limit(limit, self.home.clock(), by="operator")
        for one in asked:
            becomes(one, f"governs {person}", "True")

    def used(self, person: str) -> int:
        """How much of their limit."""
        (found,) = self.home.node.limits.standings(
            [Subject(Scope.PERSON, person)], self.home.clock()
        )
        return found.used

    def do(self, statement: str) -> None:
        """Do something to the data database, as its administrator."""
        at = self.home.names["BAILEE_DATABASE_URL"].rpartition("/")[2]
        postgres.shared().do(statement, at=at)

    def requests(self) -> int:
        """How many are counted in all hours."""
        now = self.home.clock() + timedelta(hours=3)
        found = self.home.node.usage.of(UsageOf(), now - timedelta(days=1), now, (), now)
        return sum(one.requests for one in found)


def tell(process: Process, line: str) -> None:
    """Give it something to do."""
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def says(process: Process) -> str:
    """What it says next."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ask(process: Process, line: str) -> str:
    """What it says of it."""
    tell(process, line)
    return says(process)


def becomes(process: Process, line: str, wanted: str) -> None:
    """Wait until it says that."""
    until = time.monotonic() + LONG
    while (found := ask(process, line)) != wanted:
        assert time.monotonic() < until, f"{line}: {found}"
        time.sleep(0.1)


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[Gateways]:
    """A home."""
    with ExitStack() as closing:
        yield Gateways(tmp_path / "home", closing)


def test_gateways_of_their_own_share_limits_and_add_up(gateways: Gateways) -> None:
    """Under load from forty connections nothing goes over by more than one request; what one
    reserved that is killed is under way until it is gone, and counts then; and what both count in
    an hour and the next is there once.
    """
    both = one, other = gateways.start(), gateways.start()
    assert ["there", "there"] == [says(each) for each in both]

    gateways.limit("last", "tokens", 1 << 30, *both)
    for measure, amount in (("tokens", 4_000), ("requests", 150), ("money", 60_000)):
        gateways.limit(measure, measure, amount, *both)
        assert ["on", "on"] == [ask(each, f"one {measure}") for each in both]
        for each in both:
            tell(each, f"load {measure}")
        admitted = 2 + sum(int(says(each)) for each in both)
        assert ["freed", "freed"] == [ask(each, "free") for each in both]
        used = gateways.used(measure)
        each_uses = {"tokens": TOKENS, "requests": 1, "money": MONEY}[measure]
        assert each_uses * admitted == used < amount + each_uses

    gateways.limit("many", "concurrency", 7, *both)
    for each in both:
        tell(each, "hold many")
    held = [int(says(each)) for each in both]
    assert 7 == sum(held)
    gateways.limit("few", "tokens", 250, *both)
    assert "on" == ask(one, "one few")
    assert "on" != ask(other, "one few")

    one.kill()
    one.wait()
    assert "on" != ask(other, "one many")
    gateways.do("UPDATE usage_gateways SET seen = seen - 61")
    freed = held[0]
    assert freed == int(ask(other, "hold many"))
    assert 250 >= gateways.used("few") > 100  # in full: nobody knows what they used

    third = gateways.start()
    assert "there" == says(third)
    both = other, third
    for hour in (0, 1):
        for each in both:
            assert "so" == ask(each, f"later {hour}")
            tell(each, f"use {gateways.account} none 40")
        assert ["used", "used"] == [says(each) for each in both]
    assert 160 == gateways.requests()


def test_a_gateway_that_is_cut_off(gateways: Gateways) -> None:
    """While nobody can tell it who has a limit, the document decides of everybody; when it is back,
    it goes on, and what was counted meanwhile is written, once.
    """
    gateway = gateways.start(BAILEE_DATABASE_URL=gateways.relay.address)
    assert "there" == says(gateway)
    assert "False" == ask(gateway, "governs nobody")
    assert "on" == ask(gateway, "one nobody")
    gateways.relay.go_away()
    becomes(gateway, "governs nobody", "True")
    assert "usage_unknown" == ask(gateway, "one nobody")
    assert "used" != ask(gateway, f"use {gateways.account} none 3")
    gateways.relay.come_back()
    becomes(gateway, "governs nobody", "False")
    assert "on" == ask(gateway, "one nobody")
    becomes(gateway, "write", "used")
    assert 3 == gateways.requests()
