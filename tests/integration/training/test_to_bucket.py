"""A training export into a bucket, at a server of S3 that is not ours, on a way that fails."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from obstore.store import S3Store

from bailee.errors import BaileeError, InputError, StorageError
from bailee.outbound.bucket import Bucket
from bailee.testing.store import Fault
from bailee.training.manifest import PROOF
from support.clients.asking import perform
from support.homes.backed_up import BackedUp
from support.homes.exporting import rows_of
from support.servers.buckets import BUCKET, KEY, SECRET, BucketRelay

WORDS = ("quince", "damson", "sloe")
_numbers = itertools.count()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[BackedUp]:
    """A home with a person who allows training, in three sessions."""
    made = BackedUp(tmp_path)
    person = made.person("ola@x.example")
    made.ask("privacy.choose", key=person["key"], choice="allowed")
    for word in WORDS:
        made.say(str(person["account"]), word)
    yield made
    made.node.close()


def _prefix() -> str:
    """Where nothing is yet."""
    return f"s3://{BUCKET}/dataset-{next(_numbers)}"


def _export(place: BackedUp, to: str, **given: object) -> dict[str, object]:
    *_, done = place.ask("training.export", folder=to, workers=1, **given)
    return dict(done)


def _fetched(server: str, prefix: str, folder: Path) -> Path:
    """What lies there, by a client that is not ours, in a folder."""
    store = S3Store(
        BUCKET,
        endpoint=server,
        access_key_id=KEY,
        secret_access_key=SECRET,
        region="eu-central-1",
        client_options={"allow_http": True},
    )
    below = prefix.removeprefix(f"s3://{BUCKET}/")
    for one in store.list(below).collect():
        target = folder / one["path"].removeprefix(below + "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(bytes(store.get(one["path"]).bytes()))
    return folder


def _said(folder: Path) -> set[str]:
    return {row["messages"][0]["content"] for row in rows_of(folder)}


def _left(place: BackedUp) -> list[Path]:
    return [path for path in place.home.datasets.rglob("*") if path.is_file()]


@pytest.mark.row("T7")
def test_what_arrives_is_what_was_signed(
    place: BackedUp, relay: BucketRelay, bucket_server: str, tmp_path: Path
) -> None:
    """Fetched again it holds, whoever fetched it; nothing of it stays in the home; and what is
    there is not written over.
    """
    to = _prefix()
    done = _export(place, to + "/", reason="a coding model")
    folder = _fetched(bucket_server, to, tmp_path / "fetched")
    checked = place.ask("training.verify", folder=str(folder))

    assert (to, 3) == (done["place"], done["sessions"])
    assert set(WORDS) == _said(folder)
    assert [] == checked["wrong"]
    assert checked["on_record"] is not None
    assert to == place.ask("training.exports")[0]["place"]
    assert [] == _left(place)
    assert checked == place.ask("training.verify", folder=to)
    with pytest.raises(InputError, match="something at this place"):
        _export(place, to)
    with pytest.raises(InputError, match="something at this place"):
        _export(place, f"s3://{BUCKET}")
    with pytest.raises(InputError, match="folder or a bucket"):
        _export(place, "gs://cellar/x")


@pytest.mark.row("T7")
@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_dataset_in_a_bucket_is_looked_at_where_it_lies(
    place: BackedUp, relay: BucketRelay, bucket_server: str, tmp_path: Path, form: str
) -> None:
    """What was changed or added there is named; who has left it is, and the filter is put there."""
    to = _prefix()
    _export(place, to, format=form)
    assert [] == place.ask("training.verify", folder=to)["wrong"]
    bucket = Bucket(to, os.environ)
    rows = next(name for name in bucket.names() if name.startswith("data/"))
    bucket.write(rows, b"".join(bucket.pieces(rows))[:-9])
    bucket.write("data/more", b"none")
    wrong = place.ask("training.verify", folder=to)["wrong"]
    assert {"data/more", rows, "sessions.jsonl"} == {one["where"] for one in wrong}
    with pytest.raises(InputError, match="no dataset"):
        place.ask("training.verify", folder=_prefix())

    to = _prefix()
    _export(place, to, format=form)
    place.ask("sessions.delete", id=place.sessions[WORDS[0]])
    gone = place.ask("training.withdrawals", folder=to)
    assert ["deleted"] == [one["why"] for one in gone["rows"]]
    assert f"{to}/withdrawn.txt" == gone["filter"]
    listed = b"".join(Bucket(to, os.environ).pieces("withdrawn.txt")).decode().split()
    assert [one["row"] for one in gone["rows"]] == listed
    assert [] == _left(place)


@pytest.mark.row("T7")
@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("named", ["data/train-", PROOF])
def test_broken_off_it_goes_on(
    place: BackedUp,
    relay: BucketRelay,
    bucket_server: str,
    tmp_path: Path,
    fault: Fault,
    named: str,
) -> None:
    """Whichever file does not arrive: there is no proof, or all is there; the same words go on, and
    make no second export.
    """
    to = _prefix()
    relay.fail("PUT", fault, named=named)
    with pytest.raises(StorageError, match="can't be written"):
        _export(place, to)
    relay.heal()
    if fault is Fault.PERSISTED and named == PROOF:  # it arrived: there is nothing to go on with
        with pytest.raises(InputError, match="something at this place"):
            _export(place, to)
    else:
        assert not (_fetched(bucket_server, to, tmp_path / "before") / PROOF).exists()
        _export(place, to)
    folder = _fetched(bucket_server, to, tmp_path / "fetched")
    place.node.sweep(place.clock())

    assert set(WORDS) == _said(folder)
    assert [] == place.ask("training.verify", folder=str(folder))["wrong"]
    assert 1 == len(place.ask("training.exports"))
    assert [] == _left(place)


@pytest.mark.row("T7", "R5")
def test_what_nobody_works_on_is_forgotten(
    place: BackedUp, relay: BucketRelay, bucket_server: str, tmp_path: Path
) -> None:
    """A sweep leaves alone what is worked on, and removes what was given up; then the same words
    begin anew, without who withdrew meanwhile.
    """
    to = _prefix()
    relay.fail("PUT", Fault.NOT_PERSISTED, named=PROOF)
    some = perform(place.node, "training.export", {"folder": to, "workers": 1})
    next(some)
    place.node.sweep(place.clock())
    during = _left(place)
    with pytest.raises(BaileeError, match="under way already"):
        _export(place, to)
    with pytest.raises(StorageError):
        for _ in some:
            pass
    after = _left(place)
    place.node.sweep(place.clock())
    swept = _left(place)
    relay.heal()
    first = place.ask("training.exports")[0]["export"]
    done = _export(place, to)
    folder = _fetched(bucket_server, to, tmp_path / "fetched")

    assert during
    assert after
    assert [] == swept
    assert first != done["export"]
    assert [] == place.ask("training.verify", folder=str(folder))["wrong"]
    assert done["export"] in (folder / "manifest.json").read_text()


@pytest.mark.row("T7")
def test_an_export_whose_files_are_gone_is_planned_anew(
    place: BackedUp,
    relay: BucketRelay,
    bucket_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed before its end, and swept: the same export begins with all of its shards."""
    to = _prefix()

    def ends(*_: object) -> None:
        raise StorageError("the machine stops here.")

    with monkeypatch.context() as patched:
        patched.setattr("bailee.training.exports.Exports.sign", ends)
        with pytest.raises(StorageError):
            _export(place, to)
    place.node.sweep(place.clock())
    left = _left(place)
    (before,) = place.ask("training.exports")
    done = _export(place, to)
    folder = _fetched(bucket_server, to, tmp_path / "fetched")

    assert [] == left
    assert before["export"] == done["export"]
    assert set(WORDS) == _said(folder)
    assert [] == place.ask("training.verify", folder=str(folder))["wrong"]
