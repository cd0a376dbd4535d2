"""What can be asked of a home about training exports: to make one, what is in it, who has left it.

Folders are those of the machine that the home is on; a bucket is reached from there.

Rules kept here:

* An export is an act of staff, for a reason that goes on record before anything is read.
* What is allowed is decided for each session when it is written, and by nobody here.
* A person is told in which exports their own sessions are, and nothing of others'.

Rows: T4 to T8.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, Literal

from bailee.accounts.roles import Permission
from bailee.accounts.staff import worded
from bailee.errors import InputError, StorageError
from bailee.ledger.tlog import notes
from bailee.node import Node
from bailee.node.old_entries import NOBODY
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, extended
from bailee.operations.operation import operation
from bailee.operations.receipts import proved
from bailee.operations.whose import own_account
from bailee.outbound.bucket import Bucket
from bailee.training import manifest, naming
from bailee.training.checking import CheckedDataset, Dataset, WithdrawnRow, WrongPart
from bailee.training.cluster import RayEngine, cluster_address
from bailee.training.exported import SIGNED, Export
from bailee.training.exporting import SHARD, STAGING, Exporting, ExportProgress, check_place
from bailee.training.finishing import Finished, put
from bailee.training.listing import RowsAllowed
from bailee.training.placing import DatasetBucket, DatasetFolder
from bailee.training.pool import LocalEngine
from bailee.training.publishing import check_bucket, publish
from bailee.training.reaching import Crossing, crossing
from bailee.training.shards import Engine

_MOST_WORKERS: Final = 256
_EXTRA: Final = (
    "ahocorasick_rs",
    "betterleaks",
    "py3langid",
    "pyarrow",
    "pygal",
    "rensa",
    "stdnum",
)


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """An export: when, by whom, for what, and how much is in it. `state`: `planning`, `writing` or
    `signed`; `document`: SHA-256 of its manifest.
    """

    export: str
    state: str
    began: datetime
    finished: datetime | None
    by: str
    reason: str
    place: str
    format: str
    policy: str
    sessions: int
    rows: int
    document: str | None


@dataclass(frozen=True, slots=True)
class ExportWithYours:
    """An export with sessions of whoever asks: how many of theirs, when, and what it is for."""

    export: str
    finished: datetime
    sessions: int
    rows: int
    reason: str


@dataclass(frozen=True, slots=True)
class VerifiedDataset(CheckedDataset):
    """`on_record`: the leaf of the log that has the manifest's hash; None: there is none."""

    on_record: int | None


@dataclass(frozen=True, slots=True)
class Withdrawals:
    """The rows of a dataset that were withdrawn, deleted or erased since, or are past their time.
    `filter`: the file with the ids of these rows, a line each.
    """

    export: str
    rows: list[WithdrawnRow]
    filter: str


@operation()
def export(
    asks: Asks,
    node: Node,
    *,
    folder: str,
    reason: str | None = None,
    since: datetime | None = None,
    format: Literal["parquet", "jsonl"] = "parquet",
    engine: str = "local",
    workers: int | None = None,
    names_model: str | None = None,
    lend_at: str | None = None,
) -> Iterator[ExportProgress | Finished]:
    """Write what may be trained on into a folder, or a bucket (s3://BUCKET/PREFIX). One that was
    broken off goes on. `names_model`: the folder of a spaCy model by which names are found and
    masked; `lend_at`: HOST:PORT of this machine, where workers of a cluster of several ask for
    sessions and hand over what they wrote.
    """
    del reason  # it is among what asks
    asks.require(node, Permission.TRAINING_EXPORT)
    why = worded(asks.why(node), "a training export")
    _check_installed()
    made = engine_named(engine, workers)
    across = None if lend_at is None else _across(engine, lend_at)
    model = None if names_model is None else _model(names_model)
    bucket = _bucket(folder)
    known = node.exports.at(folder if bucket is None else bucket.named)
    if bucket is None:
        check_place(Path(folder), node.home.path, known)
        unfinished = not (Path(folder) / manifest.PROOF).exists()
    else:
        check_bucket(bucket, going_on=known is not None)
        unfinished = known is not None and node.staging.has(known.id)
    if known is not None and (known.document is None or unfinished):
        same = (known.format, known.since, known.names_model) == (format, since, model)
        if known.document is None and not (same and known.policy == node.policy.sha256):
            raise InputError(
                "the export to this place was begun on other terms.",
                hint="give the same --format, --since and --names-model; if the policy is another "
                "since, remove what is there and name a new place. Nothing was changed",
            )
    else:
        known = node.exports.begin(
            place=folder if bucket is None else bucket.named,
            format=format,
            by=asks.actor.name,
            reason=why,
            whose=NOBODY,
            since=since,
            now=asks.due,
            names_model=model,
        )
    if bucket is None:
        return carry_out(node, known, made, names_model=names_model or "", crossing=across)
    return _to_bucket(node, known, made, bucket, names_model or "", across)


def _bucket(place: str) -> Bucket | None:
    """The bucket that is meant; None: it is a folder.

    Raises:
        InputError: code `configuration`, it is neither, or can't be used as things are.
    """
    if "://" not in place:
        return None
    if not place.startswith("s3://"):
        raise InputError(
            "a training export goes into a folder or a bucket.",
            code="configuration",
            hint="name a folder, or s3://BUCKET/PREFIX; nothing was exported",
        )
    return Bucket(place, os.environ)


def _across(engine: str, lend_at: str) -> Crossing:
    """How a cluster's machines reach this one.

    Raises:
        InputError: there is no cluster, or no way.
    """
    if cluster_address(engine) is None:
        raise InputError(
            "leases are asked for from other machines by workers of a cluster alone.",
            hint="leave --lend-at out, or name the cluster by --engine ray://HOST:PORT",
        )
    return crossing(lend_at, os.environ)


def _to_bucket(  # noqa: PLR0917 (of one export all)
    node: Node,
    known: Export,
    engine: Engine,
    bucket: Bucket,
    names_model: str,
    across: Crossing | None,
) -> Iterator[ExportProgress | Finished]:
    """An export by way of a folder of the home, which nobody else works on, and which is removed
    once all of it is in the bucket.
    """
    with node.staging.holding(known.id) as folder:
        if known.document is None and not any(folder.iterdir()):
            known = node.exports.plan_again(known)  # what was written before is not there any more
        for item in carry_out(
            node, known, engine, names_model=names_model, folder=folder, crossing=across
        ):
            if isinstance(item, Finished):
                done = replace(item, place=bucket.named)
            else:
                yield item
        try:
            for _ in publish(folder, bucket):
                yield ExportProgress(known.id, known.shards, known.shards, done.sessions)
        except OSError as error:
            raise StorageError(
                f"the dataset can't be read ({error.strerror or type(error).__name__}).",
                hint="run it again: it goes on",
            ) from error
        node.staging.done(known.id)
    yield done


def _model(folder: str) -> str:
    """The digest of the model for names that is to be used.

    Raises:
        InputError: it can't be.
    """
    if not Path(folder).is_absolute():
        raise InputError("a model's folder is named from the root of the file system.")
    naming.check_installed()
    return naming.digest_of_model(Path(folder))


def carry_out(
    node: Node,
    known: Export,
    engine: Engine,
    shard: int = SHARD,
    *,
    names_model: str = "",
    folder: Path | None = None,
    crossing: Crossing | None = None,
) -> Iterator[ExportProgress | Finished]:
    """An export that is on record, with an engine, in shards of so many sessions. `names_model`:
    the folder of its model for names; `folder`: where its files lie, if not at its place;
    `crossing`: see `Exporting`.
    """
    folder = Path(known.place) if folder is None else folder
    node.vault.settle()
    exporting = Exporting(
        node.exports,
        node.vault,
        engine,
        key=node.keyring.secret(manifest.KEY),
        clock=node.latest,
        names=lambda owner: _names(node, owner),
        home=node.sequencer.signer.name,
        policy_version=node.policy.version,
        shard=shard,
        names_model=names_model,
        crossing=crossing,
    )
    for item in exporting.run(known, folder) if known.state != SIGNED else ():
        if isinstance(item, Finished):
            _seal(node, node.exports.get(known.id), folder)
        yield item
    if known.state == SIGNED:
        _seal(node, known, folder)
        yield Dataset(DatasetFolder(folder)).finished()


def _seal(node: Node, known: Export, place: Path) -> None:
    """Write the home's signature of a manifest that is on record, and the proof that it is; what
    was needed on the way is removed.
    """
    signer = node.sequencer.signer
    text = manifest.statement(signer.name, known.id, str(known.document))
    entry = node.ledger.latest(1, kind="training.exported", subject=known.id)[0]
    try:
        if (place / STAGING).exists():
            shutil.rmtree(place / STAGING)
        put(place / manifest.SIGNATURE, notes.signed(text, [signer], 0).data)
        put(place / manifest.PROOF, proved(node, entry.number).proof.encode())
    except OSError as error:
        raise StorageError(
            f"the manifest's signature can't be written ({error.strerror}).",
            hint="check the folder's permissions and room, and run it again",
        ) from error


def _names(node: Node, owner: str) -> tuple[str, ...]:
    """What names an account's person: their email, if there is a person."""
    with suppress(InputError):
        person = node.accounts.get(owner).person_id
        email = None if person is None else node.registry.people.get(person).email
        return () if email is None else (email,)
    return ()


def engine_named(engine: str, workers: int | None) -> Engine:
    """The engine that is meant.

    Raises:
        InputError: there is none such, or a number of workers that can't be.
    """
    if workers is not None and not 1 <= workers <= _MOST_WORKERS:
        raise InputError(f"there are 1 to {_MOST_WORKERS} workers.")
    if engine == "local":
        return LocalEngine(workers or os.cpu_count() or 1)
    address = cluster_address(engine)
    if address is None:
        raise InputError(
            f"there is no engine {engine[:40]!r}.", hint="use local, ray or ray://HOST:PORT"
        )
    if importlib.util.find_spec("ray") is None:
        raise InputError(
            "Ray is not installed.",
            code="configuration",
            hint="install the extra: pip install 'bailee[ray]'. Nothing was exported",
        )
    return RayEngine(address, workers)


@operation()
def list_(asks: Asks, node: Node) -> list[ExportSummary]:
    """The exports that were made: when, by whom, for what. The newest first."""
    asks.require(node, Permission.TRAINING_EXPORT)
    return [_summary(node, one) for one in node.exports.all()]


def _check_installed() -> None:
    """Raises: InputError, what masks rows and marks duplicates is not installed."""
    missing = [one for one in _EXTRA if importlib.util.find_spec(one) is None]
    if missing:
        raise InputError(
            f"a training export needs what is not installed: {', '.join(missing)}.",
            code="configuration",
            hint="install the extra: pip install 'bailee[training]'. Nothing was exported",
        )


def _summary(node: Node, one: Export) -> ExportSummary:
    sessions, rows = node.exports.counts(one.id)
    return ExportSummary(
        one.id,
        one.state,
        one.began_at,
        one.finished_at,
        one.by,
        _reason(node, one),
        one.place,
        one.format,
        one.policy,
        sessions,
        rows,
        one.document,
    )


def _reason(node: Node, one: Export) -> str:
    return str(node.ledger.get(one.entry).body.get("reason") or "")


@operation()
def mine(asks: Asks, node: Node) -> list[ExportWithYours]:
    """The training exports that your own sessions are in."""
    return exports_of(node, own_account(asks, node).account_id)


def exports_of(node: Node, account: str) -> list[ExportWithYours]:
    """The exports that an account's sessions are in, as its own page shows them."""
    return [
        ExportWithYours(one.id, one.finished_at, sessions, rows, _reason(node, one))
        for one, sessions, rows in node.exports.of_owner(account)
        if one.finished_at is not None
    ]


def _dataset(node: Node, named: str) -> Dataset:
    """A dataset by its folder, or its prefix in a bucket. Errors as in `_bucket`."""
    bucket = _bucket(named)
    if bucket is None:
        return Dataset(DatasetFolder(Path(named)))
    return Dataset(DatasetBucket(bucket, node.home.datasets))


@operation()
def verify(asks: Asks, node: Node, *, folder: str) -> VerifiedDataset:
    """Check a dataset against its manifest, the home's log and policy."""
    asks.require(node, Permission.TRAINING_EXPORT)
    dataset = _dataset(node, folder)
    policies = {leaf.subject for leaf in node.ledger.entries(kind="policy.activated")}
    checked = dataset.check(
        node.sequencer.keys[0],
        {one.id: one for one in node.exports.all()},
        policies,
        partial(_listed, node, dataset.manifest().export),
    )
    node.sequencer.run()
    entries = node.ledger.latest(1, kind="training.exported", subject=checked.export)
    found = [one for one in entries if one.body.get("document") == checked.document]
    if not found:
        said = WrongPart(manifest.MANIFEST, "the audit record has no such manifest")
        checked = replace(checked, wrong=[*checked.wrong, said])
    return extended(VerifiedDataset, checked, on_record=found[0].leaf if found else None)


def _listed(node: Node, known: str, shard: int) -> dict[str, RowsAllowed]:
    """The sessions of an export's shard as this home remembers them, by commitment."""
    key = node.keyring.secret(manifest.KEY)
    return {
        manifest.commitment(key, known, one.session): RowsAllowed(
            one.rows,
            one.clause,
            manifest.consent_commitment(key, known, one.session, one.consent),
        )
        for one in node.exports.of_shard(known, shard)
    }


@operation()
def withdrawals(asks: Asks, node: Node, *, folder: str) -> Withdrawals:
    """The rows of a dataset that were withdrawn, deleted or erased since, or are past their time,
    and a file that drops them.
    """
    asks.require(node, Permission.TRAINING_EXPORT)
    dataset = _dataset(node, folder)
    known = node.exports.get(dataset.manifest().export)
    key = node.keyring.secret(manifest.KEY)
    gone = {
        manifest.commitment(key, known.id, one.session): why
        for one, why in node.exports.withdrawn(known, asks.at)
    }
    rows = list(dataset.rows_of(gone))
    return Withdrawals(known.id, rows, dataset.write_filter(rows))


OPERATIONS: Final[Mapping[str, Function]] = {
    "training.export": export,
    "training.exports": list_,
    "training.verify": verify,
    "training.withdrawals": withdrawals,
}
