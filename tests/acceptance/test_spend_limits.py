"""The vendor's own SDK sets limits for each member at the gateway's address, and they hold.

Rows: O2.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import anthropic
import pytest

from bailee.testing.upstream import ScriptedUpstream, Text
from support.browsers.browsing import Visitor
from support.clients.programs import Bailee

HAIKU = "claude-haiku-4-5-20251001"
USED = {"input_tokens": 1000, "output_tokens": 2000}  # 1.1 cents on the shipped list
SPEND = "/v1/organizations/spend_limits"
ASKED = "/v1/organizations/spend_limit_increase_requests"


@dataclass
class Firm:
    """A server with two organisations: in Acme Ann is admin, and Mia and Ian are members; Eve is
    Other's. `keys`: of each, for their organisation; of the operator's, for the API. `own`: of
    each, for themselves.
    """

    bailee: Bailee
    upstream: ScriptedUpstream
    gateway: str
    acme: str
    other: str
    people: dict[str, str]
    keys: dict[str, str]
    own: dict[str, str]

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
        ready = bailee.up()
        of = {
            name: bailee.json("organisation", "create", name, "--plan", "enterprise")
            for name in ("Acme", "Other")
        }
        acme, other = (of[name]["organisation"] for name in ("Acme", "Other"))
        people, keys, own = {}, {}, {}
        for name, where, role in (
            ("ann", acme, "admin"), ("mia", acme, "member"), ("ian", acme, "member"),
            ("eve", other, "owner"),
        ):  # fmt: skip
            email = f"{name}@x.example"
            made = bailee.json("person", "create", "--email", email, "--plan", "team")
            people[name], own[name] = made["person"], made["key"]
            bailee.json("organisation", "member", "add", where, email, "--role", role)
            keys[name] = bailee.json(
                "key", "create", "--organisation", where, "--person", email, "--name", name
            )["key"]
        bailee.json("person", "create", "--email", "root@x.example", "--plan", "pro", "--operator")
        keys["root"] = bailee.json(
            "key", "create", "--person", "root@x.example", "--name", "api", "--operator"
        )["key"]
        yield Firm(bailee, upstream, ready["gateway"], acme, other, people, keys, own)
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


def test_a_pool_stands_beside_a_groups_limit(firm: Firm) -> None:
    """It is set, paused, changed and taken away with the group's limit of the month, by who
    administers the organisation; as `bailee limits` sees it, and as the audit record has it.
    """
    group = {"type": "rbac_group", "rbac_group_id": "pilots"}

    def put(who: str = "ann", **said: Any) -> tuple[int, Any]:
        body = json.dumps({"scope": group, **said}).encode()
        status, _, answer = firm.raw(who, "POST", SPEND, body)
        return status, answer

    def held() -> dict[str, int]:
        return {one["scope"]: one["amount"] for one in firm.bailee.json("limits", "list")}

    was = held()
    assert 404 == put(pooled_budget={"amount": "300"})[0]  # of what each has nothing is known
    assert 400 == put(amount="20", period="daily", pooled_budget={"amount": "300"})[0]
    assert 400 == put(amount="20", pooled_budget={"paused": False})[0]
    assert 403 == put("mia", amount="20", pooled_budget={"amount": "300"})[0]
    assert was == held()

    made = put(amount="20", pooled_budget={"amount": "300"})[1]
    pool = {"amount": "300", "paused": False, "currency": "USD", "period_to_date_spend": "0.000"}
    assert ("20", pool) == (made["amount"], made["pooled_budget"])
    assert {"team_members": 200_000, "pool": 3_000_000}.items() <= held().items()
    paused = put(pooled_budget={"paused": True})[1]
    assert (made["id"], "20", {**pool, "paused": True}) == (
        paused["id"], paused["amount"], paused["pooled_budget"],
    )  # fmt: skip
    assert {"paused_pool": 3_000_000}.items() <= held().items() and "pool" not in held()
    other = put(amount="30")[1]
    assert ("30", {**pool, "paused": True}) == (other["amount"], other["pooled_budget"])
    (listed,) = [one for one in firm.limits("ann").list() if one.id == made["id"]]
    assert other["pooled_budget"] == listed.to_dict()["pooled_budget"]
    gone = put(pooled_budget={"amount": None, "paused": True})[1]
    assert ("30", None) == (gone["amount"], gone["pooled_budget"])

    events = firm.raw("ann", "GET", SPEND + "/audit?limit=1000")[2]["data"]
    of_pool = [
        (one["action"], (one["before"] or {}).get("pooled_budget"), one["after"])
        for one in events
        if one["target_id"] == made["id"] and "amount" not in (one["after"] or one["before"])
    ]
    state = {"scope": group, "period": "monthly"}
    said = [{"amount": "300", "paused": paused} for paused in (False, True)]
    assert [
        ("spend_limit.upsert", said[1], None),
        ("spend_limit.upsert", said[0], {**state, "pooled_budget": said[1]}),
        ("spend_limit.upsert", None, {**state, "pooled_budget": said[0]}),
    ] == of_pool

    team = f"{firm.acme}/pilots"
    firm.bailee.run("limits", "set", "--of", team, "--pool", "--money", "5", "--per", "month")
    firm.limits("ann").delete(made["id"])
    assert was == held()
    alone = ("limits", "set", "--of", team, "--pool", "--paused", "--money", "7", "--per", "month")
    assert f"paused_pool:{team}:money:month: $7.00, paused." in firm.bailee.run(*alone).stdout
    (shown,) = [one for one in firm.limits("ann").list() if one.id == made["id"]]
    assert (None, "700") == (shown.amount, shown.to_dict()["pooled_budget"]["amount"])
    firm.limits("ann").delete(made["id"])
    assert was == held()


def test_a_member_asks_for_more_where_the_refusal_says_and_the_sdk_decides(firm: Firm) -> None:
    """On their own page, which the refusal names. Who administers the organisation grants it with
    the vendor's SDK, and denies the next on their page; the member goes on, and is told there.
    """
    visitors, password = {}, "seven pear trees in a row"
    for name in ("mia", "ann"):
        typed = f"{password}\n{password}\n"
        done = firm.bailee.run("person", "password", "--key", firm.own[name], given=typed)
        assert 0 == done.returncode
        visitors[name] = Visitor(firm.bailee.ready["console"])
        fields = {"email": f"{name}@x.example", "password": password}
        assert 200 == visitors[name].submit("/sign-in", "/sign-in", fields).status
    mia, ann, of = visitors["mia"], visitors["ann"], f"/organisations/{firm.acme}"
    limits, requests = firm.limits("ann"), firm.limits("ann").increase_requests
    limits.set(scope={"type": "user", "user_id": firm.people["mia"]}, amount="0", period="weekly")
    refused = firm.ask("mia")[2]
    page = refused.rpartition(" · ask for more at ")[2]
    assert f"{firm.bailee.ready['console']}/usage#more" == page

    beyond = {"beyond": f"{firm.acme}/week"}
    wrong = mia.submit("/usage", "/usage/increases", {**beyond, "enough": "-7"})
    assert (400, True) == (wrong.status, 'value="-7"' in wrong.text)
    asked = mia.submit("/usage", "/usage/increases", {**beyond, "enough": "7"})
    assert "$7.00 a week" in asked.text and "not decided yet" in asked.text
    (one,) = requests.list(status=["pending"])
    assert ("mia@x.example", "weekly", "pending", None) == (
        one.actor.email_address, one.period, one.status, one.resolved_by,
    )  # fmt: skip
    assert ("0", "user") == (one.spend_summary.amount, one.spend_summary.source.type)
    assert one == requests.retrieve(one.id)
    with pytest.raises(anthropic.BadRequestError):
        requests.approve(one.id, amount="")
    done = requests.approve(one.id, amount="650", suppress_notification=True)
    assert ("approved", "650", "weekly", "ann@x.example") == (
        done.status, done.spend_limit.amount, done.spend_limit.period,
        done.resolved_by.email_address,
    )  # fmt: skip
    assert done.spend_limit == limits.retrieve(done.spend_limit.id)
    with pytest.raises(anthropic.BadRequestError):
        requests.deny(one.id)
    assert 200 == firm.ask("mia")[0]
    assert "granted: $6.50 a week" in mia.get("/usage").text

    mia.submit("/usage", "/usage/increases", {**beyond, "enough": "8"})
    (two,) = requests.list(status=["pending"], actor_ids=[firm.people["mia"]])
    shown = ann.get(of + "/usage").text
    assert "mia@x.example" in shown and 'value="8.00"' in shown
    gone = ann.submit(of + "/usage", of + "/increases/deny", {"request": one.id})
    assert 409 == gone.status
    assert "denied" in ann.submit(of + "/usage", of + "/increases/deny", {"request": two.id}).text
    assert "denied" == requests.deny(two.id).status  # again
    assert "denied" in mia.get("/usage").text
    mia.submit("/usage", "/usage/increases", {**beyond, "enough": "9"})
    (three,) = requests.list(status=["pending"])
    granted = {"request": three.id, "granted": "8.50", "granted_per": "week"}
    assert (
        "granted: $8.50 a week"
        in ann.submit(of + "/usage", of + "/increases/approve", granted).text
    )
    assert [three.id, two.id, one.id] == [each.id for each in requests.list(limit=1)]
    assert [] == requests.list(actor_ids=[firm.people["ian"]]).data
    limits.delete(done.spend_limit.id)


def test_who_may_decide(firm: Firm) -> None:
    """Who administers the organisation of who asks, and the operator for one that they name."""
    limits = firm.limits("ann")
    made = limits.set(scope={"type": "user", "user_id": "ian@x.example"}, amount="1")
    path, body = firm.bailee.ready["console_api"] + "/api/v1/usage/increases", {
        "amount": 10**6, "per": "month",
    }  # fmt: skip
    head = {"x-api-key": firm.keys["ian"], "content-type": "application/json"}
    request = urllib.request.Request(path, json.dumps(body).encode(), head)
    with urllib.request.urlopen(request, timeout=30) as response:
        one = f"{ASKED}/{json.loads(response.read())['id']}"
    named = {"x_bailee_organization": firm.acme}
    assert 401 == firm.raw(None, "GET", ASKED)[0]
    for who in ("mia", "ian"):
        assert 403 == firm.raw(who, "GET", ASKED)[0] == firm.raw(who, "GET", one)[0]
        assert 403 == firm.raw(who, "POST", one + "/deny", b"{}")[0]
    assert [] == firm.raw("eve", "GET", ASKED)[2]["data"]
    assert 404 == firm.raw("eve", "GET", one)[0]
    assert 404 == firm.raw("eve", "POST", one + "/approve", b'{"amount": "9"}')[0]
    assert 403 == firm.raw("eve", "POST", one + "/approve", b'{"amount": "9"}', **named)[0]
    assert 405 == firm.raw("ann", "DELETE", one)[0]
    for wrong in (
        b"", b"[]", b'{"amount": null}', b'{"amount": 9}', b'{"amount": "9", "more": 1}',
        b'{"amount": "9", "period": "yearly"}', b'{"amount": "9", "suppress_notification": 1}',
    ):  # fmt: skip
        assert 400 == firm.raw("ann", "POST", one + "/approve", wrong)[0]
    for query in ("?status[]=gone", "?limit=0", "?page=x", "?q=mia"):
        assert 400 == firm.raw("ann", "GET", ASKED + query)[0]
    assert "pending" == firm.raw("ann", "GET", one)[2]["status"]
    assert "denied" == firm.raw("root", "POST", one + "/deny", b"", **named)[2]["status"]
    assert "1" == limits.retrieve(made.id).amount
    limits.delete(made.id)


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
        b'{"scope": {"type": "rbac_group", "rbac_group_id": "x"}, "pooled_budget": 1}',
        b'{"scope": {"type": "rbac_group", "rbac_group_id": "x"}, "pooled_budget": {"more": 1}}',
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


def test_requests_are_decided_at_a_terminal_and_from_elsewhere(firm: Firm) -> None:
    """The operator sees what waits in every organisation and decides it; an admin, with their key
    and no home, in theirs. The console says to each that something waits.
    """
    elsewhere = ["--server", firm.bailee.ready["console"]]

    def run(who: str | None, *words: str, expect: int = 0) -> str:
        env = {} if who is None else {"BAILEE_API_KEY": firm.own[who]}
        done = firm.bailee.run("limits", *words, *([] if who is None else elsewhere), env=env)
        assert expect == done.returncode, done.stderr
        return done.stdout if expect == 0 else done.stderr

    def ask(who: str, amount: int) -> str:
        body = json.dumps({"amount": amount, "per": "month"}).encode()
        head = {"x-api-key": firm.keys[who], "content-type": "application/json"}
        address = firm.bailee.ready["console_api"] + "/api/v1/usage/increases"
        with urllib.request.urlopen(urllib.request.Request(address, body, head)) as response:
            return str(json.loads(response.read())["id"])

    for of in (firm.acme, firm.other):
        each = ("--of", of, "--each", "--money", "5", "--per", "month")
        assert 0 == firm.bailee.run("limits", "set", *each).returncode
    assert "Nobody asks for more." in run(None, "requests")
    mia, ian, eve = (ask(who, 9_000_000) for who in ("mia", "ian", "eve"))
    shown = run(None, "requests")
    assert all(one in shown for one in (mia, ian, eve, "mia@x.example", "$9.00 a month"))
    assert "members who ask for more than their limit: 3" in firm.bailee.run("status").stdout
    hers = {one["id"] for one in json.loads(run("ann", "requests", "--json"))}
    assert {mia, ian} == hers
    assert [] == json.loads(run("mia", "requests", "--json"))
    assert [mia] == [one["id"] for one in json.loads(run("mia", "requests", "--own", "--json"))]

    made = firm.bailee.json("person", "create", "--email", "amy@x.example", "--plan", "team")
    firm.bailee.json("organisation", "member", "add", firm.acme, "amy@x.example", "--role", "admin")
    password = "eight pear trees in a row"
    typed = f"{password}\n{password}\n"
    assert 0 == firm.bailee.run("person", "password", "--key", made["key"], given=typed).returncode
    visitor = Visitor(firm.bailee.ready["console"])
    fields = {"email": "amy@x.example", "password": password}
    assert 200 == visitor.submit("/sign-in", "/sign-in", fields).status
    assert "Requests for more that wait in Acme: 2" in visitor.get("/usage").text
    assert "Members who ask for more than their limit: 2" in (
        visitor.get(f"/organisations/{firm.acme}").text
    )

    assert "may not do this" in run("mia", "grant", mia, expect=2)
    assert "may not do this" in run("ann", "grant", eve, expect=2)
    assert f"{mia}: mia@x.example has $9.00 a month." in run("ann", "grant", mia)
    assert f"{ian}: denied." in run("ann", "deny", ian)
    assert "decided already" in run("ann", "grant", ian, expect=2)
    assert "has $12.00 a week." in run(None, "grant", eve, "--money", "12", "--per", "week")
    assert "Nobody asks for more." in run(None, "requests")
    assert "waits" not in visitor.get("/usage").text and "approved: $12.00" in run(
        None, "requests", "--of", firm.other, "--all"
    )
    assert "ask for more than" not in firm.bailee.run("status").stdout
    for one in firm.bailee.json("limits", "list"):
        firm.bailee.run("limits", "remove", one["id"])


def test_use_and_cost_are_reported_as_the_vendor_does(firm: Firm) -> None:
    """By person, key, model and day, of one's own organisation alone, page by page; from our own
    counts, and nothing goes upstream.
    """
    use, cost = "/v1/organizations/usage_report/messages", "/v1/organizations/cost_report"
    assert [200, 200] == [firm.ask(who)[0] for who in ("ian", "eve")]
    before = len(firm.upstream.requests)
    since = "starting_at=2026-01-01T00:00:00Z"
    today = f"starting_at={datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}T00:00:00Z"

    def pages(who: str, path: str, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page = ""
        while True:
            status, _, shown = firm.raw(who, "GET", f"{path}?{query}{page}")
            assert 200 == status, shown
            found += shown["data"]
            if not shown["has_more"]:
                return found
            page = f"&page={shown['next_page']}"

    def results(who: str, path: str, query: str) -> list[dict[str, Any]]:
        return [one for bucket in pages(who, path, query) for one in bucket["results"]]

    ours = results("ann", use, f"{today}&group_by[]=account_id&group_by[]=model")
    people = {(one["account_id"], one["model"]) for one in ours if one["output_tokens"]}
    assert (firm.people["ian"], "claude-haiku-4-5") in people
    assert firm.people["eve"] not in {who for who, _ in people}
    mine = results("eve", use, f"{today}&account_ids[]={firm.people['eve']}")
    out = sum(one["output_tokens"] for one in mine)
    assert out and out == 2 * sum(one["uncached_input_tokens"] for one in mine)
    money = results("eve", cost, f"{today}&group_by[]=description")
    assert {("USD", "claude-haiku-4-5 usage, standard")} == {
        (one["currency"], one["description"]) for one in money
    }
    assert Decimal(out) * 11 / 20_000 == sum(Decimal(one["amount"]) for one in money)
    by_hour = results("eve", use, f"{today}&bucket_width=1h&limit=5")
    assert out == sum(one["output_tokens"] for one in by_hour)
    days = pages("eve", use, f"{since}&limit=31&models[]={HAIKU}")
    assert len(days) > 300 and len({one["starting_at"] for one in days}) == len(days)
    assert [] == results("eve", use, f"{today}&service_tiers[]=batch")

    named = {"x_bailee_organization": firm.acme}
    assert 401 == firm.raw(None, "GET", f"{use}?{today}")[0]
    assert 403 == firm.raw("mia", "GET", f"{use}?{today}")[0]
    assert 403 == firm.raw("eve", "GET", f"{use}?{today}", **named)[0]
    assert 200 == firm.raw("root", "GET", f"{cost}?{today}", **named)[0]
    for wrong in (
        use, f"{use}?{today}&bucket_width=1m", f"{use}?{today}&speed=fast",
        f"{use}?{today}&limit=32",
        f"{use}?{today}&group_by[]=speed", f"{use}?{today}&service_tiers[]=priority",
        f"{cost}?{today}&bucket_width=1h", f"{cost}?{today}&models[]=x", f"{cost}?starting_at=now",
    ):  # fmt: skip
        status, _, shown = firm.raw("ann", "GET", wrong)
        assert (400, "invalid_request_error") == (status, shown["error"]["type"])
    assert 405 == firm.raw("ann", "POST", use, b"{}")[0]
    assert before == len(firm.upstream.requests)


def test_costs_are_reported_as_the_vendors_gateway_does(firm: Firm) -> None:
    """By person and model, in all or by the day, page by page; of one organisation alone; and what
    that gateway refuses is refused, with its status.
    """
    path = "/v1/organizations/analytics/cost"
    since = f"{path}?starting_at={datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}T00:00:00Z"
    assert [200, 200] == [firm.ask(who)[0] for who in ("ian", "eve")]
    whole = firm.raw("eve", "GET", since)[2]
    (row,) = whole["data"]
    assert {None} == {*row["group"].values()}
    amount = Decimal(row["cost"]["amount"])
    assert (True, 0) == (amount > 0, amount % Decimal("1.1"))  # so much a request
    assert (False, None) == (whole["has_more"], whole["next_page"])
    (hers,) = firm.raw("eve", "GET", since + "&group_by[]=actor&group_by[]=model")[2]["data"]
    actor = hers["group"]["actor"]
    assert (firm.people["eve"], "eve@x.example") == (actor["user_id"], actor["email_address"])
    assert ("claude-haiku-4-5", row["cost"]) == (hers["group"]["model"], hers["cost"])

    people, page = [], ""
    while True:
        some = firm.raw("ann", "GET", f"{since}&group_by[]=actor&limit=1{page}")[2]
        people += [one["group"]["actor"]["user_id"] for one in some["data"]]
        assert len(some["data"]) == 1
        if not some["has_more"]:
            break
        page = f"&page={some['next_page']}"
    assert firm.people["ian"] in people and firm.people["eve"] not in people
    assert sorted({*people}) == people
    days = firm.raw("ann", "GET", f"{since}&time_bucket_width=1d&actor_ids[]={firm.people['ian']}")
    assert all(one["starting_at"] < one["ending_at"] for one in days[2]["data"])
    assert {200} == {days[0]} and days[2]["data"]
    for wrong in (
        path, f"{since}&foo=1", f"{since}&limit=0", f"{since}&group_by[]=xx", f"{since}&page=x",
        f"{since}&ending_at=2020-01-01T00:00:00Z", f"{since}&time_bucket_width=1h",
        f"{path}?starting_at=2020-01-01T00:00:00Z", f"{since}&page=W10=",
    ):  # fmt: skip
        assert 400 == firm.raw("ann", "GET", wrong)[0]
    assert 403 == firm.raw("mia", "GET", since)[0] and 401 == firm.raw(None, "GET", since)[0]
