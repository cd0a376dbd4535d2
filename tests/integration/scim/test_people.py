"""What a provider makes, changes and ends, and what it can't: over the people of a real database.

Rows: O1, T5.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from bailee.accounts import OPERATOR
from bailee.accounts.groups import GroupRule, GroupRules
from bailee.errors import InputError
from bailee.ingest.quotas import Rate
from bailee.scim.application import LARGEST, RATE, Scim
from support.homes.town import PASSWORD, Town

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
AT = "https://console.test/scim/v2"


@dataclass
class Answered:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Provider:
    """An organisation, and its provider with a token of it."""

    def __init__(self, folder: Path, *, domain: str | None = "acme.example") -> None:
        self.town = Town(folder)
        self.registry = self.town.registry
        self.organisation = self.town.organisation("Acme")
        if domain is not None:
            self.bind(self.organisation, domain)
        self.made, self.token = self.registry.provisioning_tokens.make(
            self.organisation, by=OPERATOR
        )
        self.app = self.application()

    def application(self, rate: Rate = RATE) -> Scim:
        """The application over the town, in front of nothing."""

        async def nothing(scope: Scope, _receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 299, "headers": []})
            await send({"type": "http.response.body"})

        return Scim(nothing, self.registry, "https://console.test", rate=rate)

    def bind(self, organisation: str, domain: str) -> None:
        """Bind a domain to an organisation."""
        self.registry.providers.bind(
            organisation, domain=domain, issuer="https://id.example", client_id="c",
            secret_env=None, by=OPERATOR,
        )  # fmt: skip

    def ask(
        self, method: str, path: str, body: object = None, *, token: str | None = "", **headers: str
    ) -> Answered:
        """A request; `token`: the provider's own if empty, None: none."""
        raw = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            named["authorization"] = f"Bearer {token or self.token}"
        where, _, query = path.partition("?")
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": method, "path": "/scim/v2" + where, "scheme": "https",
            "query_string": query.encode(), "root_path": "", "client": ("127.0.0.1", 1),
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
            "server": ("console.test", 443),
        }  # fmt: skip
        asyncio.run(self.app(scope, receive, send))
        fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        content = b"".join(one.get("body", b"") for one in sent[1:])
        return Answered(sent[0]["status"], fields, content)

    def user(self, user_name: str, **more: object) -> Answered:
        """A new user."""
        return self.ask("POST", "/Users", {"schemas": [USER], "userName": user_name, **more})

    def patch(self, path: str, *operations: dict[str, object], **headers: str) -> Answered:
        """A patch."""
        return self.ask("PATCH", path, {"schemas": [PATCH], "Operations": operations}, **headers)

    def group(self, name: str, *people: str, **more: object) -> Answered:
        """A new group."""
        members = [{"value": one} for one in people]
        body = {"schemas": [GROUP], "displayName": name, "members": members, **more}
        return self.ask("POST", "/Groups", body)

    def kinds(self) -> list[str]:
        """What is on record, the latest last."""
        return [one.kind for one in reversed(self.town.ledger.latest(50))]

    def role(self, person: str, organisation: str | None = None) -> str | None:
        """Somebody's role."""
        return self.registry.authority.role(person, organisation or self.organisation)


@pytest.fixture
def acme(tmp_path: Path) -> Provider:
    """See `Provider`."""
    return Provider(tmp_path)


@pytest.mark.row("O1")
def test_who_is_made_is_a_member_and_who_is_ended_has_nothing_left(acme: Provider) -> None:
    """Keys, clients, console sessions and places: at once, and no sign-in brings them back."""
    made = acme.user("Ada@Acme.example", externalId="00u1", name={"familyName": "Lovelace"}).json
    ada = made["id"]
    registry = acme.registry
    account = registry.organisations.account(acme.organisation)
    person = registry.authority.by_person(ada)
    _, key = registry.people.create_key(account, "laptop", by=person)
    cookie = registry.web_sessions.begin(ada)
    assert ("member", True) == (acme.role(ada), made["active"])
    assert registry.accounts.authenticate(key.encode()) is not None

    ended = acme.patch(f"/Users/{ada}", {"op": "Replace", "path": "active", "value": False})

    assert (200, False) == (ended.status, ended.json["active"])
    assert acme.role(ada) is None
    assert registry.accounts.authenticate(key.encode()) is None
    assert registry.web_sessions.find(cookie) is None
    with pytest.raises(InputError, match="no longer belong"):
        registry.groups.refuse_ended(acme.organisation, ada)
    assert ["member.removed", "provisioning.person_set"] == [
        one for one in acme.kinds() if one in ("member.removed", "provisioning.person_set")
    ][-2:]
    again = acme.patch(f"/Users/{ada}", {"op": "replace", "value": {"active": "True"}})
    assert (200, "member") == (again.status, acme.role(ada))
    registry.groups.refuse_ended(acme.organisation, ada)


def test_what_it_sends_beside_is_kept_nowhere(acme: Provider) -> None:
    """Names and numbers are dropped; what names a person is sealed, and goes with their key."""
    acme.user(
        "grace@acme.example",
        externalId="employee-4711",
        name={"familyName": "Hopper"},
        phoneNumbers=[{"value": "+1 555 0100"}],
    )
    stored = acme.town.stored()
    for said in (b"Hopper", b"555 0100", b"employee-4711", b"grace@", acme.token.encode()):
        assert said not in stored


def test_it_finds_people_by_what_they_are_called(acme: Provider) -> None:
    """By userName in any case, by externalId, by id; also who was there before it."""
    before, _ = acme.town.person("old@acme.example", None)
    acme.registry.organisations.add(acme.organisation, before.person_id, "member", by=OPERATOR)
    ada = acme.user("ada@acme.example", externalId="e1").json["id"]

    def found(asked: str) -> list[str]:
        answer = acme.ask("GET", f"/Users?filter={asked}")
        assert 200 == answer.status, answer.body
        return [one["id"] for one in answer.json["Resources"]]

    assert [ada] == found("userName%20eq%20%22ADA@acme.example%22")
    assert [ada] == found("externalId%20eq%20%22e1%22")
    assert [before.person_id] == found("userName%20eq%20%22old@acme.example%22")
    assert [] == found("userName%20eq%20%22nobody@acme.example%22")
    assert {ada, before.person_id} == set(found("active%20eq%20true"))
    page = acme.ask("GET", "/Users?startIndex=2&count=1").json
    assert (2, 2, 1) == (page["totalResults"], page["startIndex"], page["itemsPerPage"])
    assert 400 == acme.ask("GET", "/Users?filter=userName%20is%20x").status


def test_a_person_of_somebody_elses_is_not_there(acme: Provider) -> None:
    """Another organisation's people and groups are neither seen nor changed, nor put into a
    group; and nobody is taken in whose email is of no domain of the organisation's.
    """
    other = acme.town.organisation("Other")
    theirs, _ = acme.town.person("bob@other.example", None)
    acme.registry.organisations.add(other, theirs.person_id, "member", by=OPERATOR)
    own, _ = acme.town.person("eve@gmail.example", "pro")
    path = f"/Users/{theirs.person_id}"
    body = {"schemas": [USER], "userName": "bob@other.example"}

    assert 404 == acme.ask("GET", path).status
    assert 404 == acme.ask("PUT", path, body).status
    assert 404 == acme.patch(path, {"op": "replace", "path": "active", "value": False}).status
    assert 404 == acme.ask("DELETE", path).status
    assert 0 == acme.ask("GET", "/Users").json["totalResults"]
    assert 400 == acme.group("all", theirs.person_id).status
    assert 400 == acme.user("eve@gmail.example").status
    assert "member" == acme.role(theirs.person_id, other)
    assert acme.role(own.person_id) is None


def test_without_a_domain_it_takes_in_nobody_who_is_here(tmp_path: Path) -> None:
    """Whom nobody knows is made; who has a life here is not drawn into an organisation."""
    acme = Provider(tmp_path, domain=None)
    eve, _ = acme.town.person("eve@gmail.example", "pro")
    assert 201 == acme.user("new@anywhere.example").status
    taken = acme.user("eve@gmail.example")
    assert (409, "uniqueness") == (taken.status, taken.json["scimType"])
    assert acme.role(eve.person_id) is None


def test_an_email_is_changed_only_of_who_is_the_providers_own(acme: Provider) -> None:
    """Of who has an account of their own it would be a way into that."""
    ada = acme.user("ada@acme.example").json["id"]
    mixed, _ = acme.town.person("mia@acme.example", "pro")
    assert 201 == acme.user("mia@acme.example").status

    def rename(person: str, to: str) -> int:
        body = {"schemas": [USER], "userName": to, "emails": [{"value": to}], "active": True}
        return acme.ask("PUT", f"/Users/{person}", body).status

    assert 403 == rename(mixed.person_id, "m@acme.example")
    assert 400 == rename(ada, "ada@elsewhere.example")
    assert 409 == rename(ada, "mia@acme.example")
    assert 200 == rename(ada, "countess@acme.example")
    assert "countess@acme.example" == acme.registry.people.get(ada).email
    assert "person.readdressed" in acme.kinds()


def test_an_operator_and_the_last_owner_are_not_its_to_end(acme: Provider) -> None:
    """Or a provider could lock out whoever runs the service, or an organisation itself."""
    staff, _ = acme.registry.people.create(
        "staff@acme.example", plan=None, by=OPERATOR, operator=True
    )
    owner, _ = acme.town.person("olga@acme.example", None)
    acme.registry.organisations.add(acme.organisation, owner.person_id, "owner", by=OPERATOR)
    assert 403 == acme.user("staff@acme.example").status
    assert 400 == acme.ask("DELETE", f"/Users/{owner.person_id}").status
    assert "owner" == acme.role(owner.person_id)
    assert acme.role(staff.person_id) is None


def test_who_is_deleted_is_the_same_when_they_come_again(acme: Provider) -> None:
    """Deleting ends and hides; nothing of what is kept is erased by it."""
    ada = acme.user("ada@acme.example").json["id"]
    assert 204 == acme.ask("DELETE", f"/Users/{ada}").status
    assert 404 == acme.ask("GET", f"/Users/{ada}").status
    with pytest.raises(InputError):
        acme.registry.groups.refuse_ended(acme.organisation, ada)
    again = acme.user("ada@acme.example")
    assert (201, ada, "member") == (again.status, again.json["id"], acme.role(ada))
    assert 409 == acme.user("ada@acme.example").status


def test_groups_give_what_rules_say_at_once(acme: Provider) -> None:
    """By the group's name or its id there, here and in another organisation; and take it again.
    Who is made known is a member whatever their groups give.
    """
    other = acme.town.organisation("Outside")
    ada, bob = (acme.user(f"{name}@acme.example").json["id"] for name in ("ada", "bob"))
    rules = (
        GroupRule("leads", acme.organisation, "admin", "core"),
        GroupRule("0a-id", other),
    )
    acme.registry.groups.set_rules(acme.organisation, GroupRules(rules), by=OPERATOR)
    leads = acme.group("leads", ada, bob).json["id"]
    outside = acme.group("contractors", bob, externalId="0a-id").json["id"]
    assert ("admin", "admin", "member") == (acme.role(ada), acme.role(bob), acme.role(bob, other))

    gone = acme.patch(
        f"/Groups/{leads}", {"op": "Remove", "path": "members", "value": [{"value": bob}]}
    )
    assert [ada] == [one["value"] for one in gone.json["members"]]
    assert ("admin", "member") == (acme.role(ada), acme.role(bob))
    assert 204 == acme.ask("DELETE", f"/Groups/{outside}").status
    assert acme.role(bob, other) is None

    # The token of a sign-in says otherwise; what the provider made known counts.
    acme.registry.groups.settle(acme.organisation, bob, {"groups": ["leads"]})
    assert "member" == acme.role(bob)
    acme.patch(f"/Users/{ada}", {"op": "replace", "path": "active", "value": False})
    acme.patch(f"/Groups/{leads}", {"op": "replace", "path": "displayName", "value": "heads"})
    acme.patch(f"/Groups/{leads}", {"op": "replace", "path": "displayName", "value": "leads"})
    assert acme.role(ada) is None


def test_ended_in_one_they_lose_what_its_groups_gave_in_others(acme: Provider) -> None:
    """Or somebody who left the company would keep a place that it gave."""
    other = acme.town.organisation("Outside")
    bob = acme.user("bob@acme.example").json["id"]
    rules = GroupRules((GroupRule("contractors", other),))
    acme.registry.groups.set_rules(acme.organisation, rules, by=OPERATOR)
    acme.group("contractors", bob)
    assert "member" == acme.role(bob, other)
    assert 204 == acme.ask("DELETE", f"/Users/{bob}").status
    assert (None, None) == (acme.role(bob), acme.role(bob, other))


def test_a_change_of_something_else_is_refused(acme: Provider) -> None:
    """If-Match names the version that was seen; If-None-Match spares an answer."""
    made = acme.user("ada@acme.example")
    path, version = f"/Users/{made.json['id']}", made.headers["etag"]
    change = {"op": "replace", "path": "externalId", "value": "x"}
    assert f"{AT}{path}" == made.headers["location"]
    assert 304 == acme.ask("GET", path, if_none_match=version).status
    assert 412 == acme.patch(path, change, if_match='W/"0"').status
    assert 200 == acme.patch(path, change, if_match=version).status
    assert 412 == acme.ask("DELETE", path, if_match=version).status
    assert 200 == acme.ask("GET", path, if_none_match=version).status


@pytest.mark.row("O1")
def test_a_token_opens_this_and_nothing_else(acme: Provider) -> None:
    """No token, a wrong one, an API key, another's after it was revoked: nothing is said."""
    _, account = acme.town.person("ada@example.org")
    assert account is not None
    _, key = acme.registry.accounts.create_key(account.account_id, "k", by=OPERATOR)
    for wrong in (None, "x", key, acme.token[:-1] + "0", acme.made.token_id):
        assert 401 == acme.ask("GET", "/Users", token=wrong).status
    assert acme.registry.accounts.authenticate(acme.token.encode()) is None
    assert 200 == acme.ask("GET", "/Users").status
    acme.registry.provisioning_tokens.revoke(acme.made.token_id, by=OPERATOR)
    assert 401 == acme.ask("GET", "/Users").status
    assert acme.registry.provisioning_tokens.of_organisation(acme.organisation) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("emails[type eq \"work\"", "x"), ("a.b.c.d", "x"), ("id", "per_1"), ("meta.version", "x"),
        ("userName", None), ("userName", ""), ("userName", "x" * 300), ("userName", {"a": 1}),
        ("active", "maybe"), ("emails", [{"value": "no email"}]),
        ("emails[" * 200, "x"), ("userName", "a\u202eb@acme.example"),
    ],
)  # fmt: skip
def test_a_path_or_value_that_is_none_is_refused_and_not_repeated(
    acme: Provider, path: str, value: object
) -> None:
    """With a 400 in the protocol's form, and nothing changed."""
    ada = acme.user("ada@acme.example").json
    refused = acme.patch(f"/Users/{ada['id']}", {"op": "replace", "path": path, "value": value})
    assert 400 == refused.status
    assert ["urn:ietf:params:scim:api:messages:2.0:Error"] == refused.json["schemas"]
    assert len(refused.body) < 1000
    assert acme.ask("GET", f"/Users/{ada['id']}").json == ada


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'"x"', b"1", b"[" * 100_000, b'{"schemas":1}', b"\xff\xfe",
        b'{"schemas":["urn:x"],"userName":"a@acme.example"}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_user_is_refused(acme: Provider, body: bytes) -> None:
    """Whatever it is instead."""
    assert 400 == acme.ask("POST", "/Users", body).status
    assert 0 == acme.ask("GET", "/Users").json["totalResults"]


def test_a_huge_body_and_too_many_requests_are_refused(acme: Provider) -> None:
    """By size before it is read whole; by number with the time to come again."""
    assert 413 == acme.ask("POST", "/Users", b" " * (LARGEST + 1)).status
    operations = [{"op": "replace", "path": "active", "value": True}] * 1001
    ada = acme.user("ada@acme.example").json["id"]
    assert 413 == acme.patch(f"/Users/{ada}", *operations).status
    acme.app = acme.application(Rate(per_second=0.1, burst=2))
    answers = [acme.ask("GET", "/Users") for _ in range(3)]
    assert [200, 200, 429] == [one.status for one in answers]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 10
    assert 401 == acme.ask("GET", "/Users", token="x").status  # costs nobody anything


def test_erasing_somebody_forgets_what_their_provider_calls_them(acme: Provider) -> None:
    """And the provider finds nobody by it any more."""
    ada = acme.user("ada@acme.example", externalId="e1").json["id"]
    acme.group("all", ada)
    acme.registry.people.forget(ada, by=OPERATOR)
    assert 404 == acme.ask("GET", f"/Users/{ada}").status
    assert 0 == acme.ask("GET", "/Users").json["totalResults"]
    (group,) = acme.ask("GET", "/Groups").json["Resources"]
    assert "members" not in group


def test_a_password_does_not_bring_back_who_was_ended(acme: Provider) -> None:
    """Who has nothing here any more does not sign in by what they still know."""
    ada = acme.user("ada@acme.example").json["id"]
    person = acme.registry.authority.by_person(ada)
    acme.registry.passwords.set_password(ada, PASSWORD, old=None, by=person, address="here")
    acme.patch(f"/Users/{ada}", {"op": "replace", "path": "active", "value": False})
    with pytest.raises(InputError):
        acme.registry.passwords.sign_in("ada@acme.example", PASSWORD, address="here")
        acme.registry.authority.require_place(ada)
