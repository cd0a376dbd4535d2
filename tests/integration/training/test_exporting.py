"""A training export as staff ask for it, with workers that are processes."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from bailee.errors import BaileeError, InputError
from bailee.ledger.tlog import proofs
from bailee.operations.training import carry_out
from bailee.testing.tampering import tamper
from bailee.training.exporting import ExportProgress
from bailee.training.finishing import Finished
from bailee.training.manifest import KEY, commitment, consent_commitment
from bailee.training.naming import digest_of_model
from bailee.training.pool import LocalEngine
from bailee.vault.record import subject_of
from support.clients.asking import perform
from support.homes import failing_worker
from support.homes.backed_up import BackedUp
from support.homes.exporting import rows_of
from support.homes.named_model import model_folder

FAILING = Path(failing_worker.__file__)
MINE = ("one", "two", "three")


@dataclass
class Place(BackedUp):
    """With the keys of its people."""

    ola: str = ""
    pia: str = ""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A home with Ola, who allows training, Pia, who does not, and a company."""
    made = Place(tmp_path_factory.mktemp("home"))
    ola, pia = made.person("ola@x.example"), made.person("pia@x.example")
    made.say(str(ola["account"]), "before")
    made.ask("privacy.choose", key=ola["key"], choice="allowed")
    made.ask("privacy.choose", key=pia["key"], choice="refused")
    firm = made.node.accounts.create(plan="api", name="firm")[0]
    for word in MINE:
        made.say(str(ola["account"]), word)
        made.say(str(pia["account"]), f"pia {word}")
        made.say(firm.account_id, f"firm {word}")
    made.ola, made.pia = str(ola["key"]), str(pia["key"])
    yield made
    made.node.close()


def _export(place: Place, folder: Path, **given: object) -> dict[str, object]:
    *_, done = place.ask("training.export", folder=str(folder), workers=2, **given)
    return dict(done)


@pytest.mark.row("T4", "T5", "T7")
def test_rows_carry_what_allowed_them(place: Place, tmp_path: Path) -> None:
    """Exactly the sessions since the choice, each with clause, policy, and a commitment to the
    consent record that no other row has. What it is for is told to its people, and in no file.
    Nor does the order say which session's id comes first: clients choose ids, some by the time.
    """
    done = _export(place, tmp_path / "d", reason="a model of the year 2026")
    rows = rows_of(tmp_path / "d")
    assert sorted(MINE) == sorted(row["messages"][0]["content"] for row in rows)
    ola = place.node.accounts.authenticate(place.ola.encode())
    assert ola is not None
    (record,) = place.node.accounts.consent_records(ola[1].account_id)
    assert {("train.consumer-allowed", place.node.policy.sha256)} == {
        (row["clause"], row["document"]) for row in rows
    }
    key, made = place.node.keyring.secret(KEY), str(done["export"])
    opened = {
        commitment(key, made, session): consent_commitment(key, made, session, record.record_id)
        for session in place.sessions.values()
    }
    assert [opened[row["session"]] for row in rows] == [row["consent"] for row in rows]
    assert 3 == len({row["consent"] for row in rows})
    said = b"".join(one.read_bytes() for one in (tmp_path / "d").rglob("*") if one.is_file())
    assert not [one for one in (record.record_id, "year 2026") if one.encode() in said]
    assert (3, 3) == (done["sessions"], done["rows"])
    listed = (tmp_path / "d" / "sessions.jsonl").read_text().splitlines()
    inside = [row["session"] for row in rows]
    assert sorted(inside) == inside == [json.loads(line)["session"] for line in listed]
    (mine,) = place.ask("privacy.exports", key=place.ola)
    assert (3, "a model of the year 2026") == (mine["sessions"], mine["reason"])
    assert [] == place.ask("privacy.exports", key=place.pia)


@pytest.mark.row("T7")
def test_no_file_of_a_dataset_names_a_session_an_account_or_a_key(
    place: Place, tmp_path: Path
) -> None:
    """While it is written neither: what the staging folder has, the dataset has."""
    folder = tmp_path / "d"
    secret: list[bytes] = []
    for session in place.sessions.values():
        secret += [session.encode(), place.node.keyring.get(subject_of(session)).key]
    secret += [one.account_id.encode() for _, one in place.node.accounts.api_keys()]
    seen = 0
    asked = {"folder": str(folder), "format": "jsonl"}
    for _ in iter(perform(place.node, "training.export", asked)):  # type: ignore[call-overload]
        for path in [one for one in folder.rglob("*") if one.is_file()]:
            content = path.read_bytes()
            assert not [one for one in secret if one in content or one.hex().encode() in content]
            seen += 1
    assert seen


@pytest.mark.row("T7")
@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_whatever_is_changed_is_found(place: Place, tmp_path: Path, form: str) -> None:
    """Each file of a dataset, and a file that was added."""
    folder = tmp_path / "d"
    _export(place, folder, format=form)
    asked = {"folder": str(folder)}
    checked = place.ask("training.verify", **asked)
    assert [] == checked["wrong"]
    proof = proofs.read((folder / "manifest.proof").read_bytes())
    assert proof.index == checked["on_record"]
    assert checked["document"].encode() in (proof.extra or b"")
    for name in (f"data/train-00000-of-00001.{form}", "sessions.jsonl", "manifest.json"):
        path = folder / name
        as_it_was = path.read_bytes()
        path.write_bytes(as_it_was.replace(b"train.consumer", b"train.consumes"))
        if path.read_bytes() == as_it_was:
            path.write_bytes(as_it_was[:-8] + b"12345678")
        assert place.ask("training.verify", **asked)["wrong"], name
        path.write_bytes(as_it_was)
    (folder / "data" / f"train-00001-of-00001.{form}").write_bytes(b"")
    (wrong,) = place.ask("training.verify", **asked)["wrong"]
    assert "the manifest does not know it" == wrong["what"]


@pytest.mark.row("T7")
def test_one_session_that_cannot_be_read_stops_no_other(place: Place, tmp_path: Path) -> None:
    """It is counted in the manifest, and the others are there."""
    ola = place.node.accounts.authenticate(place.ola.encode())
    assert ola is not None
    bad = place.say(ola[1].account_id, "damaged")
    place.node.keyring.destroy([subject_of(bad)])
    done = _export(place, tmp_path / "d")
    manifest = json.loads((tmp_path / "d" / "manifest.json").read_bytes())
    assert (3, 1, 1) == (done["rows"], done["unreadable"], manifest["unreadable"])


@pytest.mark.row("T5", "R5")
def test_a_session_whose_row_is_damaged_is_in_no_dataset(place: Place, tmp_path: Path) -> None:
    """Whether it was taken out nobody knows: one flipped bit brings nothing back. The others are
    there, each file is what was signed, and the damage is named.
    """
    begun = place.node.exports.begin(
        place=str(tmp_path / "d"), format="jsonl", by="operator", reason="a test", whose="nobody",
        since=None, now=place.clock(),
    )  # fmt: skip
    for said in carry_out(place.node, begun, LocalEngine(2), shard=2):
        if isinstance(said, ExportProgress) and said.done == said.of:
            bad = place.sessions["two"]
            tamper(
                place.node.home.data_database,
                "UPDATE training_sessions SET word = 0 WHERE session = ? AND export = ?",
                [bad, begun.id],
            )
    assert isinstance(said, Finished)
    rows = rows_of(tmp_path / "d")
    assert ["one", "three"] == sorted(row["messages"][0]["content"] for row in rows)
    assert 2 == said.rows
    checked = place.ask("training.verify", folder=str(tmp_path / "d"))
    assert [] == checked["wrong"]


@pytest.mark.row("T7")
def test_a_list_in_another_order_or_for_no_file_is_found(place: Place, tmp_path: Path) -> None:
    """The list is read a shard at a time: what stands elsewhere in it counts as missing there."""
    begun = place.node.exports.begin(
        place=str(tmp_path / "d"), format="jsonl", by="operator", reason="a test", whose="nobody",
        since=None, now=place.clock(),
    )  # fmt: skip
    *_, done = carry_out(place.node, begun, LocalEngine(2), shard=1)
    assert isinstance(done, Finished)
    listed = tmp_path / "d" / "sessions.jsonl"
    lines = listed.read_bytes().splitlines(keepends=True)
    assert 3 <= len(lines)
    beyond = lines[0].replace(b'"shard":0', b'"shard":9')
    for changed in (lines[::-1], [*lines, beyond], lines[1:], [*lines, b"{"], [b"[]\n", *lines]):
        listed.write_bytes(b"".join(changed))
        checked = place.ask("training.verify", folder=str(tmp_path / "d"))
        found = {(one["where"], one["what"]) for one in checked["wrong"]}
        assert ("sessions.jsonl", "it is not what was signed") in found
        assert len({what for where, what in found if where == "sessions.jsonl"}) > 1, changed
    listed.write_bytes(b"".join(lines))
    assert [] == place.ask("training.verify", folder=str(tmp_path / "d"))["wrong"]


@pytest.mark.row("T7")
def test_what_only_a_hold_keeps_is_in_no_export(tmp_path: Path) -> None:
    """A hold keeps nobody's living session out; past its time it does not keep it in. Who has the
    earlier dataset is told of it, held or not.
    """
    made = BackedUp(tmp_path)
    try:
        ola = made.person("ola@x.example")
        made.ask("privacy.choose", key=ola["key"], choice="allowed")
        for word in ("held", "free"):
            made.say(str(ola["account"]), word)
        made.ask("hold.place", session=made.sessions["held"], reason="a case")
        made.node.sweep(made.clock())
        for folder, words in (("before", ["free", "held"]), ("after", ["new"])):
            made.ask("training.export", folder=str(tmp_path / folder), workers=1)
            said = [row["messages"][0]["content"] for row in rows_of(tmp_path / folder)]
            assert words == sorted(said)
            made.clock.advance(timedelta(days=5 * 366))
            made.node.sweep(made.clock())
            made.say(str(ola["account"]), "new")
        assert made.sessions["held"] in made.node.vault.owned_ids(str(ola["account"]))
        assert made.sessions["free"] not in made.node.vault.owned_ids(str(ola["account"]))
        asked = made.ask("training.withdrawals", folder=str(tmp_path / "before"))
        assert ["expired", "expired"] == [row["why"] for row in asked["rows"]]
    finally:
        made.node.close()


@pytest.mark.row("T8")
@pytest.mark.parametrize("how", ["hangs", "ends"])
def test_a_session_that_no_worker_survives_is_left_out(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """It is tried once more, then named in the log and counted; the others are there."""
    person = place.person(f"{how}@x.example")
    place.ask("privacy.choose", key=person["key"], choice="allowed")
    bad = place.say(str(person["account"]), f"this {how}")
    begun = place.node.exports.begin(
        place=str(tmp_path / "d"), format="jsonl", by="operator", reason="a test", whose="nobody",
        since=None, now=place.clock(),
    )  # fmt: skip
    command = (sys.executable, str(FAILING), f"this {how}", how)
    *_, done = carry_out(place.node, begun, LocalEngine(2, command=command), shard=2)
    assert isinstance(done, Finished)
    said = [row["messages"][0]["content"] for row in rows_of(tmp_path / "d")]
    assert set(MINE) <= set(said)
    assert f"this {how}" not in said
    assert done.unreadable >= 1
    (named,) = [one.getMessage() for one in caplog.records if "left out" in one.msg]
    assert bad in named
    place.node.vault.delete(bad, place.clock())


@pytest.mark.row("T7")
def test_a_trainer_exports_and_nobody_else(place: Place, tmp_path: Path) -> None:
    """By the key of their own account, while the operator lets them; it is on record by whom."""
    tess = place.person("tess@x.example")
    with pytest.raises(InputError, match="may not do this"):
        _export(place, tmp_path / "a", key=tess["key"])
    place.ask("person.trainer", id=tess["person"])
    done = _export(place, tmp_path / "a", key=tess["key"], reason="asked for by the lab")
    made = {one["export"]: one for one in place.ask("training.exports", key=tess["key"])}
    assert (tess["person"], "asked for by the lab") == (
        made[done["export"]]["by"],
        made[done["export"]]["reason"],
    )
    with pytest.raises(InputError, match="may not do this"):
        place.ask("audit.list", key=tess["key"])
    place.ask("person.trainer", id=tess["person"], trainer=False)
    with pytest.raises(InputError, match="may not do this"):
        place.ask("training.exports", key=tess["key"])


@pytest.mark.row("T7")
def test_loaders_read_it_as_it_lies(place: Place, tmp_path: Path) -> None:
    """By its folder alone, both forms of its rows; and what is masked is not in it."""
    ola = place.node.accounts.authenticate(place.ola.encode())
    assert ola is not None
    secret = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7xY9zA1cD3eF5"
    session = place.say(ola[1].account_id, f"the token is {secret}, write to OLA@x.example")
    _export(place, tmp_path / "d")
    os.environ["HF_DATASETS_OFFLINE"] = "1"
    load = importlib.import_module("datasets").load_dataset
    cache = str(tmp_path / "cache")
    rows = load(str(tmp_path / "d"), split="train", cache_dir=cache)
    blocks = load(str(tmp_path / "d"), "blocks", split="train", cache_dir=cache)
    assert rows["id"][:] == blocks["id"][:]
    said = " ".join(one[0]["content"] for one in rows["messages"])
    assert "the token is [" in said
    assert secret not in said + " ".join(blocks["blocks"][:])
    assert "ola@x.example" not in (said + " ".join(blocks["blocks"][:])).lower()
    place.node.vault.delete(session, place.clock())
    (row,) = place.ask("training.withdrawals", folder=str(tmp_path / "d"))["rows"]
    assert ("deleted", f"{row['row']}\n") == (
        row["why"],
        (tmp_path / "d" / "withdrawn.txt").read_text(),
    )


@pytest.mark.row("T7")
def test_names_are_masked_by_a_model_of_the_operator_s(place: Place, tmp_path: Path) -> None:
    """A real spaCy model in a folder: what it found is masked and counted as all else is, and the
    manifest says which model it was. An export can't go on with another, or without.
    """
    ola = place.node.accounts.authenticate(place.ola.encode())
    assert ola is not None
    said = "Yesterday Ada Lovelace met Charles Babbage, and Ada Lovelace went home."
    session = place.say(ola[1].account_id, said)
    model = str(model_folder())
    asked = {"folder": str(tmp_path / "d"), "workers": 1, "names_model": model, "format": "jsonl"}
    digest = digest_of_model(Path(model))
    place.node.exports.begin(
        place=str(tmp_path / "d"), format="jsonl", by="operator", reason="a test", whose="nobody",
        since=None, now=place.clock(), names_model=digest,
    )  # fmt: skip
    with pytest.raises(InputError, match="other terms"):
        place.ask("training.export", **asked | {"names_model": None})
    *_, _ = place.ask("training.export", **asked)
    rows = rows_of(tmp_path / "d")
    assert "Yesterday [PERSON_1] met [PERSON_2], and [PERSON_1] went home." in {
        row["messages"][0]["content"] for row in rows
    }
    written = (tmp_path / "d" / "manifest.json").read_bytes()
    manifest = json.loads(written)
    assert digest == manifest["names_model"]
    assert 3 == manifest["counts"]["masked"]["person"]
    assert digest in (tmp_path / "d" / "DATASHEET.md").read_text()
    assert [] == place.ask("training.verify", folder=str(tmp_path / "d"))["wrong"]
    for wrong in ("model", str(tmp_path)):
        with pytest.raises(InputError):
            place.ask("training.export", folder=str(tmp_path / "e"), names_model=wrong)
    place.node.vault.delete(session, place.clock())


@pytest.mark.row("T7")
def test_a_folder_that_has_something_is_left_alone(place: Place, tmp_path: Path) -> None:
    """And so is the home; nothing is put on record."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine.txt").write_text("mine")
    before = place.node.ledger.latest(1)
    for folder in (tmp_path / "d", place.home.path / "d", Path("d")):
        with pytest.raises(InputError):
            _export(place, folder)
    assert before == place.node.ledger.latest(1)


@pytest.mark.row("T7")
def test_a_dataset_of_another_home_is_not_vouched_for(place: Place, tmp_path: Path) -> None:
    """Who asks it who has left is told that it does not know."""
    _export(place, tmp_path / "d")
    other = BackedUp(tmp_path)
    asked = {"folder": str(tmp_path / "d")}
    try:
        assert other.ask("training.verify", **asked)["wrong"]
        with pytest.raises(BaileeError, match="knows no such export"):
            other.ask("training.withdrawals", **asked)
    finally:
        other.node.close()
