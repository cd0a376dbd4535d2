"""A home whose parts are missing, older or another's: refused by name, with nothing written."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command

from bailee.accounts import OPERATOR
from bailee.app.older import accept_older
from bailee.db.engine import open_sqlite
from bailee.db.migrate import configuration
from bailee.errors import InputError, IntegrityError
from bailee.home import Home, HomeLock, parts
from bailee.home.belonging import PARTS
from bailee.home.commits import CommitCounts
from bailee.node.node import Node
from support.homes.places import Place

FOLDERS = [*PARTS, "root"]


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a home, but for what there is nothing in to keep."""
    files = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name[:4] != "run/"}


def refused(home: Home) -> str:
    """What a start says that is refused; it changes nothing."""
    before = content(home.path)
    with HomeLock(home), pytest.raises(IntegrityError) as error:
        Node.open(home, environment={})
    assert before == content(home.path)
    assert "home_parts" == error.value.code or "root key" in error.value.message
    return f"{error.value.message} {error.value.hint}"


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a session in it, closed."""
    return _used(tmp_path_factory.mktemp("used") / "home")


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another such home."""
    return _used(tmp_path_factory.mktemp("another") / "home")


def _used(folder: Path) -> Path:
    place = Place(folder)
    place.end(place.begin("a"))
    place.close()
    return folder


@pytest.fixture
def copied(used: Path, tmp_path: Path) -> Iterator[Callable[[], Home]]:
    """Makes a copy of the used home."""
    yield lambda: Home(Path(shutil.copytree(used, tmp_path / "home")))


def sessions(home: Home) -> int:
    """Start, and count what can be shown in full."""
    with HomeLock(home), Node.open(home, environment={}) as node:
        rows = node.vault.sessions(node.clock().replace(year=2026, month=1, day=1))
        return len([node.vault.show(row.id, row.started) for row in rows])


@pytest.mark.row("D4", "R1")
@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_is_not_there_is_named_until_it_is_put_back(
    name: str, copied: Callable[[], Home], tmp_path: Path
) -> None:
    """No other is made in its place, by two starts either; put back, all is there."""
    home = copied()
    shutil.move(home.path / name, tmp_path / name)
    for _ in range(2):
        assert f"{name}/" in refused(home)
        assert not (home.path / name).exists()
    (home.path / name).mkdir()  # where a volume would be mounted
    assert f"{name}/" in refused(home)
    (home.path / name).rmdir()
    shutil.move(tmp_path / name, home.path / name)
    assert 1 == sessions(home)


@pytest.mark.row("D4", "R1")
@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_another_home_is_named(
    name: str, copied: Callable[[], Home], another: Path, tmp_path: Path
) -> None:
    """Nothing of either is changed; with its own the home starts."""
    home = copied()
    shutil.move(home.path / name, tmp_path / name)
    shutil.copytree(another / name, home.path / name)
    said = refused(home)
    assert ("root key" if name == "root" else f"{name}/") in said
    shutil.rmtree(home.path / name)
    shutil.move(tmp_path / name, home.path / name)
    assert 1 == sessions(home)


@pytest.mark.row("T1", "R5", "R6")
@pytest.mark.parametrize("name", PARTS)
def test_an_older_part_is_refused_until_it_is_accepted(
    name: str, copied: Callable[[], Home], tmp_path: Path
) -> None:
    """A copy from before a choice does not undo it in silence: a start refuses the folder by name,
    and the audit record has who accepted it, and why.
    """
    home = copied()
    shutil.copytree(home.path / name, tmp_path / name)
    with HomeLock(home), Node.open(home, environment={}) as node:
        node.accounts.create(plan="pro", name="later")
    shutil.rmtree(home.path / name)
    shutil.copytree(tmp_path / name, home.path / name)
    said = refused(home)
    assert f"{name}/ is older" in said
    assert f"accept-older {name}" in said

    assert [name] == accept_older(home, [name], "the disk is lost").accepted
    assert 1 == sessions(home)
    with HomeLock(home), Node.open(home, environment={}) as node:
        (entry,) = node.ledger.entries(kind="home.older_accepted")
    assert (name, "the disk is lost") == (entry.subject, entry.body["reason"])
    with pytest.raises(InputError, match="no part of this home is older"):
        accept_older(home, [name], "again")


@pytest.mark.row("R6")
def test_who_was_erased_stays_erased_in_older_data(
    copied: Callable[[], Home], tmp_path: Path
) -> None:
    """Whoever accepts the data erases them again; nobody else is refused to be shown."""
    home = copied()
    with HomeLock(home), Node.open(home, environment={}) as node:
        ada, bob = (
            node.registry.people.create(f"{name}@x.example", plan="pro", by=OPERATOR)[0].person_id
            for name in ("ada", "bob")
        )
    shutil.copytree(home.path / "data", tmp_path / "data")
    with HomeLock(home), Node.open(home, environment={}) as node:
        node.erasures.request(ada, node.clock(), by=OPERATOR)
    shutil.rmtree(home.path / "data")
    shutil.copytree(tmp_path / "data", home.path / "data")

    assert [ada] == accept_older(home, ["data"], "the disk is lost").erased_again

    with HomeLock(home), Node.open(home, environment={}) as node:
        known = {one.person_id: one.email for one in node.registry.people.all()}
        assert {ada: None, bob: "bob@x.example"} == known
        assert [ada] == [one.person_id for one in node.erasures.rows.all()]


@pytest.mark.row("T1", "R6")
def test_data_from_while_a_server_runs_is_older_after_the_next_act(tmp_path: Path) -> None:
    """The mark does not wait for a stop: what the operator asks for is followed by a new one, also
    when the process is killed then.
    """
    place = Place(tmp_path / "home")
    place.node.marks.catch_up()
    before = tmp_path / "before.db"
    _copy(place.folder / "data/data.db", before)
    place.node.sweep(place.clock())  # nothing was due: no act
    home = Home(tmp_path / "copy")
    shutil.copytree(place.folder, home.path, ignore=lambda *_: ["run"])
    assert () == parts.examine(home).older

    place.choose("allowed")
    place.node.sweep(place.clock())
    shutil.rmtree(home.path)
    shutil.copytree(place.folder, home.path, ignore=lambda *_: ["run"])  # as a kill leaves it
    assert () == parts.examine(home).older
    shutil.copy(before, home.data_database)
    for left in ("-wal", "-shm"):
        home.data_database.with_name(f"data.db{left}").unlink(missing_ok=True)
    assert "data/ is older" in refused(home)
    place.close()


@pytest.mark.row("D4")
def test_a_copy_in_order_starts_though_a_segment_was_shipped(tmp_path: Path) -> None:
    """First the data, then vault and keys. The other way round nothing is lost either."""
    place = Place(tmp_path / "home")
    place.end(place.begin("a"))
    place.node.marks.catch_up()
    copy, reverse = Home(tmp_path / "copy"), Home(tmp_path / "reverse")
    for home in (copy, reverse):
        home.data_database.parent.mkdir(parents=True)
    _copy(place.folder / "data/data.db", copy.data_database)
    shutil.copytree(place.folder / "vault", reverse.vault)
    assert 1 == place.node.vault.ship()
    _copy(place.folder / "data/data.db", reverse.data_database)
    shutil.copytree(place.folder / "vault", copy.vault)
    for home in (copy, reverse):
        home.keyring_database.parent.mkdir()
        _copy(place.folder / "keyring/keyring.db", home.keyring_database)
        shutil.copytree(place.folder / "root", home.path / "root")
    place.close()

    assert (1, 1) == (sessions(copy), sessions(reverse))


@pytest.mark.row("D4")
def test_a_home_from_before_there_were_ids_gets_them_once(tmp_path: Path) -> None:
    """At its first start; from then on its parts belong together."""
    home = Home(tmp_path / "home")
    home.make()
    for line, database, before in (
        ("data", home.data_database, "0035"),
        ("keys", home.keyring_database, "0001"),
    ):
        engine = open_sqlite(database)
        with engine.begin() as connection:
            config = configuration(line)
            config.attributes["connection"] = connection
            command.upgrade(config, before)
        engine.dispose()
    (home.vault / "spool").mkdir()
    assert 0 == sessions(home)
    first = parts.examine(home)
    assert 0 == sessions(home)
    assert first.home == parts.examine(home).home


def _copy(database: Path, to: Path) -> None:
    """As `.backup` copies a database that is in use."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


@pytest.mark.row("R6")
@pytest.mark.parametrize("column", ["kek_id", "subject"])
def test_a_flipped_bit_in_the_keyring_erases_nobody(
    column: str, copied: Callable[[], Home], tmp_path: Path
) -> None:
    """Whoever accepts older data is told whose key can't be found, and nobody is erased for it."""
    home = copied()
    with HomeLock(home), Node.open(home, environment={}) as node:
        people = node.registry.people
        ada = people.create("ada@x.example", plan="pro", by=OPERATOR)[0].person_id
    shutil.copytree(home.path / "data", tmp_path / "data")
    with HomeLock(home), Node.open(home, environment={}) as node:
        node.accounts.create(plan="pro", name="later")
    shutil.rmtree(home.path / "data")
    shutil.copytree(tmp_path / "data", home.path / "data")
    with closing(sqlite3.connect(home.keyring_database)) as connection:
        flipped = f"{column} = substr({column}, 1, 8) || '~' || substr({column}, 10)"
        connection.execute(f"UPDATE deks SET {flipped} WHERE subject = ?", (ada,))
        connection.commit()

    done = accept_older(home, ["data"], "the disk is lost")

    assert ([], [ada] if column == "subject" else []) == (done.erased_again, done.unnamed)
    with HomeLock(home), Node.open(home, environment={}) as node:
        assert [] == node.erasures.rows.all()


def test_how_much_is_committed_elsewhere_is_remembered(tmp_path: Path) -> None:
    """By part, for whoever opens the home next; also if the process is killed, since nothing waits
    to be written. What is not whole says nothing, and is made anew.
    """
    file = tmp_path / "commits"
    counts = CommitCounts(file)
    assert {} == counts.known
    assert not file.exists()
    counts.note("keyring", 7)
    counts.note("data", 4711)
    assert {"data": 4711, "keyring": 7} == CommitCounts(file).known
    counts.note("data", 3)  # an older one was accepted
    assert {"data": 3, "keyring": 7} == CommitCounts(file).known
    counts.close()
    counts.note("data", 9)
    assert {"data": 3, "keyring": 7} == CommitCounts(file).known
    assert 0o600 == file.stat().st_mode & 0o777

    file.write_bytes(b"0000")
    again = CommitCounts(file)
    assert {} == again.known
    again.note("keyring", 8)
    again.close()
    assert {"data": 0, "keyring": 8} == CommitCounts(file).known
