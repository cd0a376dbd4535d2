"""A whole home whose segments and reports are in a bucket, by its settings: SeaweedFS, on a way
that fails.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee import config
from bailee.app.doctor import examine
from bailee.app.doctor_findings import ExaminedHome
from bailee.backup.checking import opened, verified
from bailee.backup.places import FolderPlace
from bailee.errors import BaileeError, InputError, IntegrityError, StorageError
from bailee.home import Home
from bailee.node.objects import KINDS, SEGMENTS
from bailee.node.verifying import verify
from bailee.outbound.bucket import BucketPatience, open_store
from bailee.testing.store import Fault
from bailee.vault.objects import StoredObjects
from support.homes.backed_up import BackedUp
from support.servers.buckets import BUCKET, BucketRelay, environment, keep_versions

pytestmark = pytest.mark.row("O6")

_numbers = itertools.count()


def in_a_bucket(relay: BucketRelay, url: str | None = None) -> dict[str, str]:
    """What is set where a home is opened whose objects are in a bucket: a prefix of its own."""
    to = url or f"s3://{BUCKET}/homes/{next(_numbers)}"
    return {**environment(relay.url), "BAILEE_OBJECTS_URL": to}


@pytest.fixture
def home(relay: BucketRelay, tmp_path: Path) -> Iterator[BackedUp]:
    """Such a home, open."""
    made = BackedUp(tmp_path, environment=in_a_bucket(relay))
    yield made
    made.node.close()


def there(home: BackedUp, kind: str = "segments") -> list[str]:
    """The names of the objects of a kind, as the bucket says."""
    url = home.environment["BAILEE_OBJECTS_URL"]
    return list(StoredObjects(open_store(url, home.environment, BucketPatience(), kind)).names())


def held(home: BackedUp) -> list[bytes]:
    """The bytes of all objects."""
    return [
        kept.get(name, 0, kept.size(name) or 0)
        for kept in map(home.node.objects.of, KINDS)
        for name in kept.names()
    ]


def ola(home: BackedUp, *words: str) -> str:
    """A person with a session for each word; their account."""
    account = str(home.person("ola@x.example")["account"])
    for word in words:
        home.say(account, word)
    return account


def test_what_is_kept_is_in_the_bucket(home: BackedUp) -> None:
    """Sessions and reports: sealed, shown, exported, there after a new start, deleted; with the
    last record its object goes, and the receipt says so. The home's folders have none.
    """
    account = ola(home, "quince", "damson")
    home.report(account, "sloe")
    assert 1 <= home.node.vault.ship()
    assert there(home)
    assert [home.reports["sloe"]] == there(home, "reports")
    assert not any(b"quince" in one or b"sloe" in one for one in held(home))
    for kind in KINDS:
        assert not [*(home.home.vault / kind).rglob("*")]
    home.node.close()
    home.open()
    assert all(word in told(home, word) for word in ("quince", "damson"))
    assert home.node.reports.open(home.node.reports.get(home.reports["sloe"], home.clock()))
    assert [] == verify(home.node, home.clock()).damaged
    for word in ("quince", "damson"):
        home.node.vault.delete(home.sessions[word], home.clock())
    home.node.vault.rotate(home.clock())
    home.node.vault.sweep(home.clock())
    assert [] == there(home)
    (receipt,) = home.node.receipts.all(home.sessions["quince"])
    assert receipt.reclaimed_at is not None
    report = home.node.reports.get(home.reports["sloe"], home.clock())
    home.node.reports.withdraw(report, home.clock(), by="operator")
    assert [] == there(home, "reports")


def test_what_is_past_its_time_goes(home: BackedUp) -> None:
    """By the sweep, objects too."""
    ola(home, "quince")
    home.node.vault.ship()
    home.clock.advance(timedelta(days=31))
    home.node.sweeping.sweep(home.clock())
    assert [] == there(home)


@pytest.mark.parametrize("fault", list(Fault))
def test_the_bucket_is_away_for_a_while(home: BackedUp, relay: BucketRelay, fault: Fault) -> None:
    """What is said meanwhile is kept on this disk and shown, what lies there alone is an error that
    says so. Who deletes has the key destroyed at once. Then all catches up, and nothing is doubled.
    """
    account = ola(home, "quince", "medlar")
    home.node.vault.ship()
    home.say(account, "damson")
    for method in ("PUT", "GET", "POST"):
        relay.fail(method, fault)
        if method == "PUT":
            with pytest.raises(StorageError):
                home.node.vault.ship()
            home.say(account, "sloe")
            assert "sloe" in told(home, "sloe")
            assert "damson" in told(home, "damson")
        elif method == "GET":
            with pytest.raises(StorageError):
                home.node.vault.show(home.sessions["quince"])
        else:
            for word in ("quince", "medlar"):
                receipt = home.node.vault.delete(home.sessions[word], home.clock())
                assert "key_destroyed" == receipt.state
        relay.heal()
    home.node.vault.sweep(home.clock())
    home.node.vault.ship()
    rows = home.node.vault.sessions(home.clock())
    assert 2 == len(rows)
    assert [] == [*(home.home.vault / "open").iterdir()]
    assert all(word in told(home, word) for word in ("damson", "sloe"))
    assert [] == verify(home.node, home.clock()).damaged
    for word in ("damson", "sloe"):
        home.node.vault.delete(home.sessions[word], home.clock())
    home.node.vault.sweep(home.clock())
    assert [] == there(home)


def told(home: BackedUp, word: str) -> str:
    """All that a session says."""
    return str(home.node.vault.show(home.sessions[word]).main)


def test_nobody_waits_for_a_slow_store(home: BackedUp, relay: BucketRelay) -> None:
    """While an object is put, sessions are recorded, shown and deleted."""
    account = ola(home, "quince")
    put = relay.hold("PUT")
    with ThreadPoolExecutor(1) as beside:
        shipping = beside.submit(home.node.vault.ship)
        try:
            assert put.came.wait(100)
            home.say(account, "damson")
            assert "damson" in told(home, "damson")
            assert "quince" in told(home, "quince")
            receipt = home.node.vault.delete(home.sessions["quince"], home.clock())
            assert "key_destroyed" == receipt.state
            assert not shipping.done()
        finally:
            put.gone.set()
        assert 1 == shipping.result(300)
    home.node.vault.rotate(home.clock())
    home.node.vault.sweep(home.clock())
    (receipt,) = home.node.receipts.all(home.sessions["quince"])
    assert receipt.reclaimed_at is not None
    assert "damson" in told(home, "damson")


def test_a_bucket_that_is_not_this_homes(
    home: BackedUp, relay: BucketRelay, tmp_path: Path
) -> None:
    """Is refused at the start, and nothing in it is changed: another home's, one that is not
    there, one that is empty though this home has objects, and one with something else in it.
    """
    ola(home, "quince")
    home.node.vault.ship()
    before = held(home)
    home.node.close()
    empty = in_a_bucket(relay)
    tries: list[tuple[dict[str, str], type[BaileeError], str]] = [
        (in_a_bucket(relay, "s3://orchard-nowhere/homes"), StorageError, "not there"),
        (empty, IntegrityError, "no mark of this home"),
        ({**environment(relay.url)}, InputError, "is not set"),
        (in_a_bucket(relay, "s3://"), InputError, "names no bucket"),
    ]
    own = home.environment
    for given, kind, said in tries:
        home.environment = dict(given)
        with pytest.raises(kind) as refused:
            home.open()
        assert said in refused.value.message
    home.environment = own
    relay.refuse(503)
    with pytest.raises(StorageError, match=r"objects\.url"):
        home.open()
    relay.heal()
    with pytest.raises(IntegrityError, match="another home's"):
        BackedUp(tmp_path / "other", environment=own)
    StoredObjects(open_store(empty["BAILEE_OBJECTS_URL"], empty, BucketPatience())).put(
        "notes", b"1"
    )
    with pytest.raises(InputError, match="not empty"):
        BackedUp(tmp_path / "third", environment=empty)
    home.open()
    assert before == held(home)


def test_a_home_with_folders_stays_with_them(relay: BucketRelay, tmp_path: Path) -> None:
    """It is refused with a bucket in their place: its sessions would look lost."""
    home = BackedUp(tmp_path)
    ola(home, "quince")
    home.node.vault.ship()
    home.node.close()
    home.environment = in_a_bucket(relay)
    with pytest.raises(InputError, match="in folders"):
        home.open()
    home.environment = {}
    home.open()
    assert "quince" in told(home, "quince")
    home.node.close()


@pytest.mark.row("R5")
@pytest.mark.parametrize("whereto", ["bucket", "folders"])
@pytest.mark.parametrize("origin", ["bucket", "folders"])
def test_it_moves_by_a_backup(
    relay: BucketRelay, tmp_path: Path, origin: str, whereto: str
) -> None:
    """From either to either: what lives is there, what was deleted since is not. A prefix with
    something in it is not restored into.
    """
    home = BackedUp(tmp_path, environment=in_a_bucket(relay) if origin == "bucket" else {})
    account = ola(home, "quince", "damson")
    home.report(account, "sloe")
    home.node.vault.ship()
    made: list[dict[str, Any]] = home.ask(
        "backup.create", folder=str(home.data), keys=str(home.keys)
    )
    assert made
    assert [] == verified(FolderPlace(home.data))[2]
    again = home.ask("backup.create", folder=str(home.data), keys=str(home.keys))
    assert [one for one in again if "copied" in one][-1]["copied"] < 2_000_000
    home.node.vault.delete(home.sessions["damson"], home.clock())
    home.take_log()
    if whereto == "bucket" and origin == "bucket":
        with pytest.raises(InputError, match="of the home that was backed up"):
            home.restore("refused", environment=home.environment)
    to = in_a_bucket(relay) if whereto == "bucket" else {}
    home.restore(environment=to)
    with home.restored(environment=to) as restored:
        assert {"quince", "sloe"} == restored.words()
        assert [] == restored.openable("damson")
        assert (whereto == "bucket") == (restored.node.objects.where is not None)
    home.node.close()


def test_an_object_that_no_row_has(home: BackedUp) -> None:
    """Is named by `bailee verify`: a put that was carried out after what it was of had gone."""
    account = ola(home, "quince")
    home.report(account, "sloe")
    home.node.vault.ship()
    assert [] == verify(home.node, home.clock()).damaged
    (late,) = there(home)
    home.node.objects.of(SEGMENTS).put(f"{late[:-4]}late", b"1")
    found = verify(home.node, home.clock())
    assert [f"segments/{late[:-4]}late"] == [one.where for one in found.damaged]
    assert 3 == found.checked["objects"]


@pytest.mark.row("R6")
def test_an_erasure_says_that_the_bucket_was_not_searched(home: BackedUp) -> None:
    """And what was theirs in it is gone."""
    made = home.person("ada@example.org")
    home.say(str(made["account"]), "quince")
    home.report(str(made["account"]), "sloe")
    home.node.vault.ship()
    erased = home.ask("person.erase", id=made["person"])
    assert "a bucket, which was not searched" in erased["signed"]["receipt"]["search"]["unseen"]
    assert [] == [*there(home), *there(home, "reports")]


def test_a_backup_of_a_bucket_that_was_lost(home: BackedUp) -> None:
    """Fails, and the one before holds: what is not there was not destroyed."""
    ola(home, "quince")
    home.node.vault.ship()
    home.back_up()
    url = home.environment["BAILEE_OBJECTS_URL"]
    root = StoredObjects(open_store(url, home.environment, BucketPatience()))
    for name in list(root.names()):
        root.delete(name)
    with pytest.raises(IntegrityError, match="no mark of this home"):
        home.back_up()
    manifest, _, _ = opened(FolderPlace(home.data))
    assert [] == verified(FolderPlace(home.data))[2]
    assert any("/segments/" in one.path for one in manifest.files)


def test_the_status_says_where_objects_are(home: BackedUp, relay: BucketRelay) -> None:
    """And whether the bucket answers."""
    url = home.environment["BAILEE_OBJECTS_URL"]
    assert {"where": url, "answers": True} == home.ask("status")["objects"]
    relay.refuse(503)
    assert {"where": url, "answers": False} == home.ask("status")["objects"]
    relay.heal()


def test_the_doctor_looks_at_the_bucket(home: BackedUp, relay: BucketRelay, tmp_path: Path) -> None:
    """Whether it answers, whose it is, and whether it keeps versions; it changes nothing there."""

    def found(folder: Path, given: dict[str, str]) -> list[str]:
        it = ExaminedHome(Home(folder), config.load(folder / "none.toml", given, {}), given)
        return [one.said for one in examine(it) if one.check == "objects"]

    ola(home, "quince")
    assert ["objects_there"] == found(home.home.path, home.environment)
    new = in_a_bucket(relay)
    assert ["objects_none"] == found(tmp_path / "new", new)
    assert ["objects_none"] == found(tmp_path / "new", new)
    assert ["objects_other"] == found(tmp_path / "new", home.environment)
    assert ["objects_other"] == found(home.home.path, new)
    assert ["error"] == found(home.home.path, in_a_bucket(relay, "s3://orchard-nowhere/homes"))
    assert [] == found(home.home.path, {})

    keep_versions(relay.url, "attic")
    kept = BackedUp(tmp_path / "kept", environment=in_a_bucket(relay, "s3://attic/home"))
    kept.node.close()
    assert ["objects_there", "objects_versions"] == found(kept.home.path, kept.environment)
