"""What groups give and take: with a real OpenID provider, whose groups change while it runs.

Rows: O1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bailee.accounts import OPERATOR, OpenIdProvider
from bailee.accounts.groups import GroupRule, GroupRules
from bailee.accounts.sign_ins import ClientTokens, ConfirmedSignIn
from bailee.clock import system_clock
from bailee.errors import BaileeError, InputError, UpstreamError
from bailee.testing.tampering import tamper
from support.homes.town import PASSWORD, Town
from support.servers.openid import provider, walk

CONSOLE, BACK = "http://127.0.0.1:1", "/sign-in/provider"
PEOPLE = {
    one: {"email": f"{one}@acme.example", "email_verified": True} for one in ("ada", "bob", "una")
}


class Company:
    """A town with two organisations, of which Acme has a provider, and whose groups a test sets."""

    def __init__(self, folder: Path, issuer: str, groups: Path) -> None:
        self.town = Town(folder, system_clock)
        self.town.environment["ACME_SECRET"] = "provider-secret"
        self.groups = groups
        groups.write_text("{}")
        self.acme = self.town.organisation("Acme")
        self.other = self.town.organisation("Contractors of Acme", plan="enterprise")
        self.provider: OpenIdProvider = self.town.registry.providers.bind(
            self.acme, domain="acme.example", issuer=issuer, client_id="bailee",
            secret_env="ACME_SECRET", by=OPERATOR,
        )  # fmt: skip

    def rules(self, *rules: GroupRule) -> None:
        """What holds from now on."""
        made = GroupRules(rules, scope="groups") if rules else None
        self.town.registry.groups.set_rules(self.acme, made, by=OPERATOR)

    def are_in(self, **groups: object) -> None:
        """Who is in which groups from now on."""
        self.groups.write_text(json.dumps(groups))

    def comes(self, login: str) -> ConfirmedSignIn:
        """Somebody goes through the provider's pages; as whom a client would work for Acme."""
        providers = self.town.registry.providers
        begun = providers.begin(
            self.provider, redirect_uri=CONSOLE + BACK, address="192.0.2.1", offline=True
        )
        arrived = providers.arrive(walk(CONSOLE + BACK, begun.url, login), cookie=begun.cookie)
        return ConfirmedSignIn(
            arrived.person_id, self.account(self.acme), arrived.provider, arrived.token
        )

    def account(self, organisation: str) -> str:
        """An organisation's account."""
        return self.town.registry.organisations.account(organisation).account_id

    def signs_in(self, login: str, organisation: str | None = None) -> tuple[str, ClientTokens]:
        """The same, with a client; who it is."""
        came = self.comes(login)
        at = self.town.registry.accounts.get(self.account(organisation or self.acme))
        assert came.provider == self.town.registry.sign_ins.provider_for(came.person_id, at)
        confirmed = ConfirmedSignIn(came.person_id, at.account_id, came.provider, came.token)
        return came.person_id, self.town.registry.sign_ins.begin(confirmed, client="cli")

    def has(self, person: str) -> Mapping[str, object]:
        """Somebody's roles and teams, by organisation."""
        groups, authority = self.town.registry.groups, self.town.registry.authority
        return {
            name: (role, groups.team(name, person))
            for name in (self.acme, self.other)
            if (role := authority.role(person, name)) is not None
        }

    def said(self, *kinds: str) -> list[tuple[str, object, object]]:
        """What the record says: kind, role and rule."""
        return [
            (one.kind, one.body.get("role"), one.body.get("rule"))
            for one in self.town.ledger.entries()
            if one.kind in kinds
        ]

    def is_good(self, tokens: ClientTokens) -> bool:
        """Whether the gateway takes it."""
        return self.town.registry.accounts.authenticate(tokens.access.encode()) is not None


def refused(act: object, *arguments: object) -> str:
    """The code with which something is refused."""
    with pytest.raises(BaileeError) as error:
        act(*arguments)  # type: ignore[operator]
    return error.value.code


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A provider, and the file with the groups of its people."""
    groups = tmp_path_factory.mktemp("provider") / "groups"
    groups.write_text("{}")
    with provider(CONSOLE, PEOPLE, groups=groups, back=BACK) as issuer:
        yield issuer, groups


@pytest.fixture
def company(tmp_path: Path, running: tuple[str, Path]) -> Company:
    """See `Company`."""
    return Company(tmp_path, *running)


ROLES = ("group.gained", "group.lost")


def test_a_group_gives_a_place_and_leaving_it_takes_it_at_the_next_renewal(
    company: Company,
) -> None:
    """With the client's access; and who gained and lost what, by which rule, is on record."""
    member = GroupRule("eng", company.acme, "member", "engineers")
    admin = GroupRule("leads", company.acme, "admin")
    company.rules(member, admin)
    company.are_in(ada=["eng"])
    sign_ins = company.town.registry.sign_ins

    ada, first = company.signs_in("ada")
    was = company.has(ada)
    company.are_in(ada=["eng", "leads"])
    second = sign_ins.renew(first.refresh or "")
    then = company.has(ada)
    company.are_in(ada=["cooks"])
    out = refused(sign_ins.renew, second.refresh)

    assert {company.acme: ("member", "engineers")} == was
    assert {company.acme: ("admin", "engineers")} == then
    assert "authentication" == out
    assert {} == company.has(ada)
    assert not company.is_good(second)
    assert [
        ("group.gained", "member", member.rule_id),
        ("group.lost", "member", member.rule_id),
        ("group.gained", "admin", admin.rule_id),
        ("group.lost", "admin", admin.rule_id),
    ] == company.said(*ROLES)
    assert "forbidden" == refused(company.comes, "ada")


def test_who_is_in_no_group_is_nobody_here(company: Company) -> None:
    """They are not even known afterwards; and a rule for everybody is one that says so."""
    company.rules(GroupRule("eng", company.acme))
    company.are_in(bob="engineering", una=["eng "])

    found = [refused(company.comes, one) for one in ("ada", "bob", "una")]
    people = company.town.registry.people.all()
    company.rules(GroupRule(None, company.acme, "member", "all"))
    ada, _ = company.signs_in("ada")

    assert ["forbidden"] * 3 == found
    assert [] == people
    assert {company.acme: ("member", "all")} == company.has(ada)


def test_a_group_gives_a_place_in_another_organisation_with_another_plan(company: Company) -> None:
    """By its provider alone: it is asked at each renewal there too, and what was given by hand in
    that organisation stays when the group is left.
    """
    company.rules(GroupRule("contractors", company.other, "admin", "outside"))
    company.are_in(ada=["contractors"], bob=["contractors"])
    registry = company.town.registry

    ada, tokens = company.signs_in("ada", company.other)
    bob = company.comes("bob").person_id
    found = registry.accounts.authenticate(tokens.access.encode())
    plan = None if found is None else found[1].plan
    company.are_in()
    out = refused(registry.sign_ins.renew, tokens.refresh)
    registry.organisations.add(company.other, ada, "member", by=OPERATOR)
    company.are_in(ada="contractors")
    company.comes("ada")
    by_hand = company.has(ada)
    company.are_in()
    refused(company.comes, "ada")

    assert "enterprise" == plan
    assert "authentication" == out
    assert {company.other: ("admin", "outside")} == company.has(bob)
    assert {company.other: ("member", "outside")} == by_hand
    assert {company.other: ("member", None)} == company.has(ada)


def test_what_was_decided_by_hand_outlasts_groups(company: Company) -> None:
    """An owner stays one, in no group too; whom an admin let go comes in by no group again."""
    company.are_in(ada=["eng"], bob=["eng"])
    ada, bob = (company.comes(one).person_id for one in ("ada", "bob"))  # before there are rules
    organisations = company.town.registry.organisations
    organisations.add(company.acme, ada, "owner", by=OPERATOR)
    company.rules(GroupRule("eng", company.acme))
    company.comes("bob")

    company.are_in(bob=["eng"])
    company.comes("ada")
    organisations.remove(company.acme, bob, by=OPERATOR)

    assert {company.acme: ("owner", None)} == company.has(ada)
    assert "forbidden" == refused(company.comes, "bob")
    assert {} == company.has(bob)


def test_a_rule_that_goes_takes_what_it_gave_at_once(company: Company) -> None:
    """From who is signed in, too; and without any rules the provider's people are members again."""
    gone, stays = GroupRule("eng", company.acme), GroupRule("cooks", company.acme)
    company.rules(gone, stays, GroupRule("eng", company.other))
    company.are_in(ada=["eng"], bob=["cooks"])
    ada, tokens = company.signs_in("ada")
    bob, kept = company.signs_in("bob")

    company.rules(stays)
    taken = company.has(ada), company.is_good(tokens), company.is_good(kept)
    company.rules()
    una, _ = company.signs_in("una")

    assert ({}, False, True) == taken
    assert {company.acme: ("member", None)} == company.has(bob) == company.has(una)
    assert [stays.rule_id] == [
        one.body["rule"]
        for one in company.town.ledger.entries()
        if one.kind == "provider.group_rule_removed" and one.body["group"] == "cooks"
    ]


def test_what_a_provider_does_not_say_gives_nothing_and_takes_nothing(company: Company) -> None:
    """Too many groups, or rules that can't be read: there is no new token, nothing has ended, and
    nobody comes in.
    """
    company.rules(GroupRule("eng", company.acme))
    company.are_in(ada=["eng"])
    ada, tokens = company.signs_in("ada")

    company.are_in(ada=["eng", *map(str, range(1000))], bob=["eng", *map(str, range(1000))])
    with pytest.raises(UpstreamError):
        company.town.registry.sign_ins.renew(tokens.refresh or "")
    stands = company.has(ada), company.is_good(tokens)
    unknown = refused(company.comes, "bob")
    company.are_in(ada=["eng"], bob=["eng"])
    again = company.town.registry.sign_ins.renew(tokens.refresh or "")
    tamper(company.town.folder / "data.db", "UPDATE group_rules SET rules = '[]'")

    assert ({company.acme: ("member", None)}, True) == stands
    assert "groups_unknown" == unknown
    assert company.is_good(again)
    assert "tampered" == refused(company.comes, "bob")


def test_only_the_operator_says_what_groups_give(company: Company) -> None:
    """No owner of the organisation: a rule may let people into another."""
    owner, _ = company.town.person("owner@elsewhere.example")
    company.town.registry.organisations.add(company.acme, owner.person_id, "owner", by=OPERATOR)
    rules = GroupRules((GroupRule(None, company.other, "admin"),))

    with pytest.raises(InputError) as error:
        company.town.registry.groups.set_rules(company.acme, rules, by=company.town.actor(owner))

    assert "forbidden" == error.value.code
    assert company.town.registry.groups.rules(company.acme) is None


def test_who_signs_in_by_the_provider_only_has_no_other_way(company: Company) -> None:
    """What they had ends, and nothing takes its place; until it is said that it may. An owner whom
    the provider never sent still comes in: somebody has to when it is away.
    """
    registry, operator = company.town.registry, OPERATOR
    ada = company.comes("ada").person_id
    owner, _ = company.town.person("owner@elsewhere.example")
    registry.organisations.add(company.acme, owner.person_id, "owner", by=operator)
    for one in (ada, owner.person_id):
        registry.passwords.set_password(
            one, PASSWORD, old=None, by=registry.authority.by_person(one), address="a"
        )
    cookie = registry.web_sessions.begin(ada, client="browser")

    def sets(person: str) -> None:
        by = registry.authority.by_person(person)
        registry.passwords.set_password(person, PASSWORD, old=None, by=by, address="a")

    def comes(email: str) -> str:
        return registry.passwords.sign_in(email, PASSWORD, address="a")

    others = refused(
        lambda: registry.organisations.set_provider_only(company.other, True, by=operator)
    )
    theirs = refused(
        lambda: registry.organisations.set_provider_only(
            company.acme, True, by=registry.authority.by_person(owner.person_id)
        )
    )
    ended = registry.organisations.set_provider_only(company.acme, True, by=operator)
    found = [refused(comes, "ada@acme.example"), refused(sets, ada)]
    away = comes("owner@elsewhere.example")
    again = company.comes("ada").person_id
    registry.organisations.set_provider_only(company.acme, False, by=operator)
    sets(ada)

    assert ("invalid_request", "forbidden") == (others, theirs)
    assert 1 == ended
    assert ["authentication", "forbidden"] == found
    assert "authentication" == refused(registry.web_sessions.actor, cookie)
    assert (owner.person_id, ada, ada) == (away, again, comes("ada@acme.example"))
