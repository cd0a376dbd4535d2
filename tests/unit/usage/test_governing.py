"""Whose requests have to be admitted: a look into memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

import pytest

from bailee.api import Api
from bailee.clock import system_clock
from bailee.db.versions import BOUND
from bailee.errors import StorageError
from bailee.testing.clock import FakeTicks
from bailee.usage.asking import UsageAsker, WholeRequest
from bailee.usage.client_shapes import LimitRefusal
from bailee.usage.governing import Governing
from bailee.usage.limits import Scope, Subject
from bailee.usage.prices import PriceTable
from bailee.usage.reserving import UsageReservations

ADA = UsageAsker("key_a", "ada", "acme", "team")
BOB = UsageAsker("key_b", "bob", "", "team")


@dataclass
class _Of:
    subject: object
    scope: str = ""
    models: tuple[str, ...] = ()


@dataclass
class Store:
    """Says what is set; `version` grows with each change."""

    version: int = 0
    limited: list[_Of] = field(default_factory=list)
    listed: list[_Of] = field(default_factory=list)

    def limits(self) -> list[_Of]:
        """The limits."""
        return self.limited

    def lists(self) -> list[_Of]:
        """The lists of models."""
        return self.listed

    def stay(self) -> None:
        """It is there."""


class NoPrices:
    """A table with no model in it."""

    dearest = None

    def of(self, _model: str) -> None:
        """None is known."""


@dataclass
class Teams:
    """Says who is in which team."""

    version: int = 0
    known: dict[tuple[str, str], str] = field(default_factory=dict)

    def teams(self) -> dict[tuple[str, str], str]:
        """By organisation and person."""
        return dict(self.known)


def test_who_has_a_limit_or_a_list_is_governed_from_when_it_is_set() -> None:
    """Nobody else is; and while what is set was not read yet, everybody."""
    store, teams = Store(), Teams()
    governing = Governing(
        cast(UsageReservations, store),
        cast(PriceTable, None),
        system_clock,
        teams,
        serves_unknown=lambda _: False,
    )

    def governed() -> list[bool]:
        return [governing.governs(one) for one in (ADA, BOB, ADA)]

    assert [True] * 3 == governed()
    governing._look()
    assert [False] * 3 == governed()
    store.limited.append(_Of(Subject(Scope.PERSON, "ada")))
    store.version += 1
    assert [True] * 3 == governed()
    governing._look()
    assert [True, False, True] == governed()
    store.limited.clear()
    store.listed.append(_Of("team", "plan"))
    store.version += 1
    governing._look()
    assert [True] * 3 == governed()
    store.listed.clear()
    store.limited[:] = [_Of(Subject(Scope.TEAM, "acme/apps"))]
    store.version += 1
    governing._look()
    assert [False] * 3 == governed()
    teams.known["acme", "ada"] = "apps"
    teams.version += 1
    assert [True] * 3 == governed()
    governing._look()
    assert [True, False, True] == governed()


@pytest.mark.row("G1")
def test_nobody_waits_for_anothers_long_requests_to_be_read() -> None:
    """Three dense ones came before; who asks a small thing is told first."""
    store = Store(listed=[_Of("team", "plan", ("m",))])
    governing = Governing(
        cast(UsageReservations, store),
        cast(PriceTable, None),
        system_clock,
        Teams(),
        serves_unknown=lambda _: False,
    )
    told: list[str] = []

    async def ask(asker: UsageAsker, body: bytes) -> None:
        request = WholeRequest("r", asker, Api.MESSAGES, "/v1/messages", body, "", own=False)
        assert b"" == await governing.admit(request)
        told.append(asker.person)

    async def work() -> None:
        dense = b'{"model":"m","messages":[' + b'{"role":"user"},' * 9_000 + b"0]}"
        small = b'{"model":"m","messages":[]}'
        await asyncio.gather(*(ask(BOB, dense) for _ in range(3)), ask(ADA, small))

    governing.start()
    try:
        asyncio.run(work())
    finally:
        governing.stop()
    assert ["ada", "bob", "bob", "bob"] == told


def test_while_the_store_is_away_an_organisations_own_document_is_asked() -> None:
    """Of two that have limits, the one that demands it is refused, and the other is served."""

    class Away(Store):
        def work(self, *_: object) -> object:
            raise StorageError("the limits can't be read.")

    store = Away(limited=[_Of(Subject(Scope.EVERYBODY, ""))])
    governing = Governing(
        cast(UsageReservations, store),
        cast(PriceTable, NoPrices()),
        system_clock,
        Teams(),
        serves_unknown=lambda organisation: organisation != "strict",
    )

    async def ask(organisation: str) -> bytes | LimitRefusal:
        asker = UsageAsker("key", "ada", organisation, "team")
        body = b'{"model":"m","messages":[]}'
        return await governing.admit(
            WholeRequest("r", asker, Api.MESSAGES, "/v1/messages", body, "", own=False)
        )

    async def both() -> list[bytes | LimitRefusal]:
        return [await ask("strict"), await ask("other")]

    governing.start()
    try:
        strict, other = asyncio.run(both())
    finally:
        governing.stop()
    assert isinstance(strict, LimitRefusal)
    assert "usage_unknown" == strict.error.code
    assert b"" == other


@pytest.mark.parametrize("alone", [False, True])
def test_what_is_known_is_gone_by_while_it_is_confirmed(alone: bool) -> None:
    """Who has no limit is nobody's to say after ten seconds without a look: the document decides of
    everybody. Where no other process can have set one, what is known is true.
    """
    moment = FakeTicks()
    governing = Governing(
        cast(UsageReservations, Store()),
        cast(PriceTable, None),
        system_clock,
        Teams(),
        serves_unknown=lambda organisation: organisation != "strict",
        is_alone=lambda: alone,
        ticks=moment,
    )

    def asked(organisation: str) -> str:
        asker = UsageAsker("key", "ada", organisation, "team")
        if not governing.governs(asker):
            return "none to ask"
        request = WholeRequest("r", asker, Api.MESSAGES, "/v1/messages", b"{}", "", own=False)
        found = asyncio.run(governing.admit(request))
        return found.error.code if isinstance(found, LimitRefusal) else "on"

    governing._look()
    moment.seconds += BOUND - 1
    assert ["none to ask"] * 2 == [asked("strict"), asked("other")]
    moment.seconds += 2
    wanted = ["none to ask", "none to ask"] if alone else ["usage_unknown", "on"]
    assert wanted == [asked("strict"), asked("other")]
    governing._look()
    assert "none to ask" == asked("strict")


@pytest.mark.row("O2")
@pytest.mark.parametrize("own", [False, True])
def test_a_batch_asks_every_model_of_its_requests(own: bool) -> None:
    """One that is not listed is enough to refuse it, and so is one that can't be told, on whoever's
    credential: a list is of models, and not of money.
    """
    store = Store(listed=[_Of("team", "plan", ("m", "n-*"))])
    governing = Governing(
        cast(UsageReservations, store),
        cast(PriceTable, NoPrices()),
        system_clock,
        Teams(),
        serves_unknown=lambda _: False,
    )

    async def ask(target: str, body: str) -> tuple[str, str]:
        request = WholeRequest("r", BOB, Api.MESSAGES, target, body.encode(), "", own=own)
        found = await governing.admit(request)
        if isinstance(found, LimitRefusal):
            return found.error.code, found.error.message
        return "", found.decode()

    def batch(*models: str) -> str:
        named = ",".join(f'{{"params":{{"model":"{one}"}}}}' for one in models)
        return f'{{"requests":[{named}]}}'

    async def work() -> list[tuple[str, str]]:
        messages = "/v1/messages/batches"
        return [
            await ask(messages, batch("m", "n-1")),
            await ask(messages, batch("m", "o")),
            await ask(messages, batch("m") * 2),
            await ask("/v1/batches", '{"input_file_id":"f","model":"m"}'),
            await ask(messages, batch(*["m"] * 2_000)),
        ]

    governing.start()
    try:
        found = asyncio.run(work())
    finally:
        governing.stop()
    unread = (
        "model_not_allowed",
        "Which models the requests of this batch ask can't be told, and this plan may ask some "
        "models only.",
    )
    other = "The model o is not among those that this plan may ask."
    assert [("", ""), ("model_not_allowed", other), unread, unread, ("", "")] == found
