"""Every operation about what a home keeps, asked for by everybody there is."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bailee.errors import BaileeError
from bailee.home import Home
from bailee.node import Node
from bailee.operations import (
    choices,
    codec,
    importing,
    keys,
    organisations,
    own_policies,
    people,
    request_work,
    requests,
    sign_ins,
    table,
)
from support.clients.asking import perform
from support.homes.captured import begun, end

# `owner`, `admin` and Mia, a member, are of the organisation Acme; `stranger` is a person in none,
# `bare` a key of Acme's that speaks for nobody; `nobody` has no proof of anything. `staff` is a
# person who was made an operator, and has signed in to the console; `auditor` sees the evidence.
EVERYBODY = {
    "operator", "staff", "owner", "admin", "mia", "stranger", "bare", "nobody", "auditor",
}  # fmt: skip
OPERATORS = frozenset({"operator", "staff"})
EVIDENCE = frozenset({*OPERATORS, "auditor"})

MIAS: Mapping[str, frozenset[str]] = dict.fromkeys(
    (
        "sessions.list", "sessions.count", "sessions.unfiled", "sessions.unkept",
        "sessions.find", "sessions.show", "sessions.export", "sessions.raw",
        "retention.receipts", "retention.moves", "sessions.delete", "sessions.going",
        "sessions.search",
    ),
    OPERATORS | {"mia"},
) | dict.fromkeys(("retention.receipts", "retention.moves"), EVIDENCE | {"mia"})  # fmt: skip
"""About what Mia said on her own account."""

ACMES: Mapping[str, frozenset[str]] = (
    dict.fromkeys(MIAS, OPERATORS | {"owner", "admin", "bare"})
    | {"sessions.delete": OPERATORS | {"owner", "admin"}}
    | dict.fromkeys(
        ("retention.receipts", "retention.moves"), EVIDENCE | {"owner", "admin", "bare"}
    )
)
"""About what was said on the organisation's."""

KEEPS: Mapping[str, frozenset[str]] = {
    "mia": frozenset({"mia"}), "acme": frozenset({"owner", "admin"}),
}  # fmt: skip
"""Who keeps a session beyond its time: never the operator."""
FORBIDS: Mapping[str, frozenset[str]] = {
    "mia": OPERATORS, "acme": OPERATORS | {"owner", "admin"},
}  # fmt: skip
"""Who forbids it on an account."""
DEMANDS: Mapping[str, frozenset[str]] = {
    "mia": OPERATORS, "acme": OPERATORS | {"owner"},
}  # fmt: skip
"""Who says from where an account is answered."""
KEEPING = ("sessions.may_keep", "sessions.keep", "sessions.release")

THE_HOMES: Mapping[str, frozenset[str]] = dict.fromkeys(
    (
        "policy.try", "policy.closed", "policy.activate",
        "retention.run", "retention.sums", "verify",
        "keyring.rotate", "clock.confirm",
        "backup.create", "backup.list", "backup.end",
        "training.export", "training.exports", "training.verify", "training.withdrawals",
        "audit.witness", "audit.remains", "person.auditor",
        "metrics.list", "metrics.query", "metrics.summary", "metrics.dropped",
        "metrics.destinations", "errors.list", "errors.show", "errors.set",
        "hold.place", "hold.release", "hold.list", "hold.read",
        "account.list", "account.allow", "account.limit",
        "usage.limit", "usage.unlimit", "usage.allow",
        "workload.add", "workload.list", "workload.remove",
        "scim.add", "scim.list", "scim.remove",
        "organisation.groups", "organisation.set_groups", "organisation.try_groups",
        "survey.results", "feedback.set", "feedback.draft", "feedback.file",
    ),
    OPERATORS,
) | dict.fromkeys(
    (
        "policy.activations", "promises", "status", "clock.show",
        "retention.watch", "retention.report", "retention.damaged",
        "audit.list", "audit.show", "audit.checkpoint", "audit.verify", "audit.proof",
        "audit.streams",
    ),
    EVIDENCE,
) | dict.fromkeys(("receipts.key", "receipts.list"), frozenset(EVERYBODY - {"nobody"}))  # fmt: skip
"""About the home as a whole."""

ELSEWHERE = {
    *(one for one in people.OPERATIONS if one != "person.auditor"), *organisations.OPERATIONS,
    *importing.OPERATIONS,
    *own_policies.OPERATIONS,  # accounts/test_operations.py
    *requests.OPERATIONS, *request_work.OPERATIONS,  # app/test_requests.py
    *choices.OPERATIONS, *keys.OPERATIONS, *sign_ins.OPERATIONS,  # accounts/test_operations.py
    "person.export", "person.erase",  # app/test_person_data.py
    "account.show",  # below
    "policy.notices", "policy.seen",  # app/test_activation.py
    "receipts.show", "receipts.proof",  # contract/test_keepers.py
    "feedback.list", "feedback.show", "feedback.withdraw",  # feedback/
    "cloud.start", "cloud.list", "cloud.show", "cloud.stop", "cloud.send", "cloud.attach",
    "cloud.logs", "cloud.diff", "cloud.teleport", "cloud.delete",  # cloud_sessions/
    "usage.show", "usage.limits", "usage.models",  # app/test_usage.py
    "increase.ask", "increase.list", "increase.approve", "increase.deny",  # app/test_increases.py
    "cloud.git.add", "cloud.git.list", "cloud.git.remove",  # cloud/test_git_connections.py
    "cloud.network.list", "cloud.network.allow", "cloud.network.deny",
    "cloud.network.remove",  # cloud/test_network_lists.py
}  # fmt: skip


class Stage:
    """A home in which Mia and Acme have said something, and a way to ask as anybody."""

    def __init__(self, folder: Path) -> None:
        self.node = Node.open(Home(folder / "home"))
        self.proofs: dict[str, dict[str, object]] = {"operator": {}, "nobody": {"cookie": None}}
        person: dict[str, Any] = {}
        for name in ("owner", "admin", "mia", "stranger", "staff", "auditor"):
            person[name] = made = self.ask(
                "operator", "person.create", email=f"{name}@x.example", plan="pro",
                operator=name == "staff",
            )  # fmt: skip
            self.proofs[name] = {"key": made["key"]}
        self.ask("operator", "person.auditor", id=person["auditor"]["person"])
        cookie = self.node.registry.web_sessions.begin(person["staff"]["person"], client="test")
        self.proofs["staff"] = {"cookie": cookie}
        self.staff = person["staff"]["person"]
        acme = self.ask("operator", "organisation.create", name="Acme", plan="team")
        self.organisation = acme["organisation"]
        for name, role in (("owner", "owner"), ("admin", "admin"), ("mia", "member")):
            self.ask(
                "operator", "organisation.member", organisation=acme["organisation"],
                person=person[name]["person"], role=role,
            )  # fmt: skip
        made = self.ask("operator", "key.create", name="ci", organisation=acme["organisation"])
        self.proofs["bare"] = {"key": made["key"]}
        self.account = {"mia": person["mia"]["account"], "acme": acme["account"]}
        for owner in self.account.values():
            end(self.node, begun(self.node, owner, f"of {owner}", "pears"))
        self.node.vault.settle()

    def ask(self, who: str, operation: str, **values: object) -> Any:
        """Carry out an operation as somebody, to the end."""
        function = table.OPERATIONS[operation]
        if "asks" in inspect.signature(function).parameters:  # it takes what it says that it takes
            taken = codec.parameters(function).__struct_fields__
            values = {name: one for name, one in values.items() if name in (*taken, "reason")}
        result = perform(self.node, operation, {**values, **self.proofs[who]})
        return list(result) if isinstance(result, Iterator) else result

    def session(self, whose: str) -> str:
        """The id of what was said on an account."""
        (row,) = self.ask("operator", "sessions.list", owner=self.account[whose])
        return str(row["id"])

    def may(self, operation: str, expected: frozenset[str], **values: object) -> set[str]:
        """Who is not refused; those first who should be."""
        found = set()
        for who in sorted(EVERYBODY, key=lambda who: (who in expected, who)):
            try:
                self.ask(who, operation, **values)
            except BaileeError as error:
                if error.code in ("forbidden", "authentication"):
                    continue
                if error.code == "not_found" and who not in expected:
                    continue
            found.add(who)
        return found


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One home for all that changes nothing for the next."""
    made = Stage(tmp_path_factory.mktemp("asks"))
    yield made
    made.node.close()


def test_no_operation_is_without_a_rule() -> None:
    """Whoever adds one says who may ask for it."""
    known = {*MIAS, *KEEPING, "account.keeping", "account.residency", *THE_HOMES, *ELSEWHERE}
    assert known == set(table.OPERATIONS)


@pytest.mark.row("O7")
@pytest.mark.parametrize("whose", list(KEEPS))
def test_who_keeps_a_session_and_who_forbids_it(whose: str, stage: Stage) -> None:
    """It is whose session it is that keeps it; what is forbidden is allowed again."""
    session = stage.session(whose)
    for operation in KEEPING:
        assert KEEPS[whose] == stage.may(operation, KEEPS[whose], id=session), operation
    account = stage.account[whose]
    may = stage.may("account.keeping", FORBIDS[whose], account=account, forbidden=False)
    assert FORBIDS[whose] == may


@pytest.mark.row("O4")
@pytest.mark.parametrize("whose", list(DEMANDS))
def test_who_demands_a_region(whose: str, stage: Stage) -> None:
    """The operator, and an organisation's owners; what holds is in the account's summary."""
    account = stage.account[whose]
    assert DEMANDS[whose] == stage.may(
        "account.residency", DEMANDS[whose], account=account, region="eu"
    )
    assert "eu" == stage.ask("operator", "account.show", id=account)["residency"]
    stage.ask("operator", "account.residency", account=account)


@pytest.mark.row("G2")
@pytest.mark.parametrize("whose", ["mia", "acme"])
@pytest.mark.parametrize("operation", [one for one in MIAS if one != "sessions.delete"])
def test_what_is_somebodys_is_theirs(stage: Stage, operation: str, whose: str) -> None:
    """Lists, particulars, words and receipts of an account are for who has to do with it, and for
    the operator; for nobody else is there anything.
    """
    expected = (MIAS if whose == "mia" else ACMES)[operation]
    values = {
        "owner": stage.account[whose], "id": stage.session(whose), "exchange": 0,
        "words": "pears", "reason": "a complaint",
    }  # fmt: skip
    assert expected == stage.may(operation, expected, **values)


@pytest.mark.row("G2")
@pytest.mark.parametrize("operation", THE_HOMES)
def test_what_is_the_homes_is_the_operators(stage: Stage, operation: str) -> None:
    """Whatever they name."""
    expected = THE_HOMES[operation]
    values = {
        "id": stage.session("mia"), "session": "none", "reason": "an officer asks", "name": "n",
        "account": stage.account["mia"], "unrecorded_routes": True,
        "state": "open", "number": 1, "folder": "nowhere", "document": "no document",
        "measure": "tokens", "amount": 7, "per": "day", "of": "team",
        "organisation": stage.organisation, "rules": [], "claims": {},
        "issuer": "https://x.example", "audience": "gateway",
    }  # fmt: skip
    assert expected == stage.may(operation, expected, **values)


@pytest.mark.row("G1", "G2")
def test_what_of_an_account_lies_on_disk_is_told_to_who_has_to_do_with_it(stage: Stage) -> None:
    """A person's own to them alone, an organisation's to its members and keys; and the operator."""
    mias, acmes = OPERATORS | {"mia"}, OPERATORS | {"owner", "admin", "mia", "bare"}
    assert mias == stage.may("account.show", mias, id=stage.account["mia"])
    assert acmes == stage.may("account.show", acmes, id=stage.account["acme"])
    shown = stage.ask("mia", "account.show")
    assert stage.account["mia"] == shown["account"]
    assert shown["stored_bytes"] > 0 == shown["telemetry_bytes"] == shown["reports_bytes"]


@pytest.mark.row("R5", "R6")
@pytest.mark.parametrize(("whose", "by"), [("mia", "mia"), ("acme", "admin"), ("mia", "staff")])
def test_a_deletion_says_who_asked(tmp_path: Path, whose: str, by: str) -> None:
    """Who may not is refused, and it stays; who may is named in the audit record, by their id."""
    stage = Stage(tmp_path)
    try:
        session = stage.session(whose)
        expected = (MIAS if whose == "mia" else ACMES)["sessions.delete"]
        for who in EVERYBODY - expected:
            with pytest.raises(BaileeError):
                stage.ask(who, "sessions.delete", id=session)
        assert session == stage.session(whose)
        stage.ask(by, "sessions.delete", id=session)
        (entry,) = stage.ask("operator", "audit.list", kind="session.deletion_asked")
        key = stage.proofs[by].get("key")
        authority = stage.node.registry.authority
        name = stage.staff if key is None else authority.by_key(str(key)).person_id
        assert {"by": name} == entry["body"]
    finally:
        stage.node.close()


@pytest.mark.row("G2")
def test_who_reads_as_staff_is_on_record_by_name(stage: Stage) -> None:
    """Mia reads her own without an entry; a person who was made an operator with theirs."""

    def entries() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = stage.ask("operator", "audit.list", kind="access.read")
        return found

    session = stage.session("mia")
    before = len(entries())
    stage.ask("mia", "sessions.show", id=session)
    assert before == len(entries())
    stage.ask("staff", "sessions.show", id=session, reason="a complaint")
    assert (before + 1, stage.staff) == (len(entries()), entries()[0]["body"]["by"])


@pytest.mark.row("O8", "P4")
def test_who_searches_what_is_anothers_is_on_record_without_the_words(stage: Stage) -> None:
    """Mia searches hers without an entry. Staff, and who runs an organisation, say whose and why;
    of what staff are shown each session is on record too; in a list they are told no title.
    """

    def entries(kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = stage.ask("operator", "audit.list", kind=kind)
        return found

    account, acme = stage.account["mia"], stage.account["acme"]
    searched, read = len(entries("sessions.searched")), len(entries("access.read"))
    mine = stage.ask("mia", "sessions.search", words="pears", owner=account)
    assert ["pears"] == [one["about"]["title"] for one in mine["items"]]
    for who, owner, reason in (
        ("operator", None, "a complaint"), ("staff", account, None), ("operator", account, None),
        ("staff", account, "short"), ("admin", acme, None),
    ):  # fmt: skip
        with pytest.raises(BaileeError):
            stage.ask(who, "sessions.search", words="pears", owner=owner, reason=reason)
    assert (searched, read) == (len(entries("sessions.searched")), len(entries("access.read")))
    asked = {"words": "pears", "owner": account, "reason": "a complaint"}
    shown = stage.ask("staff", "sessions.search", **asked)
    assert ["pears"] == [one["excerpt"] for one in shown["items"]]
    latest = entries("sessions.searched")[0]
    assert {"by": stage.staff, "reason": "a complaint"} == latest["body"]
    assert account == latest["subject"]
    assert (searched + 1, read + 1) == (
        len(entries("sessions.searched")),
        len(entries("access.read")),
    )
    stage.ask("admin", "sessions.search", words="pears", owner=acme, reason="an audit of ours")
    assert acme == entries("sessions.searched")[0]["subject"]
    assert read + 1 == len(entries("access.read"))
    (listed,) = stage.ask("staff", "sessions.list", owner=account)
    assert listed["about"] is None  # what it is told by is content
    (listed,) = stage.ask("mia", "sessions.list", owner=account)
    assert {"title": "pears", "client": "claude-code", "folder": ""} == listed["about"]
