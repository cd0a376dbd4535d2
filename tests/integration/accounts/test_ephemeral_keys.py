"""Keys of cloud sessions and of runs: rows that end with what they were made for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from bailee.accounts import OPERATOR, Accounts, Person
from bailee.accounts.ephemeral_keys import MOST_OF_RUNS, RUN_LASTS, SESSION_ENDED
from bailee.errors import InputError, StorageError
from support.homes.town import Town

pytestmark = [pytest.mark.row("O6", "T2"), pytest.mark.both_databases]

LASTS = timedelta(hours=2)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A home's people."""
    return Town(tmp_path)


class Acme:
    """An organisation with a person who starts cloud sessions on its account."""

    def __init__(self, town: Town) -> None:
        self.town = town
        owner, _ = town.person("owner@x.example", plan=None)
        self.mia, own = town.person("mia@x.example")
        assert own is not None
        self.own = own.account_id
        self.id = town.organisation(owner=owner, member=self.mia)
        self.account = town.registry.organisations.account(self.id).account_id

    def key(self, session: str = "cs-1", by: Person | None = None) -> tuple[str, str]:
        """A session's key on the organisation's account."""
        return self.town.registry.accounts.key_for_cloud_session(
            self.account,
            session,
            zero_retention=False,
            by=(by or self.mia).person_id,
            lasts=LASTS,
        )


@pytest.fixture
def acme(town: Town) -> Acme:
    """An organisation."""
    return Acme(town)


def good(accounts: Accounts, *secrets: str) -> list[bool]:
    """Which of these the gateway takes."""
    return [accounts.authenticate(one.encode()) is not None for one in secrets]


def here_and_next(town: Town, *secrets: str) -> list[list[bool]]:
    """Which of these this process takes, and one that begins now."""
    return [good(one, *secrets) for one in (town.registry.accounts, town.reopened().accounts)]


def rows(town: Town) -> int:
    """How many there are on disk."""
    with town.engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM ephemeral_keys")).scalar_one()


def test_the_next_process_takes_a_sessions_key_until_the_session_ends(
    town: Town, acme: Acme
) -> None:
    """As the first had it: whose, which session, by whom. The key itself is on no disk."""
    key_id, secret = acme.key()
    _, other = acme.key("cs-2")

    assert [[True, True], [True, True]] == here_and_next(town, secret, other)
    found = [one.api_key(key_id) for one in (town.registry.accounts, town.reopened().accounts)]
    assert found[0] == found[1]
    assert ("cs-1", "cloud", acme.mia.person_id) == (
        found[0].name,
        found[0].scope,
        found[0].created_by,
    )
    assert secret.encode() not in town.stored()
    town.reopened().accounts.ephemeral.end_of_session("cs-1")
    assert [False, True] == good(town.reopened().accounts, secret, other)
    town.registry.accounts.ephemeral.end(key_id, by=SESSION_ENDED)
    town.registry.accounts.ephemeral.end(key_id, by=SESSION_ENDED)
    assert [[False, True], [False, True]] == here_and_next(town, secret, other)


@pytest.mark.row("R5", "R6")
def test_an_erased_persons_sessions_have_no_key_on_any_account(town: Town, acme: Acme) -> None:
    """Of an organisation's account too, though the session runs on; somebody else's stay."""
    other, _ = town.person("bea@x.example")
    _, secret = acme.key()
    _, hers = acme.key("cs-2", other)
    _, own = town.registry.accounts.key_for_cloud_session(
        acme.own, "cs-3", zero_retention=False, by=acme.mia.person_id
    )

    town.registry.people.forget(acme.mia.person_id, by=OPERATOR)

    assert [[False, True, False]] * 2 == here_and_next(town, secret, hers, own)
    assert acme.mia.person_id.encode() not in _created_by(town)


def _created_by(town: Town) -> list[bytes]:
    with town.engine.connect() as connection:
        query = text("SELECT created_by FROM ephemeral_keys")
        return [one.encode() for one in connection.execute(query).scalars()]


@pytest.mark.row("T5")
def test_a_membership_that_ends_takes_its_rows_with_it(town: Town, acme: Acme) -> None:
    """And leaves no key that is said to be revoked: there is none."""
    key_id, secret = acme.key()

    ended = town.registry.organisations.remove(acme.id, acme.mia.person_id, by=OPERATOR)

    assert [key_id] == ended
    assert 0 == rows(town)
    assert [[False], [False]] == here_and_next(town, secret)
    with pytest.raises(InputError) as unknown:
        town.registry.accounts.revoke(key_id)
    assert "not_found" == unknown.value.code


def test_none_is_made_for_who_may_have_it_no_more(town: Town, acme: Acme) -> None:
    """Nothing of it is on disk or on record."""

    def refuse() -> None:
        raise InputError("no more.", code="forbidden")

    with pytest.raises(InputError):
        town.registry.accounts.key_for_cloud_session(
            acme.account, "cs-1", zero_retention=False, by=acme.mia.person_id, still=refuse
        )
    assert 0 == rows(town)
    assert [] == list(town.ledger.entries(kind="key.created"))


def test_a_session_that_nobody_ended_leaves_a_key_for_its_time_alone(
    town: Town, acme: Acme
) -> None:
    """Here and in the next process; then the sweep removes the row."""
    _, secret = acme.key()
    town.fake.advance(LASTS - timedelta(seconds=1))
    before = here_and_next(town, secret)
    town.fake.advance(timedelta(seconds=1))

    assert ([[True], [True]], [[False], [False]]) == (before, here_and_next(town, secret))
    assert {"ephemeral_keys": 1} == town.registry.accounts.ephemeral.sweep(town.clock())
    assert 0 == rows(town)


def test_a_run_that_goes_on_extends_its_key_and_a_killed_one_does_not(
    town: Town, acme: Acme
) -> None:
    """Each sweep of the run; to the run itself it is good without."""
    accounts = town.registry.accounts
    _, secret = accounts.key_for_this_run(acme.account)
    for _ in range(4):
        town.fake.advance(RUN_LASTS * 0.6)
        accounts.ephemeral.sweep(town.clock())
    assert [[True], [True]] == here_and_next(town, secret)

    later = town.reopened().accounts
    town.fake.advance(RUN_LASTS)
    assert [True] == good(accounts, secret)
    assert [False] == good(later, secret)
    assert {"ephemeral_keys": 1} == later.ephemeral.sweep(town.clock())
    assert 0 == rows(town)


def test_a_key_that_is_ended_while_the_disk_refuses_is_none_at_once(town: Town, acme: Acme) -> None:
    """In this process; the row goes with the next sweep, on record."""
    key_id, secret = acme.key()
    accounts = town.registry.accounts
    with town.engine.begin() as connection:
        connection.execute(text("ALTER TABLE ephemeral_keys RENAME TO away"))
    with pytest.raises(StorageError):
        accounts.ephemeral.end(key_id, by=SESSION_ENDED)
    with town.engine.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO ephemeral_keys"))

    assert [[False], [True]] == here_and_next(town, secret)
    accounts.ephemeral.sweep(town.clock())
    assert [[False], [False]] == here_and_next(town, secret)
    (entry,) = town.ledger.entries(kind="key.revoked", subject=key_id)
    assert SESSION_ENDED == entry.body["by"]


def test_runs_that_were_killed_leave_so_many_keys(town: Town, acme: Acme) -> None:
    """The oldest goes; and none counts among those that somebody makes."""
    made = []
    for _ in range(MOST_OF_RUNS + 1):
        town.fake.advance(timedelta(seconds=1))
        made.append(town.reopened().accounts.key_for_this_run(acme.account)[1])

    assert MOST_OF_RUNS == rows(town)
    assert [False, True, True] == good(town.reopened().accounts, made[0], made[1], made[-1])
