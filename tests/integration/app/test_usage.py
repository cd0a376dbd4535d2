"""Whose use is shown to whom, and what becomes of counts: by time, by an erasure.

Rows: O2, R6.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee.accounts import OPERATOR
from bailee.apis.metering import Metered
from bailee.apis.using import Tokens
from bailee.app.signing_in import settings_of
from bailee.app.using import UsageMetering, home_of
from bailee.errors import InputError
from bailee.gateway.summary import ExchangeSummary
from bailee.home import Home
from bailee.node import Node
from bailee.operations import usage
from bailee.operations.asks import Via, asked_by
from bailee.operations.table import perform
from bailee.usage.asking import UsageAsker
from bailee.usage.counts import UsageOf
from bailee.usage.limits import LimitMeasure, LimitSpan
from support.clients import asking

NOW = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
TOKENS = Tokens(1000, 2000, 10, 20, 30, 5)


def summary(owner: str, key_id: str, model: str = "claude-haiku-4-5-20251001") -> ExchangeSummary:
    """An exchange that is over."""
    return ExchangeSummary(
        "req_1", NOW.timestamp(), 1.5, owner, key_id, "k", "pro", "api", "POST", "/v1/messages",
        200, "complete", 10, 20, None, "", "", client="claude-code", conversation=True,
        metered=Metered(TOKENS, model, estimated=False),
    )  # fmt: skip


class Stage:
    """A home with Mia and Ann in Acme, and what each used, by a key of Acme's and of their own."""

    def __init__(self, folder: Path) -> None:
        self.node = Node.open(Home(folder / "home"), clock=lambda: NOW)
        self.people = {
            name: self.operator("person.create", email=f"{name}@x.example", plan="pro")
            for name in ("mia", "ann", "eve")
        }
        self.acme = self.operator("organisation.create", name="Acme", plan="team")
        for name, role in (("mia", "member"), ("ann", "admin")):
            self.operator(
                "organisation.member", organisation=self.acme["organisation"],
                person=self.people[name]["person"], role=role,
            )  # fmt: skip
        metering = UsageMetering(home_of(self.node))
        for name in ("mia", "ann"):
            own = self.people[name]
            self._uses(metering, own["account"], own["key"])
            made = self.operator(
                "key.create", name="of acme", organisation=self.acme["organisation"],
                person=own["person"],
            )  # fmt: skip
            self._uses(metering, self.acme["account"], made["key"])

    def _uses(self, metering: UsageMetering, account: str, secret: str) -> None:
        found = self.node.accounts.authenticate(secret.encode())
        assert found is not None
        metering.exchange(summary(account, found[0].key_id))
        metering.counting.write()

    def operator(self, operation: str, /, **values: object) -> Any:
        """What the operator asks."""
        return perform(self.node, operation, values, by=OPERATOR)

    def rows(self, who: str, by: tuple[str, ...], of: str | None = None) -> list[tuple[str, int]]:
        """What somebody is shown: groups, and requests."""
        actor = self.node.registry.authority.by_key(self.people[who]["key"])
        found = usage.show(asked_by(self.node, actor, Via.API), self.node, by=by, of=of)
        return [("/".join(row.group.values()), row.requests) for row in found.rows]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A home of its own."""
    made = Stage(tmp_path)
    yield made
    made.node.close()


def test_everybody_sees_what_is_theirs(stage: Stage) -> None:
    """A person their own, an admin their organisation's by person, the operator all."""
    mia, ann = stage.people["mia"]["person"], stage.people["ann"]["person"]
    of = stage.acme["organisation"]
    assert [("claude-haiku-4-5", 2)] == stage.rows("mia", ("model",))
    assert sorted([(mia, 1), (ann, 1)]) == stage.rows("ann", ("person",), of)
    assert [] == stage.rows("eve", ("model",))
    for who, whose in (("mia", of), ("mia", ann), ("eve", stage.people["mia"]["account"])):
        with pytest.raises(InputError) as refused:
            stage.rows(who, ("day",), whose)
        assert refused.value.code in ("forbidden", "not_found")
    (row,) = stage.operator("usage.show", by=["channel"])["rows"]
    assert ("api", 4) == (row["group"]["channel"], row["requests"])
    # 1000 x 1 + 2000 x 5 + 10 x 0.10 + 20 x 1.25 + 30 x 2 micro-dollars, four times
    assert 4 * 11_086 == row["cost_micro_usd"]


def test_an_erased_person_is_a_total_without_a_name(stage: Stage) -> None:
    """After an erasure their counts are there, and name neither them nor their keys."""
    mia = stage.people["mia"]
    stage.node.limits.set_limit(
        usage._made(
            usage.Subject(usage.Scope.PERSON, mia["person"]), LimitMeasure.TOKENS, LimitSpan.DAY, 9
        ),
        NOW,
        by="operator",
    )
    stage.operator("person.erase", id=mia["person"])

    rows = stage.operator("usage.show", by=["person", "account", "key"])["rows"]
    told = str(rows)
    assert 4 == sum(row["requests"] for row in rows)
    assert mia["person"] not in told and mia["account"] not in told
    assert [] == stage.node.limits.limits()
    assert 1 == sum(row["requests"] for row in rows if not row["group"]["account"])


def test_counts_go_when_their_time_is_past(stage: Stage) -> None:
    """Thirteen months after its hour a count is told no more, and the sweep removes it."""
    counts, later = stage.node.usage, NOW + timedelta(days=397)
    assert [] == counts.of(UsageOf(), NOW - timedelta(days=1), NOW + timedelta(days=1), (), later)
    assert {"usage_hours": 0} == counts.sweep(NOW + timedelta(days=390))
    assert {"usage_hours": 4} == counts.sweep(later)


def test_a_new_limit_counts_what_was_used_before_it(stage: Stage) -> None:
    """So that setting one at noon does not give the morning back. One by the minute counts from
    now on: what is counted by the hour says nothing of it.
    """
    ann, mia = (stage.people[name]["person"] for name in ("ann", "mia"))
    minute = stage.operator("usage.limit", measure="tokens", amount=10**6, per="minute", of=ann)
    assert 0 == minute["used"]
    made = stage.operator("usage.limit", measure="money", amount=10**6, per="day", of=mia)
    assert 2 * 11_086 == made["used"]
    (told,) = stage.operator("usage.limits", of=mia)
    assert ("person", mia, "money", "day") == tuple(
        told[name] for name in ("scope", "subject", "measure", "per")
    )
    document = usage.usage_for_client(stage.node, UsageAsker("", mia, "", "pro"), NOW)
    assert {"monthly_limit": 100, "used_credits": 2} == {
        name: document["extra_usage"][name]  # type: ignore[index]
        for name in ("monthly_limit", "used_credits")
    }


def test_a_client_is_told_the_models_that_every_list_allows(stage: Stage) -> None:
    """A plan's list with an open end does not hide which of them an organisation may ask."""
    found = stage.node.accounts.authenticate(stage.people["mia"]["key"].encode())
    assert found is not None
    account = stage.node.accounts.get(stage.acme["account"])
    given = settings_of(stage.node)
    wide, narrow = ["claude-haiku-*", "claude-opus-4-5"], ["claude-haiku-4-5", "claude-sonnet-4-5"]
    stage.operator("usage.allow", of="team", models=wide)
    stage.operator("usage.allow", of=stage.acme["organisation"], models=narrow)
    told = given(found[0], account)
    for of in ("team", stage.acme["organisation"]):
        stage.operator("usage.allow", of=of, models=[])
    freed = given(found[0], account)
    assert told is not None and freed is not None
    assert (["claude-haiku-4-5"], True) == (told["availableModels"], told["enforceAvailableModels"])
    assert "availableModels" not in freed


@pytest.mark.row("T3")
def test_a_client_tells_its_person_of_an_open_choice(stage: Stage) -> None:
    """At each start, until they have chosen; nobody's who works on their organisation's terms."""
    node, mia = stage.node, stage.people["mia"]
    given = settings_of(node, "https://console.test")

    def told(account: str) -> object:
        found = node.accounts.authenticate(mia["key"].encode())
        assert found is not None
        return (given(found[0], node.accounts.get(account)) or {}).get("companyAnnouncements")

    before, at_work = told(mia["account"]), told(stage.acme["account"])
    asking.perform(node, "privacy.choose", {"choice": "refused", "key": mia["key"]})
    after = told(mia["account"])

    assert isinstance(before, list) and len(before) == 1
    assert "https://console.test/privacy" in before[0]
    assert (None, None) == (at_work, after)
