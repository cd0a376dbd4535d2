"""A search for what remains: clean after an erasure, and whatever is planted anywhere is found."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from bailee.accounts import OPERATOR
from bailee.accounts.groups import GroupRule, GroupRules
from bailee.accounts.sign_ins import ConfirmedSignIn
from bailee.db.engine import rewrite
from bailee.errors import InputError
from bailee.keyring.checkpoint import truncate_log
from bailee.ledger.tlog import notes
from support.clients.asking import perform
from support.homes.places import Place

pytestmark = pytest.mark.row("P4", "R5", "R6")
ADA = "ada.planted@example.org"
SESSION = "11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"
REASON = "asked by the officer"


class Erased(Place):
    """A home from which Ada was erased, a copy of it from before, and folders beside it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "home")
        made = perform(self.node, "person.create", {"email": ADA, "plan": "pro", "name": "walnut"})
        self.ada = made["person"]
        self.at_work()
        self.end(self.begin(SESSION, account=made["account"], key=made["key_id"], text="medlar"))
        self.end(self.begin("another", text="of somebody else"))
        self.index = self.node.registry.identifiers.index("email", ADA)
        self.backup, self.logs = folder / "backup", folder / "logs"
        self.logs.mkdir()
        self.close()
        shutil.copytree(self.folder, self.backup)
        self.open()
        before = self.search(person=ADA)
        assert not before["clean"]
        perform(self.node, "person.erase", {"id": ADA})

    def at_work(self) -> None:
        """What she has in an organisation whose provider's groups decide: a place and a team, a key
        with a last day, a client that is signed in, a password.
        """
        registry = self.node.registry
        acme = perform(self.node, "organisation.create", {"name": "Acme", "plan": "team"})
        acme = acme["organisation"]
        registry.providers.bind(
            acme, domain="acme.example", issuer="https://id.example", client_id="bailee",
            secret_env=None, by=OPERATOR,
        )  # fmt: skip
        rules = GroupRules((GroupRule("staff", acme, team="core"),))
        registry.groups.set_rules(acme, rules, by=OPERATOR)
        registry.groups.settle(acme, self.ada, {"groups": ["staff"]})
        asked = {"name": "hers", "organisation": acme, "person": self.ada, "days": 3}
        perform(self.node, "key.create", asked)
        paying = registry.organisations.account(acme).account_id
        confirmed = ConfirmedSignIn(self.ada, paying)
        registry.sign_ins.begin(confirmed, client="her machine")
        waits = registry.device_grants.begin(client="her other machine", address="192.0.2.7")
        registry.device_grants.approve(waits.user_code, confirmed)
        herself = registry.authority.by_person(self.ada)
        registry.passwords.set_password(
            self.ada, "a long enough password", old=None, by=herself, address="192.0.2.7"
        )
        self.acme = acme

    def search(self, **given: Any) -> Any:
        """The result of a search for Ada by her email, unless something else is named."""
        named = given if {"person", "session"} & {*given} else {"person": ADA} | given
        done = perform(self.node, "audit.remains", {"reason": REASON} | named)
        key = notes.key(done["key"])
        assert [key] == [*notes.read(done["note"].encode()).verified([key])]
        return done["result"]

    def left(self, **given: Any) -> set[tuple[str, str]]:
        """Where something is left that should not be, and of what kind."""
        found = self.search(**given)
        unexpected = {(one["where"], one["what"]) for one in found["found"] if not one["expected"]}
        assert found["clean"] == (not unexpected)
        return unexpected


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Erased]:
    """See `Erased`. What a test plants it takes away."""
    made = Erased(tmp_path_factory.mktemp("remains"))
    yield made
    made.close()


def test_an_erasure_is_seen_clean(home: Erased) -> None:
    """By email, by id with what was known of her, and by session: ids stay on purpose, with why."""
    assert set() == home.left()
    assert set() == home.left(person=home.ada, also=[ADA, "walnut"])
    assert set() == home.left(session=SESSION)
    found = home.search(person=home.ada)
    assert {"random id of ours", "session's id"} >= {one["what"] for one in found["found"]}
    assert all(one["why"] and one["until"] for one in found["found"])
    registry = home.node.registry
    assert ([], []) == (
        registry.groups.of_organisation(home.acme),
        registry.groups.of_person(home.ada),
    )
    assert [] == registry.sign_ins.of_person(home.ada)


def _row(folder: Path) -> None:
    with sqlite3.connect(folder / "notes.db") as connection:
        connection.execute("CREATE TABLE said (what TEXT)")
        connection.execute("INSERT INTO said VALUES (?)", (f"of {ADA}",))
    connection.close()


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", f"to {ADA}")


TEXT = f"a line about {ADA.upper()}\n".encode() * 3
PLANTS: dict[str, Callable[[Path], object]] = {
    "data/left.db-wal": lambda path: path.write_bytes(TEXT),
    "vault/spool/left": lambda path: path.write_bytes(TEXT),
    "vault/segments/transcript/left": lambda path: path.write_bytes(TEXT),
    "vault/open/left": lambda path: path.write_bytes(TEXT),
    "vault/telemetry/left": lambda path: path.write_bytes(TEXT),
    "vault/reports/left": lambda path: path.write_bytes(TEXT),
    "ledger/tile/left": lambda path: path.write_bytes(TEXT),
    "keyring/left": lambda path: path.write_bytes(TEXT),
    "run/bailee.log": lambda path: path.write_bytes(TEXT),
    "work/left.gz": lambda path: path.write_bytes(gzip.compress(TEXT)),
    "work/left.bz2": lambda path: path.write_bytes(bz2.compress(TEXT)),
    "work/left.xz": lambda path: path.write_bytes(lzma.compress(TEXT)),
    "work/left.zip": _zip,
}


@pytest.mark.parametrize("place", PLANTS)
def test_what_is_planted_in_the_home_is_found(home: Erased, place: str) -> None:
    """In each folder of it, in the clear or packed; its place is named, and it is not repeated."""
    path = home.folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    PLANTS[place](path)
    try:
        where = f"{place} outside of any row" if place.endswith("-wal") else place
        assert {(where, "word that was given")} == home.left()
        assert ADA not in str(home.search()).lower()
    finally:
        path.unlink()


def test_what_is_planted_in_a_table_is_found(home: Erased) -> None:
    """In a row, and in a row's digest: by table and column."""
    with home.node.data.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE notes (said TEXT, digest BLOB)")
        connection.exec_driver_sql("INSERT INTO notes VALUES (?, ?)", (ADA, home.index))
    try:
        place = "data/data.db notes"
        expected = {
            (f"{place}.said", "word that was given"),
            (f"{place}.digest", "digest by which they were found"),
        }
        assert expected <= home.left()  # it lies in the write-ahead log too
    finally:
        with home.node.data.begin() as connection:
            connection.exec_driver_sql("DROP TABLE notes")
        rewrite(home.node.data)
        truncate_log(home.node.data)


def test_what_others_entries_say_is_found(home: Erased) -> None:
    """A reason on record since, sealed under somebody else's key, that has her email."""
    home.node.registry.staff.read(OPERATOR, "ses_x", f"written by {ADA}", whose=home.account)
    try:
        assert {("data/data.db audit, sealed", "word that was given")} == home.left()
    finally:
        home.node.ledger.blank(lambda text: ADA in text)


def test_what_lies_in_backups_and_logs_is_found(home: Erased, tmp_path: Path) -> None:
    """Rows of a copied database, a packed log, a digest, and keys that open by the root beside
    them; nothing is written there, and what can't be looked into is named.
    """
    _row(home.logs)
    (home.logs / "old.log.gz").write_bytes(gzip.compress(TEXT))
    (home.logs / "cut.gz").write_bytes(gzip.compress(TEXT * 99)[:-20])
    (home.logs / "packed.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(9))
    (tmp_path / "digest.txt").write_text(home.index.hex())
    before = _listing(home.backup)
    found = home.search(
        person=home.ada,
        also=[ADA],
        backups=[str(home.backup), str(tmp_path)],
        logs=[str(home.logs)],
    )
    assert before == _listing(home.backup)
    unexpected = {(one["where"], one["what"]) for one in found["found"] if not one["expected"]}
    assert {
        (f"{home.logs}/notes.db said.what", "word that was given"),
        (f"{home.logs}/old.log.gz", "word that was given"),
        (f"{tmp_path}/digest.txt", "digest by which they were found"),
        (f"{home.backup}/keyring/keyring.db", "key that opens"),
        (f"{home.backup}/data/data.db persons.email_index", "digest by which they were found"),
    } <= unexpected
    copied = {one["why"] for one in found["found"] if one["where"].startswith(str(home.backup))}
    assert any("a copy from another day" in why for why in copied)
    assert not any("legal hold" in why or "empty row" in why for why in copied)
    kinds = [one["kind"] for one in found["searched"]]
    assert ["home", "backup", "backup", "logs"] == kinds
    assert {"cut.gz", "packed.zst"} == {*found["searched"][-1]["closed"]}
    (home.backup / "root" / "root.json").chmod(0o644)
    assert [f"{home.backup}/root/root.json"] == home.search(backups=[str(home.backup)])["not_tried"]
    (home.backup / "root" / "root.json").chmod(0o600)


def _listing(folder: Path) -> dict[str, bytes]:
    return {
        str(path): sha256(path.read_bytes()).digest()
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip


def test_a_search_is_on_record(home: Erased) -> None:
    """Before it with its reason, and after it with the digest of what was signed; without a reason
    nothing is looked for, nor in a folder that has the home in it.
    """
    done = perform(home.node, "audit.remains", {"reason": REASON, "session": SESSION})
    after, before, *_ = perform(home.node, "audit.list", {"subject": SESSION})
    assert ("remains.search_begun", REASON) == (before["kind"], before["body"]["reason"])
    text = notes.read(done["note"].encode()).text
    assert sha256(text.encode()).hexdigest() == after["body"]["document"]
    for wrong in (
        {"reason": "r"},
        {"reason": REASON, "backups": [str(home.folder.parent)]},
        {"reason": REASON, "logs": [str(home.folder / "absent")]},
        {"reason": REASON, "person": ADA},
    ):
        with pytest.raises(InputError):
            perform(home.node, "audit.remains", {"session": SESSION} | wrong)
