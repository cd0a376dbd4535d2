"""Before a session goes its people are told, and can keep it: by a command, and not without a key.

Rows: O7, R1, R5.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from support.clients.programs import Bailee, message

Serve = Callable[..., Bailee]


def later(**by: float) -> str:
    """An ISO moment, counted from now."""
    return (datetime.now(UTC) + timedelta(**by)).isoformat()


def own(bailee: Bailee, key: str, *arguments: str, now: str | None = None) -> tuple[int, str]:
    """A command with somebody's key; its exit status, and what it says."""
    done = bailee.run(*arguments, now=now, env={"BAILEE_API_KEY": key})
    return done.returncode, done.stdout + done.stderr


def test_a_person_is_told_and_keeps_one_by_their_own_act(served: Serve) -> None:
    """Told of both, they keep one: the other goes on time. What they do is on record, and shown
    with who did it wherever the end is shown; taken back, it goes by its own time.
    """
    bailee = served("--test-clock")
    ada = bailee.json("person", "create", "--email", "ada@x.example", "--plan", "pro")
    message(bailee.ready, "medlars", key=ada["key"], session="11111111-32a5-4d0c-8f0b-0d7c3d1c1a11")
    message(bailee.ready, "quinces", key=ada["key"], session="22222222-32a5-4d0c-8f0b-0d7c3d1c1a11")
    kept, other = (one["id"] for one in sorted(bailee.sessions(2), key=lambda one: str(one["id"])))
    soon, past = later(days=25), later(days=30, hours=1)
    assert 0 == bailee.json("sessions", "going")["total"]
    assert 2 == bailee.json("sessions", "going", now=soon)["total"]
    assert kept in bailee.run("sessions", "going", now=soon).stdout

    status, said = own(bailee, "", "sessions", "keep", kept)
    assert (2, True) == (status, "it needs your API key" in said)
    stranger = bailee.json("key", "create", "--plan", "pro")["key"]
    assert (2, True) == (
        (out := own(bailee, stranger, "sessions", "keep", kept))[0],
        "no such session" in out[1],
    )
    status, said = own(bailee, ada["key"], "sessions", "keep", kept, "--until", "2426-01-01")
    assert (2, True) == (status, "retain.transcript-kept" in said)
    status, said = own(bailee, ada["key"], "sessions", "keep", kept, now=soon)
    assert (0, True) == (status, f"bailee sessions release {kept}" in said)

    shown: dict[str, Any] = {one["id"]: one for one in bailee.json("sessions", "list", now=soon)}
    act = shown[kept]["kept"]
    assert (None, ada["person"], "retain.transcript-kept", "P1Y") == (
        shown[other]["kept"],
        act["by"],
        act["clause"],
        act["period"],
    )
    assert act["until"] == shown[kept]["kept_until"]
    assert "deny" == shown[kept]["training"]["effect"]
    assert (
        f"{ada['person']} keeps it until" in bailee.run("sessions", "show", kept, now=soon).stdout
    )
    entries = [one["kind"] for one in bailee.json("audit", "list") if one["subject"] == kept]
    assert "session.kept" in entries

    swept = bailee.json("retention", "run", now=past)
    assert (1, 1) == (swept["sessions"], swept["kept"])
    assert [kept] == [one["id"] for one in bailee.json("sessions", "list", now=past)]
    assert 1 == sum(one["kept"] for one in bailee.json("retention", "report", now=past))

    status, said = own(bailee, ada["key"], "sessions", "release", kept, now=past)
    assert (0, True) == (status, "its own time is over" in said)
    assert 1 == bailee.json("retention", "run", now=past)["sessions"]
    assert [] == bailee.json("sessions", "list", now=past)


def test_an_organisation_forbids_it_and_its_people_have_a_week(served: Serve) -> None:
    """An admin may keep what the organisation's key did, until their owner forbids it."""
    bailee = served("--test-clock")
    owner = bailee.json("person", "create", "--email", "ada@x.example", "--plan", "pro")
    acme = bailee.json(
        "organisation", "create", "Acme", "--plan", "team", "--owner", owner["person"]
    )
    key = bailee.json("key", "create", "--organisation", acme["organisation"])["key"]
    message(bailee.ready, "medlars", key=key)
    (session,) = bailee.sessions()
    assert 2 == own(bailee, key, "sessions", "keep", session["id"])[0]
    assert 0 == own(bailee, owner["key"], "sessions", "keep", session["id"])[0]
    assert 0 == bailee.run("account", "forbid", acme["organisation"], "--keeping").returncode
    (shown,) = bailee.sessions()
    # Within its own time the week changes nothing.
    assert (session["kept_until"], True) == (
        shown["kept_until"],
        shown["kept"]["until"] < shown["kept_until"],
    )
    status, said = own(bailee, owner["key"], "sessions", "keep", session["id"])
    assert (3, True) == (status, "state.no-keeping" in said)
    assert bailee.json("account", "show", acme["organisation"])["no_keeping"]
    assert 0 == bailee.run("account", "allow", acme["organisation"], "--keeping").returncode
    assert 0 == own(bailee, owner["key"], "sessions", "keep", session["id"])[0]
