"""What documents bound of an organisation's use, at the governor of a home's gateway.

Rows: O2, P1.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

import pytest

from bailee.accounts import OPERATOR
from bailee.api import Api
from bailee.apis.batch_results import BatchUse, ResultsOfModel
from bailee.apis.metering import Metered
from bailee.apis.using import Tokens
from bailee.app.using import UsageMetering, home_of
from bailee.gateway.summary import ExchangeSummary
from bailee.home import Home
from bailee.node import Node
from bailee.policy.holding import InForce, OwnHeld
from bailee.policy.loading import from_bytes
from bailee.usage.asking import UsageAsker, WholeRequest
from bailee.usage.client_shapes import LimitRefusal
from support.clients.asking import perform
from support.documents import HELD, edited

pytestmark = pytest.mark.row("O2", "P1")
NOW = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
TOKENS = Tokens(600, 400, 0, 0, 0, 0)
BOUNDS = """
[[bound]]
id = "bound.tokens-a-day"
heading = "retention"
rows = ["O2"]
of = "tokens_per_day"
at_most = "MOST tokens"
en = "An organisation uses {at_most} a day."
zh = "每个组织每天最多使用 {at_most}。"

[[bound]]
id = "bound.models"
heading = "retention"
rows = ["O2"]
of = "models"
deny = ["claude-opus-*"]
en = "No organisation asks Opus."
zh = "任何组织都不使用 Opus。"
"""
OWN = """
format = "bailee-own-policy/1"

[[bound]]
id = "own.two"
of = "requests_per_day"
at_most = "2 requests"
en = "Of us {at_most} a day."
"""


def document(most: int) -> str:
    """The operator's, with bounds of use."""
    return edited(("\n[dates]\n", BOUNDS.replace("MOST", str(most)) + "\n[dates]\n"))


class Names(TypedDict):
    """An organisation, its account, and a key."""

    organisation: str
    account: str


class Stage:
    """A home with two organisations and their gateway's governor."""

    def __init__(self, folder: Path) -> None:
        self.node = Node.open(Home(folder / "home"), clock=lambda: NOW)
        self.acme: Names = self._made("Acme")
        self.other: Names = self._made("Other")
        self.metering = UsageMetering(home_of(self.node))
        self.metering.start()
        self._asked = 0
        self._since = 0

    def close(self) -> None:
        """End it."""
        self.metering.stop()
        self.node.close()

    def _made(self, name: str) -> Names:
        made = perform(self.node, "organisation.create", {"name": name, "plan": "team"})
        return {"organisation": made["organisation"], "account": made["account"]}

    def holds(self, text: str) -> None:
        """Another document of the operator's does, from an entry of its own."""
        self._since += 1
        self.node.holding.take(InForce(from_bytes(text.encode(), "ours.toml"), self._since))

    def asks(self, whose: Names, model: str = "claude-haiku-4-5", *, own: bool = False) -> str:
        """What becomes of a request: nothing said, or why it is refused; it uses 1,000 tokens."""
        self._asked += 1
        name = f"req_{self._asked}"
        asker = UsageAsker("key_1", "", whose["organisation"], "team")
        governing = self.metering.governing
        if not governing.governs(asker):
            return "ungoverned"
        body = json.dumps({"model": model, "max_tokens": 10, "messages": []}).encode()
        request = WholeRequest(name, asker, Api.MESSAGES, "/v1/messages", body, "", own=own)
        found = asyncio.run(governing.admit(request))
        if isinstance(found, LimitRefusal):
            governing.settle(name, None)
            return found.error.message
        governing.settle(name, Metered(TOKENS, model, estimated=False))
        return ""

    def makes(self, whose: Names, *models: str) -> str:
        """What becomes of having a batch made that asks these: nothing said, or why not."""
        asker = UsageAsker("key_1", "", whose["organisation"], "team")
        asks = [{"custom_id": one, "params": {"model": one}} for one in models]
        body = json.dumps({"requests": asks}).encode()
        path = "/v1/messages/batches"
        request = WholeRequest("req_b", asker, Api.MESSAGES, path, body, "", own=False)
        found = asyncio.run(self.metering.governing.admit(request))
        self.metering.governing.settle("req_b", None)
        return found.error.message if isinstance(found, LimitRefusal) else ""

    def used(self, whose: Names) -> None:
        """A request was counted that no bound was asked about."""
        key, _ = self.node.accounts.create_key(whose["account"], "k", by=OPERATOR)
        self.metering.exchange(
            ExchangeSummary(
                "req_0", NOW.timestamp(), 1.5, whose["account"], key.key_id, "k", "team", "api",
                "POST", "/v1/messages", 200, "complete", 10, 20, None, "", "", conversation=True,
                client="claude-code", metered=Metered(TOKENS, "claude-haiku-4-5", estimated=False),
            )
        )  # fmt: skip
        self.metering.counting.write()

    def fetched(self, whose: Names) -> None:
        """The results of a batch were fetched: two requests' tokens."""
        key, _ = self.node.accounts.create_key(whose["account"], "b", by=OPERATOR)
        of_model = ResultsOfModel("claude-haiku-4-5", 2, 0, 0, Tokens(1200, 800, 0, 0, 0, 0))
        self.metering.exchange(
            ExchangeSummary(
                "req_1", NOW.timestamp(), 1.5, whose["account"], key.key_id, "b", "team", "api",
                "GET", "/v1/messages/batches/b/results", 200, "complete", 10, 20, None, "", "",
                client="claude-code", batch=BatchUse("b", (of_model,)),
            )
        )  # fmt: skip
        self.metering.counting.write()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A home of its own."""
    made = Stage(tmp_path)
    yield made
    made.close()


OVER = "An organisation uses 2500 tokens a day. [bound.tokens-a-day] · resets Nov 30"


def test_a_document_limits_each_organisation_without_a_limit_that_was_set(stage: Stage) -> None:
    """From the next request on, each by itself; what went on the client's own credential is under
    none. Without the bound nobody is asked.
    """
    assert "ungoverned" == stage.asks(stage.acme)
    stage.holds(document(2500))
    assert ["", "", "", OVER] == [stage.asks(stage.acme) for _ in range(4)]
    assert ["", ""] == [stage.asks(stage.other), stage.asks(stage.acme, own=True)]
    stage.holds(HELD)
    assert "ungoverned" == stage.asks(stage.acme)


def test_a_document_is_asked_before_a_batch_is_made(stage: Stage) -> None:
    """Of each model that its requests ask, and whether anything is left; it uses nothing yet."""
    stage.holds(document(2500))
    haiku, opus = "claude-haiku-4-5", "claude-opus-4-5"
    assert ["", "No organisation asks Opus. [bound.models]"] == [
        stage.makes(stage.acme, haiku, haiku), stage.makes(stage.acme, haiku, opus),
    ]  # fmt: skip
    assert "can't be told, and this organisation may" in stage.makes(stage.acme, haiku, "")
    assert [""] * 3 == [stage.asks(stage.acme) for _ in range(3)]
    assert [OVER, ""] == [stage.makes(stage.acme, haiku), stage.makes(stage.other, haiku)]


def test_what_a_batch_used_counts_for_a_document(stage: Stage) -> None:
    """Where its use is being counted already; nobody else's."""
    stage.holds(document(2500))
    assert "" == stage.asks(stage.acme)
    stage.fetched(stage.acme)
    assert [OVER, ""] == [stage.asks(stage.acme), stage.asks(stage.other)]


def test_another_document_counts_what_was_used_before_it(stage: Stage) -> None:
    """Also what was used while none bounded it, between two that did."""
    stage.holds(document(2500))
    assert ["", ""] == [stage.asks(stage.acme) for _ in range(2)]
    stage.holds(HELD)
    for _ in range(3):
        stage.used(stage.acme)
    stage.holds(document(2500))
    assert OVER == stage.asks(stage.acme)
    (shown,) = perform(stage.node, "usage.limits", {"of": stage.acme["organisation"]})
    assert ("document", "bound.tokens-a-day", 2500, 3000) == (
        *(shown["scope"], shown["clause"], shown["amount"], shown["used"]),
    )


def test_a_larger_limit_or_a_wider_list_opens_nothing(stage: Stage) -> None:
    """The document holds; a smaller limit holds as it is."""
    of = stage.acme["organisation"]
    limit = {"measure": "tokens", "per": "day", "of": of}
    stage.holds(document(2500))
    perform(stage.node, "usage.limit", {**limit, "amount": 9000})
    perform(stage.node, "usage.allow", {"models": ["claude-*"], "of": of})
    assert "No organisation asks Opus. [bound.models]" == stage.asks(stage.acme, "claude-opus-4-5")
    assert ["", "", "", OVER] == [stage.asks(stage.acme) for _ in range(4)]
    perform(stage.node, "usage.limit", {**limit, "of": stage.other["organisation"], "amount": 900})
    assert "" == stage.asks(stage.other)
    assert "token limit reached · resets Nov 30" == stage.asks(stage.other)


def test_an_organisations_own_document_limits_itself(stage: Stage) -> None:
    """Beside the operator's, whose models hold too; nobody else."""
    stage.holds(document(90_000))
    stage.node.holding.take_own(stage.acme["organisation"], OwnHeld(OWN.encode(), 9))
    told = [stage.asks(stage.acme) for _ in range(3)]
    assert ["", "", "Of us 2 requests a day. [own.two] · resets Nov 30"] == told
    assert ["", "", ""] == [stage.asks(stage.other) for _ in range(3)]
    assert "No organisation asks Opus. [bound.models]" == stage.asks(stage.acme, "claude-opus-4-5")


def test_what_was_set_beyond_a_document_is_told_now_and_then(stage: Stage) -> None:
    """Before it holds by `policy.try`, and after that by `policy.closed`: limits and lists alike,
    each with its clause.
    """
    acme, other = stage.acme["organisation"], stage.other["organisation"]
    for of, amount in ((acme, 9000), (other, 900)):
        perform(
            stage.node,
            "usage.limit",
            {"measure": "tokens", "per": "day", "of": of, "amount": amount},
        )
    perform(stage.node, "usage.allow", {"models": ["claude-*"], "of": acme})
    perform(stage.node, "usage.allow", {"models": ["claude-haiku-*"], "of": other})
    tried = perform(stage.node, "policy.try", {"document": document(2500)})
    before = perform(stage.node, "policy.closed", {})
    stage.holds(document(2500))
    after = perform(stage.node, "policy.closed", {})
    limit, names = f"organisation:{acme}:tokens:day", f"models:organisation:{acme}"
    assert [] == before
    assert [(limit, None, "bound.tokens-a-day"), (names, None, "bound.models")] == [
        (one["setting"], one["before"], one["after"]) for one in tried["settings"]
    ]
    assert [(limit, "bound.tokens-a-day"), (names, "bound.models")] == [
        (one["setting"], one["by"]) for one in after
    ]
