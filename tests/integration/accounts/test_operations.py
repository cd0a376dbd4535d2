"""Every operation about people, asked for by everybody there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bailee.errors import BaileeError
from bailee.home import Home
from bailee.node import Node
from bailee.operations import (
    choices,
    importing,
    keys,
    organisations,
    own_policies,
    people,
    sign_ins,
)
from support.clients.asking import perform
from support.own_documents import kept

OPERATOR = "operator"
# Who may ask for an operation about the organisation Acme or about Mia, who is a member of it.
# `bare` is a key of Acme's account that speaks for nobody; `other` one of an account that is its
# key holder's.
EVERYBODY = {
    "operator", "nobody", "owner", "admin", "mia", "stranger", "bare", "other",
}  # fmt: skip
WITH_A_KEY = EVERYBODY - {"operator", "nobody"}
MAY: Mapping[str, set[str]] = {
    "person.create": {"operator"},
    "person.import": {"operator"},
    "person.list": {"operator"},
    "person.show": {"operator", "mia"},
    "person.password": {"owner", "admin", "mia", "stranger"},  # each their own
    "person.trainer": {"operator"},
    "person.auditor": {"operator"},
    "sign_ins.list": {"operator", "mia"},
    "sign_ins.end": {"operator", "mia"},
    "organisation.create": {"operator"},
    "organisation.list": {"operator"},
    "organisation.show": {"operator", "owner", "admin", "mia"},
    "organisation.member": {"operator", "owner", "admin"},
    "organisation.remove_member": {"operator", "owner", "admin", "mia"},
    "organisation.provider": {"operator"},
    "organisation.provider_only": {"operator"},
    "organisation.key_days": {"operator", "owner"},
    "organisation.policy": {"operator", "owner", "admin", "mia"},
    "organisation.policy_explain": {"operator", "owner", "admin", "mia"},
    "organisation.policy_try": {"operator", "owner"},
    "organisation.policy_set": {"operator", "owner"},
    "organisation.policy_remove": {"operator", "owner"},
    "partner.join": {"owner", "admin"},
    "partner.leave": {"owner", "admin"},
    "key.create": {"operator", "owner", "admin"},
    "key.list": {"operator"},
    "key.show": WITH_A_KEY,
    "key.places": EVERYBODY - {"nobody"},  # each their own: see below
    "key.revoke": {"operator", "owner", "admin", "mia"},
    "privacy.show": WITH_A_KEY,
    "privacy.choose": WITH_A_KEY - {"bare"},  # each for their own account: see below
    "privacy.history": WITH_A_KEY,
    "privacy.exports": WITH_A_KEY,
}


class Stage:
    """A home with an organisation, and a way to ask as anybody."""

    def __init__(self, folder: Path) -> None:
        self.node = Node.open(Home(folder / "home"))
        self.secrets: dict[str, str] = {}
        self.person: dict[str, str] = {}
        self.account: dict[str, str] = {}
        for name in ("owner", "admin", "mia", "stranger"):
            made = self.ask(OPERATOR, "person.create", email=f"{name}@x.example", plan="pro")
            self.secrets[name], self.person[name] = made["key"], made["person"]
            self.account[name] = made["account"]
        made = self.ask(OPERATOR, "organisation.create", name="Acme", plan="team")
        self.organisation = made["organisation"]
        for name, role in (("owner", "owner"), ("admin", "admin"), ("mia", "member")):
            self.ask(
                OPERATOR,
                "organisation.member",
                organisation=self.organisation,
                person=self.person[name],
                role=role,
            )
        made = self.ask(OPERATOR, "key.create", name="ci", organisation=self.organisation)
        self.secrets["bare"] = made["key"]
        made = self.ask(OPERATOR, "key.create", name="other", plan="pro")
        self.secrets["other"], self.account["other"] = made["key"], made["account"]
        made = self.ask("mia", "key.create", name="mine", organisation=self.organisation)
        self.mias_key = made["key_id"]
        self.arguments: dict[str, dict[str, object]] = {
            "person.create": {"email": "new@x.example", "plan": "free"},
            "person.import": {"people": [{"email": "listed@x.example"}]},
            "person.list": {},
            "person.show": {"id": self.person["mia"]},
            "person.password": {"new": "seven pear trees in a row"},
            "person.trainer": {"id": self.person["mia"]},
            "person.auditor": {"id": self.person["mia"]},
            "sign_ins.list": {"id": self.person["mia"]},
            "sign_ins.end": {"id": self.person["mia"]},
            "organisation.create": {"name": "New", "plan": "api"},
            "organisation.list": {},
            "organisation.show": {"organisation": self.organisation},
            "organisation.member": {
                "organisation": self.organisation,
                "person": self.person["stranger"],
                "role": "member",
            },
            "organisation.remove_member": {
                "organisation": self.organisation,
                "person": self.person["mia"],
            },
            "organisation.provider": {
                "organisation": self.organisation,
                "domain": "acme.example",
                "issuer": "https://sign-in.acme.example",
                "client_id": "bailee",
            },
            "organisation.provider_only": {"organisation": self.organisation, "only": False},
            "organisation.key_days": {"organisation": self.organisation, "days": None},
            "organisation.policy": {"organisation": self.organisation},
            "organisation.policy_explain": {
                "organisation": self.organisation,
                "question": ["resume", "session_deleted=true", "account_erased=false"],
            },
            "organisation.policy_try": {"organisation": self.organisation, "document": kept(7)},
            "organisation.policy_set": {
                "organisation": self.organisation,
                "document": kept(7),
                "reason": "asked for",
            },
            "organisation.policy_remove": {
                "organisation": self.organisation,
                "reason": "asked for",
            },
            "partner.join": {"organisation": self.organisation, "confirmation": "Acme"},
            "partner.leave": {"organisation": self.organisation},
            "key.create": {
                "organisation": self.organisation,
                "name": "zero",
                "zero_retention": True,
            },
            "key.list": {},
            "key.show": {},
            "key.places": {},
            "key.revoke": {"key_id": self.mias_key},
            "privacy.show": {},
            "privacy.choose": {"choice": "allowed"},
            "privacy.history": {},
            "privacy.exports": {},
        }

    def ask(self, who: str, operation: str, **arguments: object) -> Any:
        """Carry out an operation as somebody: by key, without any as the operator."""
        if who == "nobody":
            arguments["cookie"] = None
        elif who != OPERATOR:
            arguments["key"] = self.secrets[who]
        return perform(self.node, operation, arguments)

    def refused(self, who: str, operation: str) -> bool:
        """Whether somebody is refused for who they are."""
        try:
            self.ask(who, operation, **self.arguments[operation])
        except BaileeError as error:
            return error.code in ("forbidden", "authentication")
        return False


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A home of its own."""
    made = Stage(tmp_path)
    yield made
    made.node.close()


def test_no_operation_is_without_a_rule_here() -> None:
    """Whoever adds one says who may ask for it."""
    here = (people, importing, organisations, own_policies, choices, keys, sign_ins)
    assert {name for one in here for name in one.OPERATIONS} == set(MAY)


@pytest.mark.row("T2", "T5", "T6")
@pytest.mark.parametrize("operation", MAY)
def test_an_operation_is_carried_out_for_those_who_may(stage: Stage, operation: str) -> None:
    """And refused for everybody else: those without rights first, so that nothing has changed."""
    mine = MAY[operation]

    may = {
        who
        for who in sorted(EVERYBODY, key=lambda w: (w in mine, w == "mia", w))
        if not stage.refused(who, operation)
    }

    assert mine == may


@pytest.mark.row("T2")
def test_a_choice_is_always_the_askers_own(stage: Stage) -> None:
    """Each key changes its own account and no other; nobody else can be named."""
    for who in ("stranger", "other"):
        with pytest.raises(BaileeError, match="no argument 'account'"):
            stage.ask(who, "privacy.choose", choice="allowed", account=stage.account["mia"])
        stage.ask(who, "privacy.choose", choice="allowed")

    accounts = stage.node.accounts
    chosen = {who: accounts.get(id_).training_choice for who, id_ in stage.account.items()}
    assert {"owner": "none", "admin": "none", "mia": "none"} | {
        "stranger": "allowed",
        "other": "allowed",
    } == chosen


def test_a_member_does_not_list_everybodys_sessions(stage: Stage) -> None:
    """An organisation's sessions are listed for its owner, admins and its own keys; a person's for
    the person.
    """
    for who in ("owner", "admin", "mia"):
        made = stage.ask(who, "key.create", name="k", organisation=stage.organisation)
        stage.secrets[f"{who} in it"] = made["key"]
    stage.arguments["sessions.list"] = {}

    may = {who for who in stage.secrets if not stage.refused(who, "sessions.list")}

    assert set(stage.secrets) - {"mia in it"} == may


def test_a_members_own_key_may_not_be_one_of_zero_retention(stage: Stage) -> None:
    """They make keys that speak for them; what is kept of them an admin decides."""
    made = stage.ask("mia", "key.create", name="k", organisation=stage.organisation)

    assert (stage.person["mia"], False) == (made["person"], made["zero_retention"])
    with pytest.raises(BaileeError) as refused:
        stage.ask(
            "mia", "key.create", name="k", organisation=stage.organisation, zero_retention=True
        )
    assert "forbidden" == refused.value.code


@pytest.mark.row("R2")
def test_an_admin_makes_keys_of_zero_retention(stage: Stage) -> None:
    """Of their organisation, and of none on a consumer plan."""
    made = stage.ask(
        "admin", "key.create", name="z", organisation=stage.organisation, zero_retention=True
    )

    assert made["zero_retention"] is True
    with pytest.raises(BaileeError):
        stage.ask("mia", "key.create", name="z", person=stage.person["mia"], zero_retention=True)
    with pytest.raises(BaileeError):
        stage.ask(OPERATOR, "key.create", name="z", person=stage.person["mia"], zero_retention=True)


def test_a_key_that_speaks_for_someone_else_is_the_operators_to_make(stage: Stage) -> None:
    """A member can't make one that speaks for the owner; nobody for one who is not in it."""
    key = {"name": "k", "organisation": stage.organisation}
    with pytest.raises(BaileeError) as refused:
        stage.ask("mia", "key.create", person=stage.person["owner"], **key)
    assert "forbidden" == refused.value.code
    with pytest.raises(BaileeError, match="does not belong to this person"):
        stage.ask(OPERATOR, "key.create", person=stage.person["stranger"], **key)


@pytest.mark.row("T6")
def test_an_admin_can_not_speak_for_the_owner(stage: Stage) -> None:
    """Or whoever makes the owner's key would have the owner's rights."""
    with pytest.raises(BaileeError) as refused:
        stage.ask(
            "admin",
            "key.create",
            name="k",
            organisation=stage.organisation,
            person=stage.person["owner"],
        )

    assert "forbidden" == refused.value.code


def test_a_key_of_the_organisation_reaches_nothing_else_of_its_person(stage: Stage) -> None:
    """What an organisation gave its member is no key to the member's own account."""
    made = stage.ask(
        OPERATOR,
        "key.create",
        name="k",
        organisation=stage.organisation,
        person=stage.person["mia"],
    )
    authority = stage.node.registry.authority
    own = stage.node.accounts.get(stage.account["mia"])
    acme = stage.node.registry.organisations.account(stage.organisation)

    by = authority.by_key(made["key"])

    assert frozenset() == authority.standings(by, own)
    assert frozenset({"member"}) == authority.standings(by, acme)
    stage.secrets["given"] = made["key"]
    assert stage.refused("given", "person.show")


def test_owners_are_made_by_owners_and_one_always_stays(stage: Stage) -> None:
    """An admin neither makes nor unmakes one; the last can't go."""

    def put(who: str, person: str, role: str) -> object:
        return stage.ask(
            who,
            "organisation.member",
            organisation=stage.organisation,
            person=stage.person[person],
            role=role,
        )

    for person, role in (("mia", "owner"), ("owner", "member"), ("admin", "owner")):
        with pytest.raises(BaileeError) as refused:
            put("admin", person, role)
        assert "forbidden" == refused.value.code
    with pytest.raises(BaileeError, match="at least one owner"):
        put("owner", "owner", "admin")
    put("owner", "mia", "owner")
    put("owner", "owner", "admin")
    with pytest.raises(BaileeError, match="at least one owner"):
        stage.ask(
            "mia",
            "organisation.remove_member",
            organisation=stage.organisation,
            person=stage.person["mia"],
        )


def test_who_is_let_go_has_no_key_there_any_more(stage: Stage) -> None:
    """Their own account and its key stay."""
    stage.ask(
        "owner",
        "organisation.remove_member",
        organisation=stage.organisation,
        person=stage.person["mia"],
    )

    keys = {key.key_id: key.revoked_at for key, _ in stage.node.accounts.api_keys()}
    assert keys[stage.mias_key] is not None
    stage.ask("mia", "privacy.show")


def test_an_unknown_or_revoked_key_is_nobody(stage: Stage) -> None:
    """Not the operator, whatever is asked for."""
    stage.ask(OPERATOR, "key.revoke", key_id="key_" + stage.secrets["mia"][3:13])
    stage.secrets["made up"] = "bl_0000000000_" + "0" * 48
    stage.secrets["empty"] = ""

    for who in ("mia", "made up", "empty"):
        for operation in MAY:
            assert stage.refused(who, operation), (who, operation)


def test_the_first_password_takes_the_persons_own_key_and_the_next_the_password(
    stage: Stage,
) -> None:
    """A key that an organisation gave does not do."""
    given = stage.ask(
        OPERATOR,
        "key.create",
        name="k",
        organisation=stage.organisation,
        person=stage.person["mia"],
    )
    stage.secrets["given"] = given["key"]
    new = "seven pear trees in a row"

    assert stage.refused("given", "person.password")
    stage.ask("mia", "person.password", new=new)

    with pytest.raises(BaileeError, match="current password"):
        stage.ask("mia", "person.password", new="eleven plum trees in a row")
    signed_in = stage.node.registry.passwords.sign_in("mia@x.example", new, address="192.0.2.1")
    assert stage.person["mia"] == signed_in


def test_what_names_a_person_is_sealed_in_the_home(stage: Stage) -> None:
    """No email stands in any file; destroying the key leaves nothing that opens."""
    home = stage.node.home.path
    needle = b"mia@x.example"
    assert "mia@x.example" == stage.ask(OPERATOR, "person.show", id=stage.person["mia"])["email"]

    assert [] == [f for f in home.rglob("*") if f.is_file() and needle in f.read_bytes()]
    stage.node.keyring.destroy([stage.person["mia"]])
    assert stage.ask(OPERATOR, "person.show", id=stage.person["mia"])["email"] is None


@pytest.mark.row("G2")
@pytest.mark.parametrize("who", ["mia", "stranger", "bare"])
def test_nobody_is_told_whether_there_is_a_person_with_an_email(stage: Stage, who: str) -> None:
    """The answer for one that is there is, word for word, the one for one that is not."""
    asked = [
        ("person.show", "id", {}),
        ("person.export", "id", {}),
        ("person.erase", "id", {}),
        ("organisation.member", "person", {"organisation": stage.organisation, "role": "member"}),
        ("organisation.remove_member", "person", {"organisation": stage.organisation}),
        ("organisation.create", "owner", {"name": "x", "plan": "team"}),
        ("key.create", "person", {"name": "k", "plan": "pro"}),
        ("key.create", "person", {"name": "k", "organisation": stage.organisation}),
    ]  # fmt: skip
    for operation, name, more in asked:
        answers = []
        for email in ("owner@x.example", "nobody@x.example"):
            with pytest.raises(BaileeError) as refused:
                stage.ask(who, operation, **{name: email, **more})
            answers.append((refused.value.code, refused.value.message, refused.value.hint))
        assert answers[0] == answers[1], operation


def test_one_finds_oneself_by_email(stage: Stage) -> None:
    """However it is written."""
    shown = stage.ask("mia", "person.show", id="MIA@x.example")
    assert stage.person["mia"] == shown["person"]
