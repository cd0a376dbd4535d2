"""A disk that changes what was written: it is found and named, never served, and one bad item is
one bad item.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from bailee.db.engine import open_sqlite
from bailee.db.keys import deks, keks
from bailee.db.vault import sessions
from bailee.errors import InputError, IntegrityError
from bailee.node.verifying import known, verify
from bailee.testing.tampering import rewrite, tamper
from bailee.vault.record import subject_of
from support.clients.asking import perform
from support.homes.places import Place

ONE, TWO, THREE, BOBS = (f"{8 * n}-32a5-4d0c-8f0b-0d7c3d1c1a11" for n in "1234")


class Orchard(Place):
    """Ada, who allows training, with three sessions, the first of them held; Bob, with one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        ada = perform(self.node, "person.create", {"email": "ada@x.example", "plan": "pro"})
        bob = perform(self.node, "person.create", {"email": "bob@x.example", "plan": "pro"})
        assert isinstance(ada, dict)
        assert isinstance(bob, dict)
        self.ada, self.bob, self.account = ada, bob, ada["account"]
        self.choose("allowed")
        self.clock.advance(timedelta(minutes=1))
        for session in (ONE, TWO, THREE):
            for text in ("one", "two"):
                self.end(self.begin(session, text=text))
                self.clock.advance(timedelta(seconds=1))
        self.end(self.begin(BOBS, account=bob["account"]))
        self.hold = self.node.vault.place_hold(ONE, "a matter", self.clock()).id

    @property
    def data(self) -> Path:
        """The file of the data database."""
        return self.folder / "data" / "data.db"

    def again(self) -> None:
        """Stop and start."""
        self.close()
        self.open()

    def damaged(self) -> set[str]:
        """What a check of everything names."""
        return {one.where for one in verify(self.node, self.clock()).damaged}

    def listed(self) -> set[str]:
        """The sessions that the list has, by the whole way to it."""
        found = perform(self.node, "sessions.list", {})
        assert isinstance(found, list)
        return {one["id"] for one in found}


@pytest.fixture
def orchard(tmp_path: Path) -> Iterator[Orchard]:
    """A home of its own, whole."""
    made = Orchard(tmp_path / "home")
    yield made
    made.close()


@pytest.mark.row("R1", "R5", "T4")
def test_no_column_of_a_session_can_change_unseen(orchard: Orchard) -> None:
    """Whatever of a session's row is changed: it is named and shown to nobody, the others are, and
    it is whole again when the change is undone.
    """
    assert set() == orchard.damaged()
    for column in [column.name for column in sessions.c if column.name != "id"]:
        with orchard.node.data.connect() as connection:
            query = f"SELECT {column} FROM sessions WHERE id = '{BOBS}'"
            was = connection.exec_driver_sql(query).scalar()
        statement = f"UPDATE sessions SET {column} = ? WHERE id = '{BOBS}'"
        assert 1 == tamper(orchard.data, statement, [b"\xff rubbish"])
        assert {ONE, TWO, THREE} == orchard.listed(), column
        with pytest.raises(IntegrityError, match=BOBS):
            orchard.node.vault.show(BOBS)
        assert [f"sessions {BOBS}"] == [one.where for one in known(orchard.node)]
        tamper(orchard.data, statement, [was])
        orchard.node.damages.forget(f"sessions {BOBS}")
    assert {ONE, TWO, THREE, BOBS} == orchard.listed()
    assert set() == orchard.damaged()


@pytest.mark.row("R1", "R5")
def test_a_time_that_is_put_off_is_not_believed(orchard: Orchard) -> None:
    """Kept until 2026 becomes 2426: nobody is shown the session, no change of it makes it good, its
    key goes when it was to go, and then its row.
    """
    later = "UPDATE sessions SET expires_at = '2426' || substr(expires_at, 5) WHERE id = ?"
    tamper(orchard.data, later, [BOBS])
    with orchard.node.data.begin() as connection:
        connection.execute(update(sessions).where(sessions.c.id == BOBS).values(bytes=1))
    assert BOBS not in orchard.listed()
    orchard.clock.advance(timedelta(days=29))
    orchard.node.sweep(orchard.clock())
    assert f"sessions {BOBS}" in orchard.damaged()
    orchard.clock.advance(timedelta(days=1, hours=1))
    orchard.node.sweep(orchard.clock())
    with pytest.raises(IntegrityError):
        orchard.node.keyring.get(subject_of(BOBS))
    with pytest.raises(InputError):
        orchard.node.vault.row(BOBS, orchard.clock())


@pytest.mark.row("R5", "R6")
def test_an_id_that_is_no_text_stops_nobodys_forgetting(orchard: Orchard) -> None:
    """One flipped bit makes bytes of it: the others' time comes all the same, and its owner can be
    erased.
    """
    tamper(orchard.data, "UPDATE sessions SET id = CAST(id AS BLOB) WHERE id = ?", [BOBS])
    tamper(orchard.data, "UPDATE sessions SET id = 7 WHERE id = ?", [TWO])
    perform(orchard.node, "person.erase", {"id": orchard.bob["person"]})
    orchard.clock.advance(timedelta(days=5 * 366))
    assert {} == orchard.node.sweep(orchard.clock()).failures
    with orchard.node.data.connect() as connection:
        left = connection.execute(select(sessions.c.id)).scalars().all()
    assert THREE not in left


@pytest.mark.row("R5")
def test_what_is_damaged_can_be_deleted(orchard: Orchard) -> None:
    """Its owner's word needs no row that can be believed."""
    tamper(orchard.data, "UPDATE sessions SET period = 'P9Y' WHERE id = ?", [BOBS])
    orchard.node.vault.delete(BOBS, orchard.clock())
    with pytest.raises(IntegrityError):
        orchard.node.keyring.get(subject_of(BOBS))


@pytest.mark.row("R1")
def test_a_plan_that_the_policy_does_not_know(orchard: Orchard) -> None:
    """A session of such a plan is listed with the others, and is not trained on."""
    orchard.close()
    rewrite(orchard.folder, f"UPDATE sessions SET plan = 'p9', uses = 'p9/api' WHERE id = '{BOBS}'")
    orchard.open()
    assert {ONE, TWO, THREE, BOBS} == orchard.listed()
    row = orchard.node.vault.row(BOBS, orchard.clock())
    assert "deny" == orchard.node.deciding.training(row).effect
    assert {f"session {BOBS}"} == orchard.damaged()


@pytest.mark.row("R6")
def test_a_hold_whose_row_changed_still_holds(orchard: Orchard) -> None:
    """It is listed as damaged, keeps its session through a deletion, and can be released."""
    tamper(orchard.data, "UPDATE holds SET state = 'plaaed', requested_at = 'x'")
    (hold,) = orchard.node.holds.all()
    assert (orchard.hold, ONE, "damaged") == (hold.id, hold.subject, hold.state)
    assert "deferred" == orchard.node.vault.delete(ONE, orchard.clock()).state
    assert {f"holds {orchard.hold}"} == {one.where for one in known(orchard.node)}
    orchard.node.holds.release(orchard.hold, orchard.clock())
    assert "deferred" not in {one.state for one in orchard.node.receipts.all(ONE)}


@pytest.mark.row("R6")
def test_a_hold_or_a_consent_that_is_gone_is_missed(orchard: Orchard) -> None:
    """The keyring and the audit record still know of them."""
    (record,) = orchard.node.accounts.consent_records(orchard.account)
    tamper(orchard.data, "DELETE FROM holds")
    orchard.close()
    database = open_sqlite(orchard.data)
    with database.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER consent_records_no_delete")
        connection.exec_driver_sql("DELETE FROM consent_records")
    database.dispose()
    orchard.open()
    assert {f"hold {orchard.hold}", f"consent_records {record.record_id}"} <= orchard.damaged()


def test_part_of_a_session_is_not_shown_as_the_whole(orchard: Orchard) -> None:
    """Of a session whose exchanges are not all in the index nothing is shown, and it is said."""
    tamper(
        orchard.data,
        "DELETE FROM exchanges WHERE number = 1 AND session = "
        "(SELECT number FROM sessions WHERE id = ?)",
        [TWO],
    )
    for read in (orchard.node.vault.show, lambda name: list(orchard.node.vault.export(name))):
        with pytest.raises(IntegrityError, match="1 of 2"):
            read(TWO)
    assert f"session {TWO}" in orchard.damaged()
    assert 2 == len(orchard.node.vault.show(THREE).exchanges)


def test_each_record_is_opened(orchard: Orchard) -> None:
    """A bit of a segment: the record is named by its session and number."""
    (segment,) = [
        path
        for path in (orchard.folder / "vault" / "open").iterdir()
        if b"" != path.read_bytes() and len(path.read_bytes()) > 1000
    ]
    content = bytearray(segment.read_bytes())
    content[40] ^= 1
    segment.write_bytes(content)
    assert {f"session {ONE}, exchange 0"} == orchard.damaged()


@pytest.mark.row("R4", "T4")
def test_one_damaged_key_stops_nobodys_move(orchard: Orchard) -> None:
    """Who refuses has the other sessions moved; the one whose key does not open is named, and goes
    with them: no older copy of its key outlives the choice.
    """
    with orchard.node.keyring.engine.begin() as connection:
        connection.execute(
            update(deks).where(deks.c.subject == subject_of(TWO)).values(wrapped=os.urandom(60))
        )
    orchard.again()
    orchard.choose("refused")
    rows = orchard.sessions()
    assert {"P30D"} == {rows[name].period for name in (ONE, TWO, THREE)}
    assert f"session {TWO}" in {one.where for one in known(orchard.node)}
    (entry,) = orchard.node.ledger.entries(kind="retention.key_damaged")
    assert TWO == entry.subject
    assert {f"session {TWO}", f"key {subject_of(TWO)}"} == orchard.damaged()
    assert orchard.node.vault.moving.all()[-1].finished_at is not None
    orchard.clock.advance(timedelta(days=31))
    orchard.node.vault._forgetting._remove_expired(orchard.clock())
    count = select(func.count()).where(deks.c.subject == subject_of(TWO))
    with orchard.node.keyring.engine.connect() as connection:
        assert 0 == connection.execute(count).scalar()


@pytest.mark.row("T1", "T2")
def test_an_account_a_key_or_a_choice_that_changed(orchard: Orchard) -> None:
    """A revoked key that is good again, a choice that reads otherwise: nobody is let in by them, no
    one is trained on, and the others are served.
    """
    registry = orchard.node.registry
    registry.accounts.revoke(orchard.bob["key_id"])
    (record,) = registry.accounts.consent_records(orchard.account)
    ada, bob = orchard.ada["key"].encode(), orchard.bob["key"].encode()
    tamper(orchard.data, "UPDATE api_keys SET revoked_at = NULL WHERE id = ?",
           [orchard.bob["key_id"]])  # fmt: skip
    tamper(orchard.data, "UPDATE accounts SET training_choice = 'refused' WHERE id = ?",
           [orchard.account])  # fmt: skip
    tamper(orchard.data, "UPDATE consent_records SET new = 'refused'")
    orchard.again()
    accounts = orchard.node.accounts
    assert (None, None) == (accounts.authenticate(ada), accounts.authenticate(bob))
    assert [] == accounts.consent_records(orchard.account)
    assert {ONE, TWO, THREE, BOBS} == orchard.listed()
    row = orchard.node.vault.row(TWO, orchard.clock())
    assert "deny" == orchard.node.deciding.training(row).effect
    assert {
        f"accounts {orchard.account}",
        f"api_keys {orchard.ada['key_id']}",
        f"api_keys {orchard.bob['key_id']}",
        f"consent_records {record.record_id}",
    } <= orchard.damaged()


@pytest.mark.row("R6")
def test_a_rubbish_erasure_keeps_no_server_from_starting(orchard: Orchard) -> None:
    """It is named, and nothing more is kept of the account that it names."""
    tamper(
        orchard.data,
        "INSERT INTO erasures (id, person_id, account_id, state, requested_by, requested_at, "
        "receipt) VALUES ('era_x', 'per_x', 'acc_x', 'requested', 'operator', 'rubbish', '{no')",
    )
    orchard.again()
    assert {"erasures era_x"} == orchard.damaged()
    assert orchard.node.erasures.rows.is_gone("acc_x")
    assert {ONE, TWO, THREE, BOBS} == orchard.listed()


@pytest.mark.row("R5")
def test_a_key_that_a_rotation_could_not_open_is_said_once(orchard: Orchard) -> None:
    """By the report, the start and `verify`, under one name."""
    with orchard.node.keyring.engine.begin() as connection:
        connection.execute(
            update(deks).where(deks.c.subject == subject_of(BOBS)).values(wrapped=os.urandom(60))
        )
        connection.execute(update(keks).values(dirty=True))
    orchard.again()
    orchard.node.vault.rotate(orchard.clock())
    named = f"key {subject_of(BOBS)}"
    assert [named] == [one.where for one in known(orchard.node)]
    assert {named, f"session {BOBS}"} == orchard.damaged()


def test_sums_that_are_not_of_the_rows_are_named_once_and_put_right(orchard: Orchard) -> None:
    """Where the rows are well; where rows are gone or changed, these are named, and the sums follow
    without a word.
    """
    for change in ("sessions = sessions + 1", "owner = owner || 'x'"):
        assert 0 < tamper(orchard.data, f"UPDATE session_facts SET {change}")
        assert {"sums of sessions"} == orchard.damaged()
        assert set() == orchard.damaged()
    tamper(orchard.data, "UPDATE sessions SET plan = 'p9' WHERE id = ?", [BOBS])
    assert {f"sessions {BOBS}"} == orchard.damaged()
    assert {orchard.account} == {one.owner for one in orchard.node.vault.groups()}


def test_what_a_server_says_of_damage_is_what_is_known(orchard: Orchard) -> None:
    """`retention.damaged` names it without reading what is kept; `verify` counts what it read."""
    tamper(orchard.data, "UPDATE sessions SET uses = '' WHERE id = ?", [BOBS])
    said: Any = perform(orchard.node, "retention.damaged", {})
    assert [f"sessions {BOBS}"] == [one["where"] for one in said]
    found: Any = perform(orchard.node, "verify", {})
    assert {"sessions": 3, "records": 6, "holds": 1} == {
        name: found["checked"][name] for name in ("sessions", "records", "holds")
    }


@pytest.mark.row("R1")
def test_a_turn_of_a_session_whose_key_is_damaged_begins_a_new_one(orchard: Orchard) -> None:
    """Nothing that is said after it is lost, whoever talks beside it; and the next turn goes on
    with the new session.
    """
    with orchard.node.keyring.engine.begin() as connection:
        connection.execute(
            update(deks).where(deks.c.subject == subject_of(BOBS)).values(wrapped=os.urandom(60))
        )
    orchard.again()
    bob = orchard.bob["account"]
    for text in ("three", "four"):
        with orchard.node.vault.lock:  # so that they are sealed together
            orchard.keep(orchard.begin(BOBS, account=bob, text=text))
            orchard.keep(orchard.begin(TWO, text=text))
        orchard.node.vault.flush()
        orchard.clock.advance(timedelta(seconds=1))
    (new,) = orchard.listed() - {ONE, TWO, THREE, BOBS}
    shown = orchard.node.vault.show(new)
    assert (bob, 2) == (shown.session.owner, len(shown.exchanges))
    assert 4 == len(orchard.node.vault.show(TWO).exchanges)
    assert {f"session {BOBS}", f"key {subject_of(BOBS)}"} == orchard.damaged()


def test_one_whose_particulars_do_not_open_is_left_out_of_the_list_of_people(
    orchard: Orchard,
) -> None:
    """And named; the others are listed."""
    with orchard.node.keyring.engine.begin() as connection:
        connection.execute(
            update(deks)
            .where(deks.c.subject == orchard.bob["person"])
            .values(wrapped=os.urandom(60))
        )
    orchard.again()
    people: Any = perform(orchard.node, "person.list", {})
    assert ["ada@x.example"] == [one["email"] for one in people]
    assert f"person {orchard.bob['person']}" in {one.where for one in known(orchard.node)}


@pytest.mark.row("T1", "T5")
def test_an_organisation_without_a_sound_account_is_nobody_elses_matter(orchard: Orchard) -> None:
    """It is in no list, its members go on with what else is theirs, and it is named; so is a member
    of another whose row changed.
    """
    ask = partial(perform, orchard.node)
    whole, bad = (
        str(ask("organisation.create", {"name": name, "plan": "team"})["organisation"])
        for name in ("whole", "bad")
    )
    for organisation in (whole, bad):
        for who in (orchard.ada, orchard.bob):
            person = who["person"]
            ask("organisation.member", {"organisation": organisation, "person": person,
                                        "role": "owner"})  # fmt: skip
    tamper(orchard.data, "UPDATE accounts SET plan = 'enterprise' WHERE organisation_id = ?", [bad])
    tamper(orchard.data, "UPDATE persons SET operator = 1 WHERE id = ?", [orchard.bob["person"]])
    orchard.again()
    ask = partial(perform, orchard.node)
    ada = orchard.ada["person"]
    assert [whole] == [one["organisation"] for one in ask("organisation.list", {})]
    places = ask("person.show", {"id": ada})["organisations"]
    assert [whole] == [one["organisation"] for one in places]
    shown = ask("organisation.show", {"organisation": whole})
    assert [ada] == [one["person"] for one in shown["members"]]
    with pytest.raises(InputError):
        ask("organisation.show", {"organisation": bad})
    named = {one.where for one in known(orchard.node)}
    assert {f"organisation {bad}", f"persons {orchard.bob['person']}"} <= named
