"""What is kept of cloud sessions, until when, and how it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee.accounts import OPERATOR
from bailee.cloud.sessions.records import SessionRecord
from bailee.cloud.sessions.states import SessionState
from bailee.cloud.sessions.store import CLASSES, DIFF, EGRESS, OUTPUT
from bailee.errors import InputError, IntegrityError
from support.clients.asking import perform
from support.machines.cloud_yard import Yard

pytestmark = pytest.mark.both_databases


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """A home, an account, and sessions in scripted machines."""
    made = Yard(tmp_path)
    yield made
    made.node.close()


def finished(yard: Yard) -> str:
    """A session that has come to its end."""

    async def live() -> str:
        async with yard.open() as sessions:
            session = yard.request(sessions)
            await sessions.run(session)
            return session

    return asyncio.run(live())


def periods(yard: Yard, session: str) -> dict[str, str]:
    """For how long each class of it is kept."""
    return {one.data_class: one.terms.period for one in yard.node.cloud.holdings(session)}


@pytest.mark.row("C4", "R1")
def test_it_is_kept_as_its_owner_chose(yard: Yard) -> None:
    """Output and changes as long as transcripts are; connections 30 days whatever was chosen."""
    yard.node.accounts.choose_training(
        yard.account.account_id, "allowed", language="en", source="console"
    )
    assert {OUTPUT: "P5Y", DIFF: "P5Y", EGRESS: "P30D"} == periods(yard, finished(yard))


@pytest.mark.row("C4", "R4")
def test_a_choice_shortens_what_is_there_and_lengthens_nothing(yard: Yard) -> None:
    """Turning training off moves it to 30 days from its last activity; turning it on again does
    not move it back.
    """
    choose = yard.node.accounts.choose_training
    account = yard.account.account_id
    choose(account, "allowed", language="en", source="console")
    session = finished(yard)
    last = yard.node.cloud.records.get(session).last_activity
    choose(account, "refused", language="en", source="console")
    assert dict.fromkeys(CLASSES, "P30D") == periods(yard, session)
    held = yard.node.cloud.holdings(session)
    assert {last + timedelta(days=30)} == {one.expires_at for one in held}
    choose(account, "allowed", language="en", source="console")
    assert dict.fromkeys(CLASSES, "P30D") == periods(yard, session)


@pytest.mark.row("C4", "R5")
def test_what_is_past_its_time_is_not_read_and_then_destroyed(yard: Yard) -> None:
    """From that moment on nothing is shown; the sweep destroys the keys and removes the rows."""
    session = finished(yard)
    yard.clock.advance(timedelta(days=30, minutes=1))
    now = yard.clock()
    assert [] == [p for c in CLASSES for p in yard.node.cloud.read(session, c, now)]
    yard.node.sweep(now)
    assert [] == yard.node.cloud.holdings(session)
    for data_class in CLASSES:
        with pytest.raises(IntegrityError):
            yard.node.keyring.get(f"cloud/{session}/{data_class}")
    gone = [body["data_class"] for kind, body in yard.entries(session) if kind == "cloud.expired"]
    assert sorted(CLASSES) == sorted(gone)


@pytest.mark.row("C4", "R6")
def test_who_is_erased_has_no_cloud_session_left(yard: Yard) -> None:
    """What was kept is destroyed with the rest, and what comes later is not kept."""
    session = finished(yard)
    yard.node.erasures.request(yard.account.account_id, yard.clock(), by=OPERATOR)
    assert [] == yard.node.cloud.holdings(session)
    record = yard.node.cloud.records.get(session)
    assert False is yard.node.cloud.append(record, OUTPUT, {"events": []}, yard.clock())


@pytest.mark.row("C5", "G2")
def test_a_list_comes_in_pages_of_what_one_may_see(yard: Yard) -> None:
    """Each session once, the latest first, however short the pages; of an organisation a member
    sees what they started, its owner and a key that speaks for nobody all; nobody another's.
    """
    people = {
        name: ask(yard, "person.create", email=f"{name}@x.example", plan="pro")
        for name in ("owner", "mia", "stranger")
    }
    acme = ask(
        yard, "organisation.create", name="Acme", plan="team", owner=people["owner"]["person"]
    )
    of = {"organisation": acme["organisation"]}
    ask(yard, "organisation.member", person=people["mia"]["person"], role="member", **of)
    keys = {name: made["key"] for name, made in people.items()}
    keys["bare"] = ask(yard, "key.create", name="ci", **of)["key"]
    for number, (owner, by) in enumerate(
        (
            (acme["account"], people["owner"]["person"]),
            (acme["account"], people["mia"]["person"]),
            (people["mia"]["account"], people["mia"]["person"]),
        )
    ):
        for one in "ba":
            keep(yard, f"cs-{number}{one}", owner, by)
        yard.clock.advance(timedelta(minutes=1))

    everything = ["cs-2a", "cs-2b", "cs-1a", "cs-1b", "cs-0a", "cs-0b"]
    assert everything == listed(yard, {})
    assert everything[2:] == listed(yard, {"key": keys["owner"]})
    assert everything[2:] == listed(yard, {"key": keys["bare"]})
    assert everything[:4] == listed(yard, {"key": keys["mia"]})
    assert [] == listed(yard, {"key": keys["stranger"]})
    assert [] == listed(yard, {"state": "ended"})
    with pytest.raises(InputError):
        ask(yard, "cloud.list", state="lost")


def ask(yard: Yard, operation: str, **values: Any) -> Any:
    """An operation of the home."""
    return perform(yard.node, operation, values)


def keep(yard: Yard, name: str, owner: str, by: str) -> None:
    """Keep a session that somebody asks for now."""
    now = yard.clock()
    yard.node.cloud.records.add(
        SessionRecord(
            name, owner, by, "pro", False, "bailee", "none", SessionState.QUEUED, None, None, None,
            None, now, None, now, None,
        )
    )  # fmt: skip


def listed(yard: Yard, values: Mapping[str, Any]) -> list[str]:
    """The ids of all pages of the list, each of one item."""
    found, after = [], None
    while True:
        page = ask(yard, "cloud.list", **values, limit=1, after=after)
        found += [one["session"] for one in page["items"]]
        after = page["next"]
        if after is None:
            return found
