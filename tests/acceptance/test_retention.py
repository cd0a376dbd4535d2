"""Walking through time: what is kept, until when, and gone afterwards."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.clients.programs import Bailee, message

Serve = Callable[..., Bailee]


def later(**by: float) -> str:
    """An ISO moment, counted from now."""
    return (datetime.now(UTC) + timedelta(**by)).isoformat()


def choose(bailee: Bailee, key: str, choice: str) -> dict[str, Any]:
    """A person's choice about training, made over HTTP with their own key."""
    request = urllib.request.Request(
        bailee.ready["console_api"] + "/api/v1/privacy/training",
        json.dumps({"choice": choice}).encode(),
        {"x-api-key": key, "content-type": "application/json"},
        method="PUT",
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        state: dict[str, Any] = json.loads(response.read())
    return state


@pytest.mark.row("R1", "R5", "T2")
def test_each_is_kept_for_its_time_and_then_gone(served: Serve) -> None:
    """Allowed: 5 years. Refused, undecided, commercial: 30 days. Gone at the end of it, from the
    lists at once and from the keyring with the sweep, whether a server runs or not.
    """
    bailee = served("--test-clock")
    keys = {
        name: bailee.json("key", "create", "--plan", plan, "--name", name)
        for name, plan in (("ada", "pro"), ("bob", "max"), ("eve", "free"), ("org", "team"))
    }
    choose(bailee, keys["ada"]["key"], "allowed")
    choose(bailee, keys["bob"]["key"], "refused")
    for name, made in keys.items():
        message(bailee.ready, f"{name} likes medlars", key=made["key"])

    sessions = {s["account"]: s for s in bailee.json("sessions", "list")}
    by_name = {name: sessions[made["account"]] for name, made in keys.items()}

    assert {
        "ada": ("P5Y", "retain.consumer-allowed", "allow"),
        "bob": ("P30D", "retain.consumer-refused", "deny"),
        "eve": ("P30D", "retain.consumer-undecided", "deny"),
        "org": ("P30D", "retain.commercial", "deny"),
    } == {
        name: (s["retention"]["period"], s["retention"]["clause"], s["training"]["effect"])
        for name, s in by_name.items()
    }

    almost, past = later(days=29, hours=23), later(days=30, hours=1)
    assert 4 == len(bailee.json("sessions", "list", now=almost))
    assert 0 == bailee.json("retention", "run", now=almost)["sessions"]
    assert [by_name["ada"]["id"]] == [s["id"] for s in bailee.json("sessions", "list", now=past)]
    swept = bailee.json("retention", "run", now=past)
    assert 3 == swept["sessions"]
    assert 1 <= swept["keks"]

    # Not even with the time set back can they be read again.
    assert [by_name["ada"]["id"]] == [s["id"] for s in bailee.json("sessions", "list")]
    gone = bailee.run("sessions", "show", by_name["bob"]["id"])
    assert 0 != gone.returncode
    assert "error:" in gone.stderr

    bailee.stop()
    almost, past = later(days=5 * 365), later(days=5 * 365 + 3)
    assert 1 == len(bailee.json("sessions", "list", now=almost))
    assert 1 == bailee.json("retention", "run", now=past)["sessions"]
    assert [] == bailee.json("sessions", "list")
    assert [] == bailee.json("retention", "report")
    assert [] == bailee.holds(b"likes medlars")


@pytest.mark.row("R5")
def test_an_active_session_moves_its_end_along(served: Serve) -> None:
    """Kept until counts from the last activity, and the sweep of the old date spares it."""
    bailee = served("--test-clock")
    message(bailee.ready, "first")
    (session,) = bailee.sessions()

    end = datetime.fromisoformat(session["kept_until"])
    last = datetime.fromisoformat(session["last_activity"])
    assert timedelta(days=30) == end - last


def test_the_server_goes_on_after_time_was_walked(served: Serve) -> None:
    """A sweep far in the future must not harm what comes in afterwards."""
    bailee = served("--test-clock")
    message(bailee.ready, "before the walk")
    bailee.json("retention", "run", now=later(days=40))

    message(bailee.ready, "after the walk")
    bailee.stop(signal.SIGKILL)
    served("--test-clock")

    (session,) = bailee.sessions()
    shown = bailee.json("sessions", "show", session["id"])
    assert "after the walk" == shown["messages"][0]["content"]


def test_the_time_of_an_ordinary_home_can_not_be_set(served: Serve) -> None:
    """BAILEE_NOW is refused, by every command, with a running server and without."""
    bailee = served()
    for arguments in (("sessions", "list"), ("retention", "run")):
        refused = bailee.run(*arguments, now=later(days=31))
        assert 2 == refused.returncode
        assert "BAILEE_NOW" in refused.stderr
    bailee.stop()
    assert 2 == bailee.run("retention", "run", now=later(days=31)).returncode


def test_a_wrong_time_is_an_error(served: Serve) -> None:
    """What is not a moment is refused, with how to write one."""
    bailee = served("--test-clock")

    refused = bailee.run("sessions", "list", now="tomorrow")

    assert 2 == refused.returncode
    assert "BAILEE_NOW=2026-" in refused.stderr


def test_a_deleted_session_is_gone_at_once(served: Serve) -> None:
    """From list and show; a second deletion says that there is nothing."""
    bailee = served()
    message(bailee.ready, "forget the damsons")
    (session,) = bailee.sessions()

    receipt = bailee.json("sessions", "delete", session["id"])

    assert {"requested", "inaccessible", "key_destroyed"} <= set(receipt["states"])
    assert [] == bailee.json("sessions", "list")
    assert 0 != bailee.run("sessions", "show", session["id"]).returncode
    assert 0 != bailee.run("sessions", "delete", session["id"]).returncode
    assert [] == bailee.holds(b"damsons")


def test_the_report_shows_what_is_kept(served: Serve) -> None:
    """By class, plan and day, as numbers and as a picture."""
    bailee = served()
    for number in range(3):
        message(bailee.ready, f"pear {number}")

    (row,) = bailee.json("retention", "report")
    picture = bailee.run("retention", "report").stdout

    assert ("transcript", "api", 3) == (row["data_class"], row["plan"], row["sessions"])
    assert "█" in picture
    assert row["expiry_day"] in picture


def test_a_persons_choice_takes_their_own_key(served: Serve) -> None:
    """From the terminal too; without a key nobody's choice is made."""
    bailee = served()
    made = bailee.json("key", "create", "--plan", "pro")

    refused = bailee.run("privacy", "allow")
    allowed = bailee.json("privacy", "allow", "--key", made["key"])
    commercial = bailee.run("privacy", "allow", "--key", bailee.ready["key"])

    assert 2 == refused.returncode
    assert ("allowed", "allow") == (allowed["choice"], allowed["effect"])
    assert "no training choice" in commercial.stderr
