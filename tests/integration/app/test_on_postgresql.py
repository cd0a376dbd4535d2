"""A whole home whose databases are on PostgreSQL, by its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from bailee.accounts import OPERATOR
from bailee.app.older import accept_older
from bailee.app.salvaging import salvage
from bailee.db.fencing import COMMITS
from bailee.errors import InputError, IntegrityError, StorageError
from bailee.home import Home, HomeLock
from bailee.node.node import Node
from bailee.node.verifying import verify
from support.clients.asking import perform
from support.homes import databases
from support.homes.places import Place
from support.homes.there import There
from support.servers import postgres

ONE = "6a1f0e6e-1111-4222-8333-444455556666"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[], There]]:
    """Make a home, each with databases of its own."""
    with ExitStack() as closing:

        def made() -> There:
            names = databases.new("data"), databases.new("keys")
            place = There(tmp_path / names[0].rpartition("/")[2], *names)
            closing.callback(place.close)
            return place

        yield made


@pytest.fixture
def home(make: Callable[[], There]) -> There:
    """An open one."""
    return make()


@pytest.mark.row("O6")
def test_it_goes_on_where_it_was(home: There) -> None:
    """What was kept, chosen and entered is there after a new start, and everything checks."""
    home.choose("allowed")
    home.end(home.begin(ONE, text="medlar"))
    home.close()
    home.open()
    assert {ONE} == home.sessions().keys()
    assert "allowed" == home.node.accounts.get(home.account).training_choice
    checked = verify(home.node, home.clock())
    assert [] == checked.damaged
    assert checked.checked["sessions"] == 1
    assert not [*home.folder.rglob("*.db*")], "no file of SQLite's, but for durable work's"


@pytest.mark.row("O6", "O8")
def test_it_is_listed_shown_and_found(home: There) -> None:
    """As people ask for it: a page of sessions, one of them, and its words."""
    home.choose("allowed")
    home.end(home.begin(ONE, text="medlar"))
    (listed,) = perform(home.node, "sessions.list", {"limit": 10})["items"]
    assert ONE == listed["id"]
    assert ONE == perform(home.node, "sessions.show", {"id": ONE})["id"]
    asked = {"words": "medlar", "owner": home.account, "reason": "they asked"}
    found = perform(home.node, "sessions.search", asked)
    assert [ONE] == [one["id"] for one in found["items"]]


@pytest.mark.row("R6", "O6")
def test_an_erasure_says_what_is_so(home: There) -> None:
    """The root has been rotated when its receipt is signed, so every key is destroyed; what is left
    in rows is listed, whoever made the table; and that pages and logs were not searched is said,
    not passed over.
    """
    made = perform(home.node, "person.create", {"email": "ada@example.org", "plan": "pro"})
    home.end(home.begin(ONE, account=made["account"], key=made["key_id"], text="medlar"))
    with home.node.data.begin() as connection:
        connection.exec_driver_sql('CREATE TABLE "odd notes" (said text, raw bytea, at date)')
        planted = "INSERT INTO \"odd notes\" VALUES ('to Ada@example.org', 'ada@example.org')"
        connection.exec_driver_sql(planted)
    generation = home.node.keyring.generation()
    erased = perform(home.node, "person.erase", {"id": made["person"]})
    assert generation < home.node.keyring.generation()
    said = erased["signed"]["receipt"]
    (session,) = said["sessions"]
    assert "backups_unrecoverable" == session["state"]
    (receipt,) = home.node.receipts.all(ONE)
    assert home.clock() == receipt.key_destroyed_at == receipt.backups_unrecoverable_at
    assert "and not what is deleted of them" in said["search"]["unseen"]
    assert 2 == said["search"]["databases"]
    found = {
        (stay["where"], stay["what"]): stay["count"] for stay in said["stays"] if "where" in stay
    }
    words = {place: count for place, count in found.items() if " id" not in place[1]}
    notes = "database.url odd notes"
    assert {(f"{notes}.said", "email"): 1, (f"{notes}.raw", "email"): 1} == words
    assert found["database.url receipts.subject", "session's id"]
    assert "what the search still found is listed" in said["identifiers"]
    assert said["backups"].startswith("The databases are on PostgreSQL")


@pytest.mark.row("P4", "R6", "O6")
def test_what_remains_is_looked_for_in_rows(home: There) -> None:
    """Before an erasure what there is, with the keys that open; after it nothing but what stays on
    purpose, until somebody writes of them anew.
    """
    made = perform(home.node, "person.create", {"email": "ada@example.org", "plan": "pro"})
    home.end(home.begin(ONE, account=made["account"], key=made["key_id"], text="medlar"))
    asked = {"person": "ada@example.org", "reason": "an orchard"}

    def left() -> set[tuple[str, str]]:
        found = perform(home.node, "audit.remains", asked)["result"]
        assert "and not what is deleted of them" in found["unseen"]
        return {(one["where"], one["what"]) for one in found["found"] if not one["expected"]}

    digest = "digest by which they were found"
    assert {("keyring.database_url", "key that opens")} < left()
    assert ("database.url persons.email_index", digest) in left()
    perform(home.node, "person.erase", {"id": made["person"]})
    assert set() == left()
    home.node.registry.staff.read(OPERATOR, "ses_x", "of ada@example.org", whose=home.account)
    assert {("database.url audit, sealed", "word that was given")} == left()


@pytest.mark.row("O6")
def test_one_server_at_a_time(home: There, tmp_path: Path) -> None:
    """Another home, and another start of this one, are refused while it is open."""
    with pytest.raises(StorageError, match="another process has the database"):
        There(tmp_path / "other", *home.names.values())
    assert 0 == len(home.sessions())


@pytest.mark.row("O6")
def test_databases_of_another_home_are_refused(make: Callable[[], There]) -> None:
    """Both, or one of them."""
    one, other = make(), make()
    own = dict(one.names)
    one.close()
    other.close()
    for names in (other.names, {**own, "BAILEE_KEYRING_DATABASE_URL": [*other.names.values()][1]}):
        one.names = names
        with pytest.raises(IntegrityError) as refused:
            one.open()
        assert "home_parts" == refused.value.code
    one.names = own
    one.open()
    other.open()


@pytest.mark.row("O6")
def test_settings_that_do_not_fit(home: There, tmp_path: Path) -> None:
    """One without the other, the same one twice, and a home that has files."""
    data, keys = home.names.values()
    new = postgres.shared().new()
    for names, why in (
        ({"BAILEE_DATABASE_URL": data}, "keyring.database_url is not"),
        ({"BAILEE_KEYRING_DATABASE_URL": keys}, "database.url is not"),
        ({"BAILEE_DATABASE_URL": new, "BAILEE_KEYRING_DATABASE_URL": new}, "the same database"),
    ):
        with pytest.raises(InputError, match=why):
            Node.open(Home(tmp_path / "new"), clock=home.clock, environment=names)
    files = Place(tmp_path / "files")
    files.close()
    with (
        HomeLock(Home(files.folder)),
        pytest.raises(InputError, match="databases in files"),
    ):
        Node.open(Home(files.folder), clock=home.clock, environment=home.names)


@pytest.mark.row("O6")
def test_a_home_says_where_its_databases_are(home: There) -> None:
    """Started without its settings, it asks for them, makes no files, and goes on with them."""
    home.end(home.begin(ONE, text="medlar"))
    home.close()
    (data, _), names = home.names.items(), home.names
    home.names = {}
    with pytest.raises(InputError, match=r"neither database\.url nor") as none:
        home.open()
    assert {*names} <= {*str(none.value.hint).replace(";", " ").split()}
    home.names = dict([data])
    with pytest.raises(InputError, match=r"keyring\.database_url is not"):
        home.open()
    assert not [*home.folder.rglob("*.db*")]
    home.names = names
    home.open()
    assert {ONE} == home.sessions().keys()


@pytest.mark.row("O6")
def test_pages_are_postgresqls_to_put_right(home: There) -> None:
    """Salvaging reads past damaged pages of a file, and is refused where there is none."""
    home.close()
    with pytest.raises(InputError, match="has no database in a file") as refused:
        salvage(Home(home.folder), "an orchard", environment=home.names)
    assert "PostgreSQL" in (refused.value.hint or "")
    home.open()


@pytest.mark.row("R5", "O6")
def test_the_promise_is_judged_by_what_is_destroyed(home: There) -> None:
    """A deletion whose root was not rotated for over an hour is late, though its rows are gone."""
    home.end(home.begin(ONE, text="medlar"))
    perform(home.node, "sessions.delete", {"id": ONE})
    home.clock.advance(timedelta(hours=2))
    from bailee.keeping.receipts import INACCESSIBLE, REQUESTED

    late = home.node.receipts.late
    before = home.clock() - timedelta(hours=1)
    assert 1 == late([REQUESTED, INACCESSIBLE], REQUESTED, before)[0]
    home.node.vault.sweep(home.clock())
    assert 0 == late([REQUESTED, INACCESSIBLE], REQUESTED, before)[0]


@pytest.mark.row("O6", "R5")
def test_an_older_database_is_refused_until_it_is_accepted(home: There) -> None:
    """By the one thing that says so, its count, whichever of the two it is; and by nothing once
    somebody has accepted it.
    """
    home.end(home.begin(ONE, text="medlar"))
    for name, address in zip(("data", "keyring"), home.names.values(), strict=True):
        home.close()
        older = f"UPDATE {COMMITS} SET number = number - 1"
        postgres.shared().do(older, at=address.rpartition("/")[2])
        for _ in range(2):
            with pytest.raises(IntegrityError, match=f"has of {name}/ lacks what was") as refused:
                home.open()
            assert f"accept-older {name} " in (refused.value.hint or "")
        done = accept_older(Home(home.folder), [name], "the disk is lost", home.names)
        assert [name] == done.accepted
        home.open()
        assert {ONE} == home.sessions().keys()
        accepted = [one.subject for one in home.node.ledger.entries(kind="home.older_accepted")]
        assert name in accepted
