"""People and organisations as one types them, with and without a running server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from support.clients.programs import Bailee, message

Serve = Callable[..., Bailee]


def training(bailee: Bailee) -> list[tuple[str, str]]:
    """What is decided of each session, oldest first."""
    sessions = sorted(bailee.json("sessions", "list"), key=lambda s: str(s["started"]))
    return [(s["training"]["effect"], s["training"]["clause"]) for s in sessions]


def own(bailee: Bailee, person: dict[str, Any], *arguments: str) -> Any:
    """A command with a person's own key."""
    return bailee.json(*arguments, "--key", person["key"])


@pytest.mark.row("T1", "T2", "T3")
def test_a_person_is_made_without_a_choice_and_makes_it_themselves(served: Serve) -> None:
    """The operator makes the person; what they choose, they choose with their key, at once."""
    bailee = served()
    ada = bailee.json("person", "create", "--email", "Ada@x.example", "--plan", "pro")
    before = own(bailee, ada, "privacy", "show")
    message(bailee.ready, "undecided", key=ada["key"])

    own(bailee, ada, "privacy", "allow")
    message(bailee.ready, "allowed", key=ada["key"])
    own(bailee, ada, "privacy", "refuse")
    after = own(bailee, ada, "privacy", "show")
    message(bailee.ready, "refused", key=ada["key"])

    assert {"person", "account", "key"} <= set(ada)
    assert ("none", "ask") == (before["choice"], before["ask"]["effect"])
    assert ("refused", "skip") == (after["choice"], after["ask"]["effect"])
    shown = bailee.json("person", "show", "ada@x.example")
    assert (ada["person"], "pro") == (shown["person"], shown["plan"])
    history = own(bailee, ada, "privacy", "history")
    assert [("none", "allowed"), ("allowed", "refused")] == [(r["old"], r["new"]) for r in history]
    assert history == shown["consent"]
    assert {(ada["person"], "terminal", "2025-10-27", "en", "ISO/IEC TS 27560:2023")} == {
        (r["actor"], r["source"], r["notice"]["version"], r["notice"]["language"], r["schema"])
        for r in history
    }


@pytest.mark.row("T2")
def test_an_operator_can_not_choose_for_a_person(bailee: Bailee) -> None:
    """There is no command for it: without the person's key it is refused, and says why."""
    bailee.json("person", "create", "--email", "ada@x.example")

    done = bailee.run("privacy", "allow")

    assert 2 == done.returncode
    assert "only you can make this choice" in done.stderr
    assert "none" == bailee.json("person", "show", "ada@x.example")["training"]["choice"]


@pytest.mark.row("T5", "T6")
def test_an_admin_opts_their_organisation_in_and_out(served: Serve) -> None:
    """By its name, typed; from then on the organisation's sessions count, and before and
    afterwards they do not. A member and the operator are refused.
    """
    bailee = served()
    ada = bailee.json("person", "create", "--email", "ada@x.example")
    bob = bailee.json("person", "create", "--email", "bob@x.example")
    acme = bailee.json("organisation", "create", "Acme", "--plan", "team", "--owner", ada["person"])
    at = acme["organisation"]
    own(bailee, ada, "organisation", "member", "add", at, "bob@x.example")
    key = bailee.json("key", "create", "--organisation", at)["key"]
    message(bailee.ready, "before", key=key)
    join = ("organisation", "partner", "join", at, "--confirm")

    refused = [
        bailee.run(*join, "Acme", "--key", bob["key"]),
        bailee.run(*join, "Acme"),
        bailee.run(*join, "acme", "--key", ada["key"]),
    ]
    joined = own(bailee, ada, *join, "Acme")
    message(bailee.ready, "while in it", key=key)
    during = training(bailee)
    left = own(bailee, ada, "organisation", "partner", "leave", at)

    assert [2, 2, 2] == [done.returncode for done in refused]
    assert (True, False) == (joined["partner_programme"], left["partner_programme"])
    assert [("deny", "train.inactive"), ("allow", "train.partner")] == during
    assert ["deny", "deny"] == [effect for effect, _ in training(bailee)]
    shown = own(bailee, ada, "organisation", "show", at)
    assert [("none", "joined", ada["person"]), ("joined", "left", ada["person"])] == [
        (r["old"], r["new"], r["actor"]) for r in shown["consent"]
    ]
    assert {"ada@x.example": "owner", "bob@x.example": "member"} == {
        m["email"]: m["role"] for m in shown["members"]
    }


def test_joining_asks_for_the_name_when_it_is_not_given(bailee: Bailee) -> None:
    """And what was typed at the prompt is what counts."""
    ada = bailee.json("person", "create", "--email", "ada@x.example")
    acme = bailee.json("organisation", "create", "Acme", "--plan", "api", "--owner", ada["person"])

    done = bailee.run(
        "organisation", "partner", "join", acme["organisation"], env={"BAILEE_API_KEY": ada["key"]}
    )

    assert "Type the organisation's name" in done.stderr
    assert not bailee.json("organisation", "list")[0]["partner_programme"]


@pytest.mark.row("R2")
def test_zero_retention_is_for_an_organisations_key(served: Serve) -> None:
    """Its sessions are not there; a consumer's key can't have it."""
    bailee = served()
    ada = bailee.json("person", "create", "--email", "ada@x.example", "--plan", "max")
    acme = bailee.json("organisation", "create", "Acme", "--plan", "enterprise")
    zero = bailee.json("key", "create", "--organisation", acme["organisation"], "--zero-retention")

    message(bailee.ready, "kept nowhere", key=zero["key"])
    refused = bailee.run("key", "create", "--person", ada["person"], "--zero-retention")

    assert [] == bailee.json("sessions", "list")
    assert 2 == refused.returncode
    assert "commercial" in refused.stderr


def test_people_are_listed_and_their_emails_are_in_no_file(bailee: Bailee) -> None:
    """What names a person is sealed under their key."""
    for name in ("ada", "bob"):
        bailee.json("person", "create", "--email", f"{name}@x.example")

    listed = bailee.json("person", "list")

    assert ["ada@x.example", "bob@x.example"] == [p["email"] for p in listed]
    assert [] == bailee.holds(b"ada@x.example", b"bob@x.example")
    again = bailee.run("person", "create", "--email", "ADA@x.example")
    assert (2, 1) == (again.returncode, again.stderr.count("hint:"))


def test_tables_show_what_json_says(bailee: Bailee) -> None:
    """For people to read: names, roles, plans, choices."""
    ada = bailee.json("person", "create", "--email", "ada@x.example", "--plan", "pro")
    acme = bailee.json("organisation", "create", "Acme", "--plan", "team", "--owner", ada["person"])
    own(bailee, ada, "privacy", "refuse")

    people = bailee.run("person", "list").stdout
    person = bailee.run("person", "show", ada["person"]).stdout
    organisation = bailee.run("organisation", "show", acme["organisation"]).stdout
    history = bailee.run("privacy", "history", "--key", ada["key"]).stdout

    assert all(word in people for word in ("ada@x.example", "pro", "owner of"))
    assert all(word in person for word in ("refused", "none → refused", "first key"))
    assert all(word in organisation for word in ("Acme", "team", "owner", "ada@x.example"))
    assert all(word in history for word in ("none → refused", "2025-10-27 (en)", "terminal"))
    assert json.dumps(ada["key"]) not in people + person + organisation + history


@pytest.mark.row("P4")
def test_reading_content_at_the_terminal_is_on_record(served: Serve) -> None:
    """Whoever has the machine may read; that they did, and why, stays."""
    bailee = served()
    message(bailee.ready, "the gooseberry incident")
    (session,) = bailee.sessions()

    bailee.json("sessions", "show", session["id"], "--reason", "asked for by its owner")
    bailee.run("sessions", "export", session["id"])

    entries = bailee.json("audit", "list", "--kind", "access.read")
    assert [
        (session["id"], {"by": "operator", "reason": "asked for by its owner"}),
        (session["id"], {"by": "operator", "reason": "at the terminal, no reason given"}),
    ] == [(entry["subject"], entry["body"]) for entry in entries]


def test_what_a_shell_takes_of_a_new_key_is_the_key(bailee: Bailee) -> None:
    """One line on standard output; what is said beside it is on standard error."""
    person = bailee.run("person", "create", "--email", "ada@x.example", "--plan", "pro")
    key = bailee.run("key", "create", "--plan", "pro", "--days", "9")

    for made in (person, key):
        assert re.fullmatch(r"bl_[0-9a-f]+_[0-9a-f]+\n", made.stdout)
        assert "can't be shown again" in made.stderr
    assert "chooses with it" in person.stderr
    assert "good until" in key.stderr
