"""Whom a document would concern: counted in groups, it is what deciding about each would count."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import get_ident

import pytest
from sqlalchemy import Engine, event

from bailee.errors import InputError
from bailee.operations.policies import LARGEST
from bailee.policy import Policy, Unsound
from bailee.policy.loading import from_bytes
from support.documents import HELD, LONGER, edited
from support.homes.backed_up import BackedUp

NO_SUCH_PLAN = (
    ('api = { segment = "commercial", en = "API"', 'edu = { segment = "commercial", en = "API"'),
)
SIX_YEARS = (
    ('for = "P5Y"\nen = "A consumer who allows', 'for = "P6Y"\nen = "A consumer who allows'),
    (
        'exactly = "P5Y"\nen = "A consumer who allowed',
        'exactly = "P6Y"\nen = "A consumer who allowed',
    ),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackedUp]:
    """A home with Ola, who allows training, Pia, who does not, and a company: four, three and two
    sessions.
    """
    made = BackedUp(tmp_path_factory.mktemp("home"))
    ola, pia = made.person("ola@x.example"), made.person("pia@x.example")
    made.say(str(ola["account"]), "before")
    made.ask("privacy.choose", key=ola["key"], choice="allowed")
    made.ask("privacy.choose", key=pia["key"], choice="refused")
    firm = made.node.accounts.create(plan="api", name="firm")[0]
    for word in ("one", "two", "three"):
        made.say(str(ola["account"]), word)
        made.say(str(pia["account"]), f"pia {word}")
    for word in ("four", "five"):
        made.say(firm.account_id, word)
    made.node.vault.settle()
    yield made
    made.node.close()


def tried(place: BackedUp, document: str, **given: object) -> dict[str, object]:
    """What the operator is told."""
    told: dict[str, object] = place.ask("policy.try", document=document, **given)
    return told


@pytest.mark.row("P3", "P5")
@pytest.mark.parametrize(
    ("changes", "action", "before", "after", "sessions", "accounts"),
    [
        (LONGER, "retain", "P30D", "P90D", 2, 1),
        (SIX_YEARS, "retain", "P5Y", "P6Y", 4, 1),
        (NO_SUCH_PLAN, "retain", "P30D", "undecided", 2, 1),
    ],
)
def test_a_change_is_told_with_how_many_it_concerns(
    place: BackedUp,
    changes: tuple[tuple[str, str], ...],
    action: str,
    before: str,
    after: str,
    sessions: int,
    accounts: int,
) -> None:
    """By what holds now for each: Ola's session from before her choice goes with the others."""
    told = tried(place, edited(*changes))
    assert (9, 3) == (told["sessions"], told["accounts"])
    assert (sessions, accounts) == (told["changed_sessions"], told["changed_accounts"])
    concerns = told["concerns"]
    assert isinstance(concerns, list)
    (found,) = [one for one in concerns if one["action"] == action]
    assert (before, after, sessions, accounts) == tuple(
        found[name] for name in ("before", "after", "sessions", "accounts")
    )


@pytest.mark.row("P5")
def test_groups_count_what_going_one_by_one_counts(place: BackedUp) -> None:
    """Each session alone, decided by both documents: the same numbers, for every change."""
    new = from_bytes(edited(*LONGER, *SIX_YEARS).encode(), "new.toml")
    node, alone = place.node, 0
    for group in node.vault.groups():
        account = node.accounts.get(group.owner)
        facts = account.facts(zero_retention=False, channel=group.channel, plan=group.plan)
        kept = [policy.retain("transcript", facts).retention for policy in (node.policy, new)]
        alone += group.sessions * (kept[0] != kept[1])
    told = tried(place, edited(*LONGER, *SIX_YEARS))
    assert 6 == alone == told["changed_sessions"]


@pytest.mark.row("P5")
def test_two_documents_that_do_not_hold_are_compared(place: BackedUp) -> None:
    """The one that holds has no say then; a document against itself concerns nobody."""
    both = edited(*LONGER)
    assert 0 == tried(place, both, against=both)["changed_sessions"]
    assert 2 == tried(place, HELD, against=both)["changed_sessions"]


@pytest.mark.row("P2", "P5")
def test_what_is_not_sound_or_too_large_is_refused_and_nothing_changes(place: BackedUp) -> None:
    """With the place of what is wrong; the policy that holds is what it was."""
    held: Policy = place.node.policy
    with pytest.raises(Unsound, match="the document:1: format is missing"):
        tried(place, "")
    with pytest.raises(InputError) as caught:
        tried(place, "#" * (LARGEST + 1))
    assert "request_too_large" == caught.value.code
    assert held is place.node.policy


@pytest.mark.row("P5")
def test_what_a_trial_asks_of_the_index_does_not_grow_with_its_sessions(tmp_path: Path) -> None:
    """The same questions for a thousand sessions as for two, and the one that counts them reads one
    row for all that are decided about alike: no row of a session's, and nothing is sorted.
    """
    made = BackedUp(tmp_path)
    try:
        firm = made.node.accounts.create(plan="api", name="firm")[0]
        made.say(firm.account_id, "one")
        made.say(firm.account_id, "two")
        made.node.vault.settle()
        tried(made, HELD)  # a home's first act is marked
        few, for_few = _asked(lambda: tried(made, edited(*LONGER)))
        with closing(sqlite3.connect(made.home.data_database)) as raw:
            _fill_up(raw, 998)
        many, for_many = _asked(lambda: tried(made, edited(*LONGER)))
        assert (2, 1_000) == (few["changed_sessions"], many["changed_sessions"])
        assert for_few == for_many
        assert [] == [one for one in for_many if "FROM sessions" in one]
        (counts,) = [one for one in for_many if "FROM session_facts" in one]
        with closing(sqlite3.connect(made.home.data_database)) as raw:
            steps = [row[-1] for row in raw.execute(f"EXPLAIN QUERY PLAN {counts}", [0])]
            (rows,) = raw.execute("SELECT count(*) FROM session_facts").fetchone()
        assert (["SCAN session_facts"], 1) == (steps, rows)
    finally:
        made.node.close()


def _asked(act: Callable[[], dict[str, object]]) -> tuple[dict[str, object], list[str]]:
    """What it came to, and what was asked of any database meanwhile, on this thread."""
    said: list[str] = []
    here = get_ident()

    def listen(*given: object) -> None:
        if get_ident() == here:
            said.append(str(given[2]))

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        return act(), said
    finally:
        event.remove(Engine, "before_cursor_execute", listen)


def _fill_up(raw: sqlite3.Connection, more: int) -> None:
    """So many more rows of sessions, each as one that is there but for its id and number."""
    raw.create_function("row_mac", 1, lambda _row: None)
    found = raw.execute("SELECT * FROM sessions LIMIT 1")
    names = [column[0] for column in found.description]
    row = dict(zip(names, found.fetchone(), strict=True))
    marks = ", ".join("?" * len(names))
    rows = [
        [*{**row, "id": f"more-{one}", "number": 1_000_000 + one, "client_session": None}.values()]
        for one in range(more)
    ]
    with raw:
        raw.executemany(f"INSERT INTO sessions VALUES ({marks})", rows)
