"""Backups of homes on PostgreSQL, and the way there and back: a backup, and a restore."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from bailee.backup import into_databases
from bailee.backup.checking import verified
from bailee.backup.into_databases import without_addresses
from bailee.backup.places import FolderPlace
from bailee.db.carrying import carry, is_empty
from bailee.db.postgresql import open_postgresql
from bailee.db.vault import sessions
from bailee.errors import InputError
from bailee.node.verifying import verify
from support.homes import databases
from support.homes.backed_up import BackedUp, rows
from support.servers import postgres

ADDRESSES = ("BAILEE_DATABASE_URL", "BAILEE_KEYRING_DATABASE_URL")
WAYS = [
    ("files", "postgresql"),
    ("postgresql", "files"),
    ("postgresql", "postgresql"),
]


def where(kind: str) -> dict[str, str]:
    """What is set where a home is restored into databases of a kind, with nothing in them."""
    if kind == "files":
        return {}
    return {name: postgres.shared().new() for name in ADDRESSES}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], BackedUp]]:
    """Make a home of a kind."""
    made: list[BackedUp] = []

    def one(kind: str) -> BackedUp:
        there = {}
        if kind == "postgresql":
            there = {ADDRESSES[0]: databases.new("data"), ADDRESSES[1]: databases.new("keys")}
        made.append(BackedUp(tmp_path / kind, environment=there))
        return made[-1]

    yield one
    for home in made:
        home.node.close()


def planted(place: BackedUp) -> str:
    """Things that stay, and some that go after the backup; the account of who stays."""
    stays = str(place.person("ola@x.example")["account"])
    goes = str(place.person("mia@x.example")["account"])
    for word in ("quince", "damson"):
        place.say(stays, word)
    place.say(goes, "bullace")
    for word in ("sloe", "rowan"):
        place.report(stays, word)
    place.output(place.node.accounts.get(stays), "hazel")
    place.measure(1.0, 2.0)
    place.ask("hold.place", session=place.sessions["quince"], reason="a matter")
    return stays


def end_some(place: BackedUp, stays: str) -> None:
    """What is decided after the backup."""
    at = place.clock()
    place.node.vault.delete(place.sessions["damson"], at)
    place.node.reports.withdraw(place.node.reports.get(place.reports["rowan"], at), at, by="key_1")
    place.ask("person.erase", id="mia@x.example")
    place.node.accounts.choose_training(stays, "refused", language="en", source="console")


@pytest.mark.row("R5", "R6", "D4", "O6")
@pytest.mark.parametrize(("old", "new"), WAYS)
def test_what_lives_comes_over_and_what_was_ended_does_not(
    make: Callable[[str], BackedUp], old: str, new: str
) -> None:
    """Sessions are shown, their keys open; everything that is checked is good, the audit record to
    its last entry; the restored home goes on. What was destroyed since the backup stays destroyed,
    also in the snapshot's younger keys.
    """
    place, there = make(old), where(new)
    stays = planted(place)
    place.back_up()
    end_some(place, stays)
    place.take_log()
    said = [(one.number, one.kind, one.subject) for one in place.node.ledger.entries()]

    done = place.restore(environment=there)

    with place.restored(environment=there) as restored:
        node = restored.node
        assert {"quince", "sloe", "hazel"} == restored.words()
        gone = ("damson", "bullace", "rowan")
        assert {} == {word: found for word in gone if (found := restored.openable(word))}
        assert "refused" == node.accounts.get(stays).training_choice
        assert node.registry.people.by_email("mia@x.example") is None
        assert 2 == place.measured(node)
        assert ["a matter"] == [hold.reason for hold in node.holds.all()]
        entries = [(one.number, one.kind, one.subject) for one in node.ledger.entries()]
        assert said == entries[: len(said)]
        number = node.ledger.append("home.verified", "home", {})
        assert number > max(one for one, _, _ in entries)
        node.sequencer.run()
        checked = verify(node, place.clock())
        assert [] == checked.damaged
        assert checked.checked["sessions"]
        place.node, old_node = node, place.node
        place.say(stays, "medlar")
        place.node = old_node
        assert "medlar" in restored.words()
    folder = place.folder / "restored"
    databases = {path.name for path in folder.rglob("*.db*")} - {"dbos.db"}
    assert databases == (set() if there else {"data.db", "keyring.db"})
    assert done.undone >= 4
    assert bool(there) is done.on_postgresql


@pytest.mark.row("R5", "O6")
def test_a_backup_from_postgresql_is_as_any(make: Callable[[str], BackedUp]) -> None:
    """Its database is a file of SQLite's with the rows of one moment; no name is in it, and its
    keys are under a root of their own. What is newer is not in it.
    """
    place = make("postgresql")
    stays = planted(place)
    place.back_up()
    place.say(stays, "medlar")
    manifest, _, wrong = verified(FolderPlace(place.data))
    assert [] == wrong
    copy = place.data / manifest.backup / "data" / "data.db"
    assert {place.sessions[word] for word in ("quince", "damson", "bullace")} == {
        name for (name,) in rows(copy, "SELECT id FROM sessions")
    }
    raw = copy.read_bytes() + next(place.keys.rglob("keyring.db")).read_bytes()
    assert b"@x.example" not in raw
    left = {path.name for path in (place.home.path / "data").iterdir()}
    assert {"reserve"} == left, "what was on its way is gone"
    with place.node.keyring.engine.connect() as connection:
        wraps = {row[0] for row in connection.exec_driver_sql("SELECT wrapped FROM keks")}
    assert wraps
    assert not [wrap for wrap in wraps if wrap in raw]


@pytest.mark.row("R5", "P4", "O6")
def test_a_receipt_waits_for_the_copies_of_keys(make: Callable[[str], BackedUp]) -> None:
    """With a snapshot about, a key that is destroyed by a rotation can be had from that still; the
    receipt says so, until its end.
    """
    place = make("postgresql")
    planted(place)
    place.back_up()
    place.node.vault.delete(place.sessions["damson"], place.clock())
    place.node.vault.rotate(place.clock())
    (receipt,) = place.node.receipts.all(place.sessions["damson"])
    assert "key_destroyed" == receipt.state
    place.clock.advance(timedelta(hours=48))
    assert {} == place.node.sweep(place.clock()).failures
    (receipt,) = place.node.receipts.all(place.sessions["damson"])
    assert receipt.backups_unrecoverable_at is not None
    assert [] == [*place.keys.iterdir()]


@pytest.mark.row("O6")
def test_a_restore_goes_on_where_it_was(
    make: Callable[[str], BackedUp], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off before and after each of the two databases has its rows: what is there stays, and
    is not carried twice.
    """
    place, there = make("files"), where("postgresql")
    end_some(place, planted_and_backed_up(place))
    place.take_log()
    real = carry
    done: list[str] = []
    for line in ("keys", "data"):
        for after in (False, True):

            def broken(*given: object, line: str = line, after: bool = after) -> None:
                if given[2] != line or after:
                    real(*given)  # type: ignore[arg-type]
                    done.append(str(given[2]))
                if given[2] == line:
                    raise OSError("killed")

            with monkeypatch.context() as patched, pytest.raises(OSError, match="killed"):
                patched.setattr(into_databases, "carry", broken)
                place.restore(environment=there)
    place.restore(environment=there)
    assert ["keys", "data"] == done
    with place.restored(environment=there) as restored:
        assert {"quince", "sloe", "hazel"} == restored.words()
        assert [] == verify(restored.node, place.clock()).damaged
    assert not [*(place.folder / "restored").rglob("restor*")]


def planted_and_backed_up(place: BackedUp) -> str:
    """See `planted`."""
    stays = planted(place)
    place.back_up()
    return stays


@pytest.mark.row("O6", "R5")
def test_databases_that_are_somebodys_are_not_written_to(make: Callable[[str], BackedUp]) -> None:
    """Those of the home that the backup is of, those of a home that was restored from it, and one
    that has tables of something else; whether the restore is new or goes on.
    """
    place = make("postgresql")
    planted(place)
    place.back_up()
    place.take_log()
    place.node.close()
    own, there, odd = place.environment, where("postgresql"), where("postgresql")
    engine = open_postgresql(odd["BAILEE_KEYRING_DATABASE_URL"], "x")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE orchard (tree text)")
    engine.dispose()
    place.restore("first", environment=there)
    for names, which in (
        (own, "database.url"),
        (there, "database.url"),
        (odd, "keyring.database_url"),
        (
            {**odd, "BAILEE_KEYRING_DATABASE_URL": own["BAILEE_KEYRING_DATABASE_URL"]},
            "keyring.database_url",
        ),
    ):
        with pytest.raises(InputError, match=f"that {which} names is not empty"):
            place.restore("second", environment=names)
    engine = open_postgresql(odd["BAILEE_DATABASE_URL"], "x")
    assert is_empty(engine, "data")
    engine.dispose()
    place.open()
    with place.node.data.connect() as connection:
        assert 3 == len(connection.execute(select(sessions.c.id)).all())
    with place.restored("first", environment=there) as restored:
        assert "quince" in restored.words()


SETTINGS = """# kept
trusted_proxies = "10.0.0.0/8"
database.url = "postgresql://bailee@db.example/one"

[keyring]
root = "file"
database_url = "postgresql://bailee@db.example/two"  # of the old one
[upstream]
url = "http://127.0.0.1:9/"
"""


@pytest.mark.row("O6")
def test_the_old_homes_addresses_do_not_come_along(
    make: Callable[[str], BackedUp], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the backup's settings say, a restored home is where the restore was told; all else
    that stands there stays as it was. Wherever the restore was broken off, they are in no file
    that settings are read from.
    """
    place = make("files")
    planted(place)
    place.home.settings_file.write_bytes(SETTINGS.replace("\n", "\r\n").encode())
    place.back_up()
    place.take_log()
    settings = place.folder / "restored" / "bailee.toml"

    def broken(_: str) -> str:
        raise OSError("killed")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="killed"):
        patched.setattr("bailee.backup.restoring.without_addresses", broken)
        place.restore()
    assert not settings.exists()
    place.restore()
    left = [line for line in SETTINGS.splitlines() if "example" not in line]
    assert "".join(f"{line}\r\n" for line in left).encode() == settings.read_bytes()
    assert not settings.with_name("restored.toml").exists()
    with place.restored() as restored:
        assert "quince" in restored.words()


@pytest.mark.parametrize(
    "settings",
    [
        'database = { url = "postgresql://b@h/one" }\n',
        '[database]\nurl = """\\\npostgresql://b@h/one"""\n',
        '["database"]\nurl = "postgresql://b@h/one"\n',
        "no settings",
    ],
)
def test_what_can_not_be_taken_out_is_refused(settings: str) -> None:
    """Nothing is guessed, and nothing of it is repeated."""
    with pytest.raises(InputError, match="can't be taken out") as refused:
        without_addresses(settings)
    assert "b@h" not in f"{refused.value} {refused.value.hint}"


def test_settings_that_name_no_databases_stay_as_they_are() -> None:
    """To the byte."""
    for settings in ("", SETTINGS.replace("database", "other"), "[upstreams.x]\nurl = 1\n"):
        assert settings == without_addresses(settings)
