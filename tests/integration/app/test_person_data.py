"""A person's copy of everything, and their erasure, over a home with things of every kind in it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from bailee.accounts import OPERATOR
from bailee.cloud.git.connections import GitSecret
from bailee.db.audit import audit
from bailee.db.engine import open_sqlite, overwrites
from bailee.db.people import passkeys
from bailee.errors import BaileeError, InputError, IntegrityError
from bailee.home import searching
from bailee.keyring import FileRoot, Keyring, signing
from bailee.node import old_entries
from support.clients.asking import perform
from support.homes.places import Place

ADA, BOB = "ada.planted@example.org", "bob@example.org"
ONE, TWO, HELD = (f"{n}{n}{n}{n}{n}{n}{n}{n}-32a5-4d0c-8f0b-0d7c3d1c1a11" for n in range(1, 4))
PLANTED = [b"medlar", b"ada.planted", b"walnut key", b"quince browser", b"sorb passkey"]
PLANTED += [b"damson view", b"acc_of_mulberry"]
"""What names Ada or is hers: a prompt, her email, what she called things."""
REASON = f"asked by {ADA} of Costard Lane"
RECORDED = [
    b"lovelace-orchard",
    b"notes.pippin.example",
    b"Costard Lane",
    b"c0ffee" * 6,
    b"bullace",
]
"""What the audit record and the lists say of her: an owner of Git, a host, a reason, a commit, a
reason of a hold."""


class People(Place):
    """Ada, with things of every kind; Bob, who shares an organisation with her."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        registry = self.node.registry
        made = self.ask("person.create", email=ADA, plan="pro", name="walnut key")
        self.ada, self.account, self.key = made["person"], made["account"], made["key"]
        self.key_id = made["key_id"]
        bob = self.ask("person.create", email=BOB, plan="pro")
        self.bobs = bob["account"]
        self.ask("privacy.choose", key=self.key, choice="allowed")
        organisation = self.ask(
            "organisation.create", name="Orchard", plan="team", owner=bob["person"]
        )
        self.orchard = organisation["organisation"]
        self.ask("organisation.member", organisation=self.orchard, person=self.ada, role="member")
        shared = self.ask("key.create", organisation=self.orchard, person=self.ada, name="theirs")
        self.cookie = registry.web_sessions.begin(self.ada, client="quince browser")
        self._add_passkey()
        registry.saved_views.save(
            self.ada, "sessions", "damson view", {"account": "acc_of_mulberry"}
        )
        self.clock.advance(timedelta(minutes=1))
        for session in (ONE, TWO, HELD):
            self.end(self.begin(session, key=self.key_id, text=f"medlar in {session}"))
        self.end(self.begin("bob's", account=self.bobs, text="bob's medlar"))
        self.end(
            self.begin(
                "theirs", account=organisation["account"], key=shared["key_id"], text="of Orchard"
            )
        )
        self.ask("sessions.delete", id=TWO)
        self.ask("privacy.choose", key=self.key, choice="refused")
        registry.staff.read(OPERATOR, ONE, REASON, whose=self.account)
        self.node.vault.sweep(self.clock())
        self._plant_on_record()

    def _plant_on_record(self) -> None:
        """What else names her, in the lists and on record."""
        git, hosts = self.node.git_connections, self.node.network_lists
        secret = GitSecret("s3cret")
        git.add(self.account, "github-token", "github.com/lovelace-orchard", secret, by=self.ada)
        gone = git.add(self.account, "github-token", "git.pippin.example", secret, by=self.ada)
        git.remove(gone.id, by=self.ada)
        hosts.add(self.account, "allow", "*.notes.pippin.example:8443", by=self.ada)
        hosts.add(self.account, "allow", "pypi.org", by=self.ada)
        hosts.add(self.bobs, "allow", "shared.pear.example", by="operator")
        hosts.add(self.account, "allow", "shared.pear.example", by=self.ada)
        commit = {
            "operation": "push",
            "outcome": "done",
            "rule": "",
            "old": "",
            "new": "c0ffee" * 6,
        }
        self.node.ledger.append("cloud.git", "cs_1", commit, whose=self.account)
        hold = self.ask("hold.place", session=ONE, reason="matter of bullace")["hold"]
        self.ask("hold.release", id=hold)

    def _add_passkey(self) -> None:
        identifiers = self.node.registry._backing.identifiers
        with self.node.data.begin() as connection:
            connection.execute(
                passkeys.insert().values(
                    id=b"\x01\x02",
                    person_id=self.ada,
                    public_key=b"k",
                    sign_count=0,
                    name=identifiers.seal(self.ada, "passkey", "sorb passkey"),
                    created_at=self.clock(),
                )
            )

    def ask(self, operation: str, **arguments: Any) -> Any:
        """Carry out an operation."""
        return perform(self.node, operation, arguments)

    def export(self, **arguments: Any) -> zipfile.ZipFile:
        """The archive of someone, put together."""
        items = list(self.ask("person.export", **arguments))
        raw = b"".join(base64.b64decode(item["data"]) for item in items if "data" in item)
        return zipfile.ZipFile(io.BytesIO(raw))

    def files(self, *needles: bytes) -> list[tuple[str, bytes]]:
        """Which needles are in which file of the home."""
        return [
            (path.name, needle)
            for path in self.folder.rglob("*")
            if path.is_file()
            for needle in needles
            if needle in path.read_bytes()
        ]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[People]:
    """A home of its own."""
    made = People(tmp_path / "home")
    yield made
    made.close()


def lines(archive: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    """A file of JSON lines."""
    return [json.loads(line) for line in archive.read(name).decode().splitlines()]


@pytest.mark.row("R6")
def test_an_export_has_everything(home: People) -> None:
    """Everything planted is in the archive, by machine and to be read; nobody else's is; no key."""
    archive = home.export(id=ADA)
    assert None is archive.testzip()
    whole = b"".join(archive.read(name) for name in archive.namelist())
    assert [] == [needle for needle in PLANTED if needle not in whole]
    for absent in (b"bob's", b"of Orchard", BOB.encode(), home.key.encode()):
        assert absent not in whole
    assert [ADA] == [row["email"] for row in lines(archive, "profile.jsonl")]
    assert ["allowed", "refused"] == [row["new"] for row in lines(archive, "consent.jsonl")]
    assert {ONE, HELD} == {row["id"] for row in lines(archive, "sessions.jsonl")}
    assert "Orchard" == lines(archive, "organisations.jsonl")[0]["name"]
    assert 1 == len(lines(archive, "sessions-of-organisations.jsonl"))
    assert TWO in {row["subject"] for row in lines(archive, "receipts.jsonl")}
    kinds = {row["kind"] for row in lines(archive, "audit.jsonl")}
    assert {"access.read", "consent.recorded", "erasure.key_destroyed", "person.exported"} <= kinds
    exported = lines(archive, f"sessions/{ONE}.jsonl")[1]
    assert f"medlar in {ONE}" == exported["request"]["messages"][0]["content"]
    assert f"medlar in {ONE}" in archive.read(f"sessions/{ONE}.md").decode()
    page = archive.read("index.html").decode()
    for text in (ADA, "walnut key", "quince browser", f'href="sessions/{ONE}.md"'):
        assert text in page
    listed = json.loads(archive.read("manifest.json"))["files"]
    assert set(archive.namelist()) == {file["name"] for file in listed} | {"manifest.json"}


@pytest.mark.row("R6")
def test_who_may_ask(home: People) -> None:
    """A person for themselves, by key or signed in; nobody for another, whose email tells them
    nothing; a key of an organisation
    for no one.
    """
    own = set(home.export(id=ADA).namelist())
    assert own == set(home.export(key=home.key).namelist())
    assert own == set(home.export(cookie=home.cookie).namelist())
    bobs = home.ask("key.create", person=BOB, own=True, name="x")["key"]
    for operation in ("person.export", "person.erase"):
        with pytest.raises(InputError) as refused:
            home.ask(operation, id=ADA, key=bobs)
        assert "not_found" == refused.value.code
    for operation in ("hold.place", "hold.list", "hold.release"):
        with pytest.raises(InputError):
            home.ask(operation, key=home.key, session=ONE, reason="mine", id="hold_0")


@pytest.mark.row("R6", "R5")
def test_erasure_leaves_nothing_of_them(home: People, tmp_path: Path) -> None:
    """No planted byte is readable by any operation or in any file, nor in a copy of the whole home
    from before, with the present root, after rotation. Others keep theirs; the proof stays.
    """
    subjects = [home.ada, f"session:{ONE}", f"session:{HELD}"]
    secrets = [home.node.keyring.get(subject).key for subject in subjects]
    copy = tmp_path / "copy"
    home.close()
    shutil.copytree(home.folder, copy)
    home.open()

    done = home.ask("person.erase", id=ADA)
    assert "done" == done["state"]
    receipt, key = signing.verify(done["signed"])
    assert home.ask("receipts.key")["public_key"] == key
    states = {one["session"]: one["state"] for one in receipt["sessions"]}
    assert {ONE: "key_destroyed", HELD: "key_destroyed"} == states

    assert [] == home.files(*PLANTED[1:], *RECORDED, *secrets)
    assert "removed, and their key destroyed; none was found" == receipt["identifiers"]
    assert 2 == receipt["search"]["databases"]
    assert "not_searched" not in receipt["search"]
    for subject in subjects:
        with pytest.raises(IntegrityError):
            home.node.keyring.get(subject)
    left = orjson.dumps([home.ask(name) for name in ("person.list", "key.list", "audit.list")])
    left += orjson.dumps([home.ask("sessions.list"), home.ask("person.show", id=home.ada)])
    again = home.export(id=home.ada)
    left += b"".join(again.read(name) for name in again.namelist())
    assert [] == [needle for needle in (*PLANTED, *RECORDED) if needle in left]
    assert ["allowed", "refused"] == [row["new"] for row in lines(again, "consent.jsonl")]
    for session in (ONE, HELD):
        with pytest.raises(InputError):
            home.ask("sessions.show", id=session)
    for proof in ({"key": home.key}, {"cookie": home.cookie}):
        with pytest.raises(InputError):
            home.ask("privacy.show", **proof)
    with pytest.raises(InputError):
        home.ask("person.erase", id=home.ada)
    assert 2 == len(home.ask("sessions.list"))

    home.ask("keyring.rotate")
    shutil.copy(home.folder / "root" / "root.json", copy / "root" / "root.json")
    held = b"".join(path.read_bytes() for path in copy.rglob("*") if path.is_file())
    assert [] == [needle for needle in (*PLANTED, *secrets) if needle in held]
    engine = open_sqlite(copy / "keyring" / "keyring.db")
    old = Keyring.open(engine, FileRoot(copy / "root" / "root.json"), home.clock)
    for subject in subjects:
        with pytest.raises(BaileeError):
            old.get(subject)
    with pytest.raises(IntegrityError):
        old.secret("people")
    engine.dispose()


@pytest.mark.row("R6")
def test_a_held_session_defers_an_erasure(home: People) -> None:
    """The receipt says what is deferred; it is unreadable; the release finishes it by itself."""
    hold = home.ask("hold.place", session=HELD, reason="matter 7")["hold"]
    assert {HELD: True, ONE: False} == {
        one["id"]: one["held"] for one in home.ask("sessions.list", owner=home.account)
    }
    done = home.ask("person.erase", id=ADA)
    assert "deferred" == done["state"]
    receipt, _ = signing.verify(done["signed"])
    states = {one["session"]: one["state"] for one in receipt["sessions"]}
    assert {ONE: "key_destroyed", HELD: "deferred"} == states
    assert [HELD in stay["what"] for stay in receipt["stays"]][-1]
    with pytest.raises(InputError):
        home.ask("sessions.show", id=HELD)
    home.close()
    home.open()
    home.node.sweep(home.clock())
    assert "deferred" == home.ask("receipts.list")[0]["state"]

    released = home.ask("hold.release", id=hold)
    assert ["key_destroyed"] == [one["state"] for one in released["driven"]]
    (final,) = home.ask("receipts.list")
    receipt, _ = signing.verify(final["signed"])
    assert ("done", "done") == (final["state"], receipt["state"])
    assert {"key_destroyed"} == {one["state"] for one in receipt["sessions"]}


@pytest.mark.row("R6", "R5")
def test_what_was_under_way_is_not_kept(home: People) -> None:
    """An answer that ends after the erasure leaves nothing, also when the process starts anew."""
    fresh = home.begin("fresh", key=home.key_id, text="medlar, late")
    resumed = home.begin(ONE, key=home.key_id, text="medlar, later")
    home.ask("person.erase", id=ADA)
    home.end(fresh)
    home.close()
    home.open()
    home.end(resumed)
    assert [] == home.node.vault.owned(home.account)
    home.node.vault.spool.roll()
    home.node.vault.flush()
    assert [] == home.files(b"medlar, late")


@pytest.mark.row("R6")
def test_an_account_that_nobody_has(home: People) -> None:
    """Whoever holds the key of an account can have it exported and erased; an organisation's
    account is nobody's to erase so.
    """
    made = home.ask("key.create", plan="pro", name="sloe")
    home.end(home.begin("sloes", account=made["account"], text="sloes"))
    archive = home.export(key=made["key"])
    assert ["sloe"] == [row["name"] for row in lines(archive, "keys.jsonl")]
    assert 1 == len(lines(archive, "sessions.jsonl"))
    assert "done" == home.ask("person.erase", id=made["account"])["state"]
    assert [] == home.node.vault.owned(made["account"])
    assert [] == home.files(b"sloe")
    organisation = home.ask("organisation.show", organisation=home.orchard)["account"]
    for operation in ("person.erase", "person.export"):
        with pytest.raises(InputError):
            home.ask(operation, id=organisation)


def test_one_damaged_session_does_not_spoil_an_export(home: People) -> None:
    """It says what is wrong with that one, and has all others."""
    home.node.keyring.destroy([f"session:{HELD}"])
    archive = home.export(id=ADA)
    assert b"key_destroyed" in archive.read(f"sessions/{HELD}.problem.txt")
    assert f"sessions/{ONE}.md" in archive.namelist()


def test_an_erasure_that_fails_is_resumed(home: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails on the way: the next start finishes it."""
    from bailee.errors import StorageError

    def fail(*_arguments: object) -> None:
        raise StorageError("no")

    with monkeypatch.context() as patch:
        patch.setattr(home.node.keyring, "destroy", fail)
        with pytest.raises(StorageError):
            home.ask("person.erase", id=ADA)
    assert "requested" == home.ask("receipts.list")[0]["state"]
    home.close()
    home.open()
    assert "done" == home.ask("receipts.list")[0]["state"]
    assert [] == home.node.vault.owned(home.account)


def test_a_receipt_that_was_changed_is_refused(home: People) -> None:
    """Any change of the receipt, the key or the signature shows."""
    signed = home.ask("person.erase", id=ADA)["signed"]
    assert signing.verify(json.loads(json.dumps(signed)))[0] == signed["receipt"]
    other = signing.sign(b"x" * 32, signed["receipt"])
    for wrong in (
        {**signed, "receipt": {**signed["receipt"], "subject": "per_0"}},
        {**signed, "public_key": other["public_key"]},
        {**signed, "signature": other["signature"]},
        {**signed, "signature": "?"},
        {"receipt": 1},
        [],
        None,
    ):
        with pytest.raises(IntegrityError):
            signing.verify(wrong)


@pytest.mark.row("P4", "R6")
def test_the_living_are_read_by_auditors(home: People) -> None:
    """Reasons, places and hosts are in the operator's list and in the person's own copy, and in no
    file as they are; of who was erased the list says that there was one.
    """
    assert [] == home.files(b"Costard Lane", b"c0ffee" * 6)
    read = {entry["kind"]: entry for entry in home.ask("audit.list")}
    assert REASON == read["access.read"]["body"]["reason"]
    assert "c0ffee" * 6 == read["cloud.git"]["body"]["new"]
    own = {entry["number"]: entry for entry in lines(home.export(id=ADA), "audit.jsonl")}
    assert read["git_connection.removed"] == own[read["git_connection.removed"]["number"]]

    home.ask("person.erase", id=ADA)
    read = {entry["kind"]: entry for entry in home.ask("audit.list")}
    entry = read["access.read"]
    assert (ONE, {"by": "operator", "reason": None}) == (entry["subject"], entry["body"])
    assert ["reason"] == entry["erased"]
    assert ["place"] == read["git_connection.added"]["erased"]


@pytest.mark.both_databases
@pytest.mark.row("R6", "O6")
def test_a_receipt_says_what_the_search_found(home: People) -> None:
    """What is planted where no erasure reaches is found, and told by place and count, not by what
    it is; hosts that others use are nobody's; ids are told with the reason why they stay.
    """
    (home.folder / "bailee.toml").write_text(f"# ask {ADA}, or Ada.Planted%40example.org\n")
    (home.folder / "work").mkdir(exist_ok=True)
    (home.folder / "work" / "left.txt").write_text("see lovelace-orchard. " * 3)
    with home.node.data.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE notes (said TEXT)")
        connection.exec_driver_sql("INSERT INTO notes VALUES ('walnut key'), ('walnut key')")

    receipt, _ = signing.verify(home.ask("person.erase", id=ADA)["signed"])

    data = "data/data.db" if overwrites(home.node.data) else "database.url"
    found = {(stay["where"], stay["what"]): stay for stay in receipt["stays"] if "where" in stay}
    words = {place: stay["count"] for place, stay in found.items() if " id" not in place[1]}
    assert {
        ("bailee.toml", "email"): 2,
        ("work/left.txt", "owner or repository of Git"): 3,
        (f"{data} notes.said", "name that they gave"): 2,
    } == words
    assert "settings" in found["bailee.toml", "email"]["why"]
    assert found[f"{data} receipts.subject", "session's id"]["count"] >= 3
    organisations = found[f"{data} sessions.key_id", "random id of ours"]
    assert (1, "the session goes") == (organisations["count"], organisations["until"])
    assert "none was found" not in receipt["identifiers"]
    told = orjson.dumps(receipt)
    assert [] == [n for n in (b"ada.planted", b"lovelace-orchard", b"walnut") if n in told.lower()]
    looked = {one["what"]: one["count"] for one in receipt["search"]["looked_for"]}
    assert 2 == looked["host that they alone named"]  # notes. and git.; the others are not hers


@pytest.mark.row("R6")
def test_what_another_entry_says_of_them_is_emptied(home: People) -> None:
    """A reason for reading Bob's that has Ada's email goes with her; Bob's others stay."""
    read = home.node.registry.staff.read
    read(OPERATOR, "ses_b", f"reported by {ADA.upper()}", whose=home.bobs)
    read(OPERATOR, "ses_b", "reported by a neighbour", whose=home.bobs)
    home.ask("person.erase", id=ADA)
    reasons = [entry["body"]["reason"] for entry in home.ask("audit.list", subject="ses_b")]
    assert ["reported by a neighbour", None] == reasons


@pytest.mark.row("R6", "P4")
def test_entries_from_before_are_sealed_at_the_next_start(home: People) -> None:
    """As an older version wrote them: what was in the clear is sealed in place, in order, and no
    page has it; who was erased before is not readable in them; a second start changes nothing.
    """
    home.ask("person.erase", id=home.bobs)
    data = home.node.data
    old = [
        ("access.read", HELD, {"by": "operator", "reason": "of Greengage Street"}),
        ("cloud_network.added", home.bobs, {"entry": "bobs.medlar.example", "by": "operator"}),
        ("git_connection.removed", "gitc_0", {"place": "gone.medlar.example", "by": "operator"}),
        ("report.changed", "fb_0", {"state": "closed", "by": "operator"}),
    ]
    home.ask("audit.checkpoint")  # each has its leaf
    before = home.ask("audit.list")[::-1]
    with data.begin() as connection:
        for kind, subject, body in old:
            connection.execute(
                audit.insert().values(
                    at=home.clock(), kind=kind, subject=subject, body=orjson.dumps(body).decode(),
                    whose="?",
                )
            )  # fmt: skip
    assert [] != home.files(b"Greengage Street")
    home.close()
    home.open()

    assert [] == home.files(b"Greengage", b"bobs.medlar", b"gone.medlar")
    entries = home.ask("audit.list")[::-1]
    assert before == entries[: len(before)]
    mine, bobs, nobodys, plain = entries[len(before) :][:4]
    assert "of Greengage Street" == mine["body"]["reason"]
    assert (None, ["entry"]) == (bobs["body"]["entry"], bobs["erased"])
    assert "gone.medlar.example" == nobodys["body"]["place"]
    assert {"state": "closed", "by": "operator"} == plain["body"]
    assert 0 == old_entries.seal(data, home.node.ledger.sealing)


def test_a_search_sees_what_was_deleted(tmp_path: Path) -> None:
    """A word that lies in a page that no row is in is found there; one over two pieces, once; what
    is over the bound is left out, and told.
    """
    engine = open_sqlite(tmp_path / "a.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA secure_delete=OFF")
    engine.dispose()
    import sqlite3

    raw = sqlite3.connect(tmp_path / "a.db")
    raw.execute("PRAGMA secure_delete=OFF")
    raw.execute("CREATE TABLE t (c TEXT)")
    raw.executemany("INSERT INTO t VALUES (?)", [("Greengage Street",), ("plum",)])
    raw.execute("DELETE FROM t WHERE c LIKE 'Green%'")
    raw.commit()
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    piece = searching._PIECE
    (tmp_path / "long").write_bytes(b"x" * (piece - 4) + b"greenGAGE street" + b"y" * 9)
    trace = searching.Trace("word", b"greengage street")

    found = searching.search(tmp_path, [trace, searching.Trace("plum", b"plum")])
    assert [
        ("a.db", searching.LOOSE, "word", 1),
        ("a.db", "t.c", "plum", 1),
        ("long", "", "word", 1),
    ] == [(one.where, one.column, one.what, one.count) for one in found.findings]
    bounded = searching.search(tmp_path, [trace], most=piece)
    assert (1, piece + 21) == (bounded.left_out, bounded.left_out_bytes)
    assert {"a.db"} == {one.where for one in bounded.findings}


@pytest.mark.row("R6")
def test_a_search_reads_the_segments_that_have_something_of_theirs(tmp_path: Path) -> None:
    """Of a folder of sealed files those are read that are named as theirs; the others are counted,
    and so are their bytes. Every other file is read.
    """
    for name in ("sealed/day/theirs", "sealed/day/others", "beside/others"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"medlar lane")
    trace = searching.Trace("word", b"medlar lane")
    found = searching.search(tmp_path, [trace], sealed=searching.Sealed(("sealed/",), ("theirs",)))
    assert {"sealed/day/theirs", "beside/others"} == {one.where for one in found.findings}
    assert (2, 1, 11) == (found.files, found.others, found.others_bytes)


def test_the_operator_is_told_by_name(home: People) -> None:
    """The audit record names who exported and who erased."""
    home.export(key=home.key)
    home.ask("person.erase", id=ADA)
    entries = home.ask("audit.list", subject=home.ada)
    by = {entry["kind"]: entry["body"].get("by") for entry in entries}
    assert (home.ada, "operator") == (by["person.exported"], by["person.erasure_requested"])


@pytest.mark.row("R6", "P4")
def test_who_erases_themselves_is_who_asked_for_each_step(home: People) -> None:
    """Not the operator: the record names them for their keys, their sign-ins and themselves."""
    home.ask("person.erase", key=home.key)
    entries = home.ask("audit.list")
    kinds = ("person.erasure_requested", "key.revoked", "person.erased", "git_connection.removed")
    assert {home.ada} == {e["body"]["by"] for e in entries if e["kind"] in kinds[:3]}
    assert home.ada == next(e["body"]["by"] for e in entries if e["kind"] == kinds[3])


@pytest.mark.row("R6", "P4")
def test_a_receipt_says_what_was_not_theirs_alone(home: People) -> None:
    """Sessions of the organisation stay, and whose they are is said; so do files that have others'
    records. The log's entry of the erasure has the digest of the receipt as it was signed.
    """
    done = home.ask("person.erase", id=ADA)
    receipt = done["signed"]["receipt"]
    (organisations,) = [stay for stay in receipt["stays"] if "organisation" in stay]
    kept = home.ask(
        "sessions.list", owner=home.node.accounts.of_organisation(home.orchard).account_id
    )
    assert (home.orchard, len(kept)) == (organisations["organisation"], organisations["count"])
    (entry,) = home.ask("audit.list", kind="person.erasure_done")
    canonical = json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(canonical.encode()).hexdigest() == entry["body"]["document"]
    bobs = home.ask("person.erase", id=BOB)["signed"]["receipt"]["stays"]
    (shared,) = [stay for stay in bobs if "files of records" in stay["what"]]
    assert (1, "the last of those goes") == (shared["count"], shared["until"])
