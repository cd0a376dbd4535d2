"""A backup in a bucket, at a server of S3 that is not ours, on a way that fails."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from bailee.backup.checking import verified
from bailee.backup.manifest import manifest_bytes, manifest_of
from bailee.backup.naming import place_of
from bailee.backup.places import MANIFEST, read
from bailee.errors import BaileeError, InputError, StorageError
from bailee.keyring import signing
from bailee.testing.store import Fault
from support.homes.backed_up import BackedUp
from support.servers.buckets import BUCKET, KEY, SECRET, BucketRelay

BIG = 9 << 20
"""Bytes of a segment that takes several parts."""
_numbers = itertools.count()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[BackedUp]:
    """A home with two sessions in a segment, and a report."""
    made = BackedUp(tmp_path)
    account = str(made.person("ola@x.example")["account"])
    for word in ("quince", "damson"):
        made.say(account, word)
    made.report(account, "sloe")
    made.node.vault.ship()
    yield made
    made.node.close()


def bucket() -> str:
    """Where nothing is yet."""
    return f"s3://{BUCKET}/home-{next(_numbers)}"


def back_up(place: BackedUp, to: str, **given: Any) -> dict[str, Any]:
    """How far a backup came."""
    made: list[dict[str, Any]] = place.ask("backup.create", folder=to, **given)
    return [one for one in made if "copied" in one][-1]


def large(place: BackedUp, name: str) -> None:
    """A segment of several parts, of sessions that never were."""
    shipped = f"vault/segments/transcript/2026-01-01/{name}"
    path = place.home.path / shipped
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(range(256)) * (BIG // 256))
    with place.node.data.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO segments (id, data_class, expiry_day, opened_at, length, state) "
            "VALUES (?, 'transcript', '2026-01-01', '2026-01-01 00:00:00', ?, 'shipped')",
            (name, BIG),
        )


@pytest.mark.row("R5", "R6")
def test_a_home_comes_back_from_a_bucket(place: BackedUp, relay: BucketRelay) -> None:
    """What lives does, what was deleted since does not. A second backup puts only what is new. No
    credential is in the bucket, the home or the log, and no word.
    """
    large(place, "large")
    to = bucket()
    first = back_up(place, to, keys=str(place.keys))
    assert first["copied"] == first["bytes"] > BIG
    assert [] == verified(place_of(to))[2]
    again = back_up(place, to, keys=str(place.keys))
    assert again["copied"] < 2_000_000 < BIG < again["bytes"]
    place.node.vault.delete(place.sessions["damson"], place.clock())
    assert not (place.home.path / "data" / "backup.db").exists()
    place.take_log()

    done = place.restore(place=place_of(to))

    assert 1 <= done.undone
    with place.restored() as restored:
        assert {"quince", "sloe"} == restored.words()
        assert [] == restored.openable("damson")
    held = [b"".join(place_of(to).pieces(one)) for one in place_of(to).names()]
    own = [one.read_bytes() for one in place.home.path.rglob("*") if one.is_file()]
    for secret in (SECRET, "quince"):
        assert not any(secret.encode() in one for one in (*held, *own))


@pytest.mark.parametrize(
    ("fault", "after"), [(Fault.NOT_PERSISTED, 1), (Fault.PERSISTED, 0), (Fault.PERSISTED, 3)]
)
def test_a_store_that_fails_while_it_is_put(
    place: BackedUp, relay: BucketRelay, fault: Fault, after: int
) -> None:
    """Carried out or not: the backup of before is whole; the same command goes on and puts what is
    there no second time, as far as a list says so; nobody's secret is told.
    """
    to = bucket()
    back_up(place, to)
    large(place, "large")
    relay.fail("PUT", fault, after)
    with pytest.raises(StorageError) as failed:
        back_up(place, to)
    assert SECRET not in f"{failed.value.message} {failed.value.hint}"
    assert to in failed.value.message
    relay.heal()
    assert [] == verified(place_of(to))[2]
    relay.heal()
    back_up(place, to)
    assert [] == verified(place_of(to))[2]
    named = {f"{one.folder}/{one.path}" for one in verified(place_of(to))[0].files}
    assert {*named, MANIFEST} == {*place_of(to).names()}


def test_what_was_noted_while_it_was_put_is_not_put_again(
    place: BackedUp, relay: BucketRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a signed list; one that is not signed by this home says nothing."""
    monkeypatch.setattr("bailee.backup.taking._NOTED", 1)
    for name in ("large", "larger"):
        large(place, name)
    to = bucket()
    relay.fail("PUT", Fault.NOT_PERSISTED, named="manifest.json")
    with pytest.raises(StorageError):
        back_up(place, to)
    relay.heal()
    at = place_of(to)
    noted = read(at, "unfinished.json")
    assert noted is not None
    another = BackedUp(place.folder / "other")
    changed, _ = manifest_of(noted, "it", unfinished=True)
    seed = another.node.keyring.secret(signing.NAME)
    at.write("unfinished.json", manifest_bytes(changed, seed, unfinished=True))
    another.node.close()
    relay.fail("PUT", Fault.NOT_PERSISTED, named="manifest.json")
    with pytest.raises(StorageError):
        back_up(place, to)
    assert relay.asked["PUT"] > 4
    relay.heal()
    done = back_up(place, to)
    assert done["copied"] < done["bytes"] - BIG
    assert [] == verified(place_of(to))[2]
    assert "unfinished.json" not in {*place_of(to).names()}


def test_a_store_that_lists_late(place: BackedUp, relay: BucketRelay) -> None:
    """What it does not list yet is there all the same, and is not put again; what it lists still
    is no error.
    """
    to = bucket()
    relay.late = True
    assert [] == [*place_of(to).names()]
    first = back_up(place, to)
    second = back_up(place, to)
    assert second["copied"] < first["copied"]
    assert [] == verified(place_of(to))[2]
    relay.late = False
    back_up(place, to)
    manifest = verified(place_of(to))[0]
    assert {"kept", "manifest.json", manifest.backup} == {
        one.partition("/")[0] for one in place_of(to).names()
    }


def test_an_object_that_was_changed_is_put_again(place: BackedUp, relay: BucketRelay) -> None:
    """Though it is as long as it was. `verify` names it, and so does a restore."""
    to = bucket()
    back_up(place, to, keys=str(place.keys))
    place.take_log()
    at = place_of(to)
    (name,) = (one for one in at.names() if one.startswith("kept/vault/segments"))
    before = read(at, name)
    assert before is not None
    at.write(name, before[:-1] + bytes([before[-1] ^ 1]))
    assert [(name, "it is not what was written.")] == verified(at)[2]
    with pytest.raises(BaileeError, match="wrong"):
        place.restore(place=at)
    assert 1 == back_up(place, to)["mended"]
    assert [] == verified(at)[2]
    at.remove([name])
    assert [(name, "it is not there.")] == verified(at)[2]
    assert 1 == back_up(place, to)["mended"]
    assert 0 == back_up(place, to)["mended"]


def test_what_is_refused(
    place: BackedUp, relay: BucketRelay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each by name, with what to do, and without a secret."""

    def refused(to: str, **given: str) -> str:
        with pytest.raises(BaileeError) as error:
            place.ask("backup.create", folder=to, **given)
        assert error.value.hint
        said = f"{error.value.message} {error.value.hint}"
        assert SECRET not in said and KEY not in said
        return said

    assert "keys go into a folder" in refused(bucket(), keys=f"s3://{BUCKET}/keys")
    assert "names no bucket" in refused("s3://")
    assert "names no bucket" in refused(f"s3://{BUCKET}/../x")
    assert "names no bucket" in refused(f"s3://{KEY}:{SECRET}@{BUCKET}/x")
    assert "a folder or a bucket" in refused("gs://cellar")
    with pytest.raises(InputError, match="no whole backup"):
        verified(place_of(bucket()))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    assert "refuses these credentials" in refused(bucket())
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://bucket.example")
    assert "no address that can be used" in refused(bucket())
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert "no credentials" in refused(bucket())
    rmtree(place.folder / "keys", ignore_errors=True)
