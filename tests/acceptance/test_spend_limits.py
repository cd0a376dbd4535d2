"""The vendor's own SDK sets limits for each member at the gateway's address, and they hold.

Rows: O2.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import pytest

from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import Bailee

HAIKU = "claude-haiku-4-5-20251001"
USED = {"input_tokens": 1000, "output_tokens": 2000}  # 1.1 cents on the shipped list
SPEND = "/v1/organizations/spend_limits"


@dataclass
class Firm:
    """A server with two organisations: in Acme Ann is admin, and Mia and Ian are members; Eve is
    Other's. `keys`: of each, for their organisation; of the operator's, for the API.
    """

    bailee: Bailee
    upstream: ScriptedUpstream
    gateway: str
    acme: str
    other: str
    people: dict[str, str]
    keys: dict[str, str]

    def limits(self, who: str, **more: Any) -> Any:
        """The SDK's spend limits, asked by somebody."""
        client = anthropic.Anthropic(
            base_url=self.gateway, api_key=self.keys[who], max_retries=0, **more
        )
        return client.beta.organization.spend_limits

    def ask(self, who: str) -> tuple[int, dict[str, str], str]:
        """One request to the model: its status, fields and error."""
        body = {"model": HAIKU, "max_tokens": 9, "messages": [{"role": "user", "content": "pears"}]}
        head = {"x-api-key": self.keys[who], "content-type": "application/json"}
        request = urllib.request.Request(
            self.gateway + "/v1/messages", json.dumps(body).encode(), head
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, dict(response.headers), ""
        except urllib.error.HTTPError as error:
            said = json.loads(error.read())["error"]
            return error.code, dict(error.headers), f"{said['type']}: {said['message']}"

    def raw(
        self, who: str | None, method: str, path: str, body: bytes | None = None, **fields: str
    ) -> tuple[int, dict[str, str], Any]:
        """A request as it is written."""
        head = {name.replace("_", "-"): value for name, value in fields.items()}
        if who is not None:
            head["x-api-key"] = self.keys[who]
        request = urllib.request.Request(self.gateway + path, body, head, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, dict(response.headers), json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), json.loads(error.read())


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    """One for all."""
    bailee = Bailee(tmp_path_factory.mktemp("firm"))
    answer = Text("plums", usage=USED)
    with ScriptedUpstream(tools_only=False, after=answer, aside=answer) as upstream:
        bailee.declare(upstream.url)
        ready = bailee.up(env={"BAILEE_USAGE_ASK_AT": "https://a.b"})
        of = {
            name: bailee.json("organisation", "create", name, "--plan", "enterprise")
            for name in ("Acme", "Other")
        }
        acme, other = (of[name]["organisation"] for name in ("Acme", "Other"))
        people, keys = {}, {}
        for name, where, role in (
            ("ann", acme, "admin"), ("mia", acme, "member"), ("ian", acme, "member"),
            ("eve", other, "owner"),
        ):  # fmt: skip
            email = f"{name}@x.example"
            people[name] = bailee.json("person", "create", "--email", email)["person"]
            bailee.json("organisation", "member", "add", where, email, "--role", role)
            keys[name] = bailee.json(
                "key", "create", "--organisation", where, "--person", email, "--name", name
            )["key"]
        bailee.json("person", "create", "--email", "root@x.example", "--plan", "pro", "--operator")
        keys["root"] = bailee.json(
            "key", "create", "--person", "root@x.example", "--name", "api", "--operator"
        )["key"]
        yield Firm(bailee, upstream, ready["gateway"], acme, other, people, keys)
        bailee.close()


def test_the_sdk_sets_shows_and_removes_what_each_member_may_spend(firm: Firm) -> None:
    """By the admin's own key, for a member and nobody else's organisation; as `bailee limits` sees
    it, and as the audit record has it.
    """
    limits, mia = firm.limits("ann"), firm.people["mia"]
    each = firm.raw(
        "ann", "POST", SPEND,
        json.dumps({"scope": {"type": "organization"}, "amount": "5000", "period": "monthly"})
        .encode(),
    )[2]  # fmt: skip
    team = {"type": "rbac_group", "rbac_group_id": "apps"}
    of_team = firm.raw(
        "ann",
        "POST",
        SPEND,
        json.dumps({"scope": team, "amount": None, "period": "daily"}).encode(),
    )[2]
    made = limits.set(scope={"type": "user", "user_id": mia}, amount="700")
    changed = limits.set(
        scope={"type": "user", "user_id": "mia@x.example"}, amount="900", period="monthly"
    )
    assert (made.id, made.created_at) == (changed.id, changed.created_at)
    assert ("900", "USD", "monthly", mia) == (
        changed.amount, changed.currency, changed.period, changed.scope.user_id,
    )  # fmt: skip
    assert changed == limits.retrieve(changed.id)
    assert {"apps"} == {of_team["scope"]["rbac_group_id"]} and of_team["amount"] is None
    listed = list(limits.list(limit=1))
    assert sorted([each["id"], of_team["id"], made.id]) == sorted(one.id for one in listed)
    assert [made.id] == [one.id for one in limits.list(scope_type=["user"])]

    rows = {
        (row.actor.user_id, row.period): (row.amount, row.source.type, row.spend_limit_id)
        for row in limits.effective.list(limit=1)
    }
    assert ("900", "user", made.id) == rows[mia, "monthly"]
    assert ("5000", "organization", each["id"]) == rows[firm.people["ian"], "monthly"]
    assert {(firm.people[one], "monthly") for one in ("ann", "mia", "ian")} == {*rows}
    some = limits.effective.list(user_ids=[mia], period=["monthly"]).data
    assert ["mia@x.example"] == [row.actor.email_address for row in some]

    named = {one["id"]: one["amount"] for one in firm.bailee.json("limits", "list")}
    assert 9_000_000 == named[f"member:{firm.acme}/{mia}:money:month"]
    for one in (made.id, each["id"], of_team["id"]):
        assert ("spend_limit_deleted", one) == (
            (gone := limits.delete(one)).type, gone.id,
        )  # fmt: skip
    with pytest.raises(anthropic.NotFoundError):
        limits.retrieve(made.id)
    events = firm.raw("ann", "GET", SPEND + "/audit?limit=1000")[2]["data"]
    hers = [one for one in events if one["target_id"] == made.id]
    assert [("delete", "900", None), ("upsert", "700", "900"), ("upsert", None, "700")] == [
        (
            one["action"].removeprefix("spend_limit."),
            (one["before"] or {}).get("amount"),
            (one["after"] or {}).get("amount"),
        )
        for one in hers
    ]
    assert {firm.people["ann"]} == {one["actor"] for one in hers}
    assert [] == firm.bailee.json("limits", "list")


def test_what_each_may_spend_holds_for_each(firm: Firm) -> None:
    """One member is warned and then stopped in the client's own shape, and another is not; what was
    spent is told; who has their own goes on.
    """
    limits = firm.limits("ann")
    each = firm.bailee.run(
        "limits", "set", "--of", firm.acme, "--each", "--money", "0.02", "--per", "day"
    )
    assert each.stdout.startswith(f"members:{firm.acme}:money:day: each has $0.02.")
    first, second, third = (firm.ask("mia") for _ in range(3))
    status = "anthropic-ratelimit-unified-status"
    assert ["allowed", "allowed", "rejected"] == [one[1][status] for one in (first, second, third)]
    assert 429 == third[0]
    assert third[2].startswith("billing_error: bailee: spend limit reached \u00b7 resets ")
    assert ("daily", "false") == (
        third[1]["anthropic-ratelimit-unified-overage-period"], third[1]["x-should-retry"],
    )  # fmt: skip
    assert (200, 200) == (firm.ask("ian")[0], firm.ask("eve")[0])

    spent = {
        row.actor.user_id: row.period_to_date_spend
        for row in limits.effective.list(period=["daily"])
    }
    assert {"mia": "2.200", "ian": "1.100", "ann": "0.000"} == {
        name: spent[firm.people[name]] for name in ("mia", "ian", "ann")
    }
    ranked = list(
        limits.effective.list(limit=1, period=["daily"], extra_query={"sort": "spend_desc"})
    )
    assert [firm.people[name] for name in ("mia", "ian", "ann")] == [
        row.actor.user_id for row in ranked
    ]
    found = limits.effective.list(period=["daily"], extra_query={"q": "IA@X."}).data
    assert [firm.people["mia"]] == [row.actor.user_id for row in found]
    assert [] == limits.effective.list(extra_query={"q": "eve@"}).data
    limits.set(scope={"type": "user", "user_id": firm.people["mia"]}, amount=None, period="daily")
    assert 200 == firm.ask("mia")[0]
    (row,) = limits.effective.list(user_ids=[firm.people["mia"]]).data
    assert (None, "user", "3.300") == (row.amount, row.source.type, row.period_to_date_spend)


def test_who_may(firm: Firm) -> None:
    """Who administers an organisation, for theirs; the operator by a key for the API, for one that
    they name. Nobody else sees or changes any, and nothing goes upstream.
    """
    before = len(firm.upstream.conversations)
    mine = json.dumps(
        {"scope": {"type": "organization"}, "amount": "1", "period": "weekly"}
    ).encode()
    hers = json.dumps(
        {"scope": {"type": "user", "user_id": firm.people["mia"]}, "amount": "1"}
    ).encode()
    named = {"x_bailee_organization": firm.acme}
    assert 401 == firm.raw(None, "GET", SPEND)[0]
    assert 403 == firm.raw("mia", "GET", SPEND)[0] == firm.raw("mia", "POST", SPEND, mine)[0]
    assert 403 == firm.raw("eve", "GET", SPEND, **named)[0]
    assert 403 == firm.raw("eve", "POST", SPEND, mine, **named)[0]
    assert 404 == firm.raw("eve", "POST", SPEND, hers)[0]  # is no member there
    assert 400 == firm.raw("root", "GET", SPEND)[0]  # of which organisation?
    assert 200 == firm.raw("root", "POST", SPEND, mine, **named)[0]
    (made,) = [one for one in firm.limits("ann").list() if one.period == "weekly"]
    assert 404 == firm.raw("eve", "DELETE", f"{SPEND}/{made.id}")[0]
    assert [] == list(firm.limits("eve").list())
    firm.limits("root", default_headers={"x-bailee-organization": firm.acme}).delete(made.id)
    refused = firm.bailee.run("limits", "set", "--of", "mia@x.example", "--each", "--tokens", "1")
    assert 0 != refused.returncode
    assert before == len(firm.upstream.conversations)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b'{"amount": "1"}',
        b'{"scope": {"type": "organization"}}',
        b'{"scope": {"type": "organization"}, "amount": 5}',
        b'{"scope": {"type": "organization"}, "amount": "-5"}',
        b'{"scope": {"type": "organization"}, "amount": "5.5"}',
        b'{"scope": {"type": "organization"}, "amount": "999999999999"}',
        b'{"scope": {"type": "organization"}, "amount": "5", "currency": "EUR"}',
        b'{"scope": {"type": "organization"}, "amount": "5", "period": "yearly"}',
        b'{"scope": {"type": "organization"}, "amount": "5", "period": []}',
        b'{"scope": {"type": "organization"}, "amount": "5", "pooled_budget": {}}',
        b'{"scope": {"type": "organization", "user_id": "x"}, "amount": "5"}',
        b'{"scope": {"type": "seat_tier", "seat_tier": "x"}, "amount": "5"}',
        b'{"scope": {"type": "rbac_group", "rbac_group_id": "a/b"}, "amount": "5"}',
        b'{"scope": {"type": "rbac_group"}, "amount": "5"}',
        b'{"scope": {"type": "user", "user_id": 7}, "amount": "5"}',
        b'{"scope": "organization", "amount": "5"}',
        b'{"scope": {"type": "organization"}, "amount": "5"}' + b" " * 9000,
    ],
)  # fmt: skip
def test_what_is_no_limit_is_refused_and_not_repeated(firm: Firm, body: bytes) -> None:
    """With the request's id, in the API's shape; nothing is set."""
    was = firm.bailee.json("limits", "list")
    status, fields, said = firm.raw("ann", "POST", SPEND, body)
    assert (400, "invalid_request_error") == (status, said["error"]["type"]) or 413 == status
    assert said["request_id"] == fields["request-id"]
    assert b"seat_tier" not in json.dumps(said).encode() and "99999" not in json.dumps(said)
    assert was == firm.bailee.json("limits", "list")


@pytest.mark.parametrize(
    "query",
    [
        "?limit=0", "?limit=1001", "?limit=x", "?limit=1&limit=2", "?sort=spend_desc",
        "?after_id=spl_x", "?after_id=a&before_id=b", "?scope_type[]=seat_tier", "?q=mia",
        "/effective?sort=spend_asc", "/effective?sort=spend_desc&sort=spend_desc",
        "/effective?sort=spend_desc&page=per_1", "/effective?q=a&q=b",
        "/effective?q=" + 321 * "a",
    ],
)  # fmt: skip
def test_a_parameter_that_is_not_known_is_refused(firm: Firm, query: str) -> None:
    """Nobody takes a part for the whole."""
    assert 400 == firm.raw("ann", "GET", SPEND + query)[0]
