"""The end of an export: its files as they stay, and the manifest that says what they are.

It can be done again, from whatever a crash left: a shard's file is in the staging folder, or in its
place already.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

import orjson

from bailee.errors import IntegrityError, StorageError
from bailee.json_values import JsonObject, members, text
from bailee.syncing import sync_folder
from bailee.training import describing, manifest
from bailee.training.counting import Counts, from_json
from bailee.training.describing import DatasetSummary
from bailee.training.duplicates import NearDuplicates
from bailee.training.exported import Export, ExportedRows, Shard
from bailee.training.exports import Exports
from bailee.training.files import Format, digest_of, whole
from bailee.training.manifest import DatasetManifest, SignedFile
from bailee.training.rewriting import rewrite
from bailee.training.shards import facts_file, final_file, shard_file


@dataclass(frozen=True, slots=True)
class Finished:
    """A dataset whose files are written. `document`: SHA-256 of its manifest."""

    export: str
    place: str
    document: str
    sessions: int
    rows: int
    taken_out: int
    unreadable: int
    files: int
    bytes: int


class Finishing:
    """Writes the files of an export for good. `Exporting` calls it on its thread."""

    def __init__(self, exports: Exports, key: bytes, *, home: str, policy_version: str) -> None:
        """`home`: the name of its log."""
        self._exports = exports
        self._key = key
        self._home = home
        self._policy_version = policy_version

    def write(self, export: Export, place: Path, staging: Path, now: datetime) -> Finished:
        """Write all of a dataset but its signature, without the sessions that were taken out.

        Raises:
            IntegrityError: a file is not what was written.
            StorageError: a file can't be read or written.
        """
        try:
            return self._write(export, place, staging, now)
        except OSError as error:
            raise StorageError(
                f"the dataset can't be written ({error.strerror or type(error).__name__}).",
                hint="check the folder's permissions and room, and run it again: it goes on",
            ) from error

    def _write(self, export: Export, place: Path, staging: Path, now: datetime) -> Finished:
        left, sessions = self._sessions(export, place)
        seen = Counts()
        with closing(NearDuplicates(staging)) as alike:
            shards = self._exports.shards(export.id)
            less = {one.number for one in shards if self._look(export, one, staging, alike, seen)}
            rows = [
                self._final(export, one, (place, staging), alike, less=one.number in less)
                for one in shards
            ]
        unreadable = self._exports.unreadable(export.id)
        dataset = DatasetSummary(
            name=f"bailee-{export.id}",
            version="1.0.0",
            published=now.date().isoformat(),
            publisher=self._home,
            entry=export.entry,
            document=export.policy,
            form=export.format,
            files=tuple(
                describing.DatasetFile(one.path, one.sha256, one.bytes, one.rows or 0)
                for one in rows
            ),
            sessions=sessions,
            counts=seen,
            near_duplicates=alike.count,
            names_model=export.names_model,
        )
        described = [*_describe(place, dataset)]
        made = DatasetManifest(
            export=export.id,
            home=self._home,
            policy=export.policy,
            policy_version=self._policy_version,
            began=export.began_at.isoformat(),
            finished=now.isoformat(),
            entry=export.entry,
            format=export.format,
            since=None if export.since is None else export.since.isoformat(),
            sessions=sessions,
            rows=sum(one.rows or 0 for one in rows),
            duplicates=alike.count,
            taken_out=dict(sorted(left.items())),
            unreadable=unreadable,
            counts=seen.as_json(),
            files=(*rows, *described, _described(place, manifest.SESSIONS)),
            names_model=export.names_model,
        )
        raw = manifest.as_bytes(made)
        put(place / manifest.MANIFEST, raw)
        return Finished(
            export.id,
            export.place,
            manifest.digest(raw),
            made.sessions,
            made.rows,
            sum(left.values()),
            unreadable,
            len(rows),
            sum(one.bytes for one in rows),
        )

    def _sessions(self, export: Export, place: Path) -> tuple[Counter[str], int]:
        """Write the list of sessions: how many were taken out, by why, and how many are in."""
        left: Counter[str] = Counter()
        count = 0
        with whole(place / manifest.SESSIONS) as out:
            for committed, one in self._in_order(export):
                if one.left is None:
                    count += 1
                    why = {
                        "clause": one.clause,
                        "consent": manifest.consent_commitment(
                            self._key, export.id, one.session, one.consent
                        ),
                    }
                else:
                    left[one.left] += 1
                    why = {"left": one.left}
                out.write(manifest.session_line(committed, one.shard, one.rows, why))
        return left, count

    def _in_order(self, export: Export) -> Iterator[tuple[str, ExportedRows]]:
        """The sessions of an export with their commitments, in the order of their rows."""
        listed = self._exports.sessions(export.id)
        for _, of_shard in groupby(listed, key=lambda one: one.shard):
            named = (
                (manifest.commitment(self._key, export.id, one.session), one) for one in of_shard
            )
            yield from sorted(named, key=lambda pair: pair[0])

    def _look(
        self, export: Export, shard: Shard, staging: Path, alike: NearDuplicates, seen: Counts
    ) -> bool:
        """Read what is known of a shard's rows, once: it is counted, and compared with the rows
        before. Whether rows of it are left out.
        """
        only = self._named(export, self._exports.of_shard(export.id, shard.number))
        less = False
        try:
            for fact in _facts(staging, shard):
                if text(fact.get("session")) not in only:
                    less = True
                    continue
                seen.include(from_json(fact.get("counts")))
                signature = base64.b64decode(text(fact.get("signature")))
                alike.add(shard.number, text(fact.get("row")), signature)
        except ValueError as error:
            raise _not_whole("what is known of the rows") from error
        return less

    def _named(self, export: Export, listed: list[ExportedRows]) -> set[str]:
        """Sessions as commitments."""
        return {manifest.commitment(self._key, export.id, one.session) for one in listed}

    def _final(
        self,
        export: Export,
        shard: Shard,
        folders: tuple[Path, Path],
        alike: NearDuplicates,
        *,
        less: bool,
    ) -> SignedFile:
        """A shard's file in its place, without what was taken out (`less`: there is something),
        near duplicates marked.
        """
        place, staging = folders
        name = f"{manifest.DATA}/{final_file(shard.number, export.shards, export.format)}"
        source, target = staging / shard_file(shard.number, export.format), place / name
        kept = source if source.exists() else target
        as_written = digest_of(kept) == shard.sha256
        if kept is source and not as_written:
            raise _not_whole(source.name)
        listed = self._exports.of_shard(export.id, shard.number)
        wanted = sum(one.rows for one in listed)
        marks = alike.of(shard.number)
        if less or marks or not as_written:
            only = self._named(export, listed)
            made = rewrite(kept, target, Format(export.format), only, marks)
            source.unlink(missing_ok=True)
            if made.rows != wanted:
                raise _not_whole(name)
            return SignedFile(name, made.sha256, made.bytes, made.rows)
        if kept is source:
            source.rename(target)
            sync_folder(target.parent)
        return SignedFile(name, str(shard.sha256), target.stat().st_size, wanted)


def _describe(place: Path, dataset: DatasetSummary) -> Iterator[SignedFile]:
    """Write what the dataset says of itself to people and loaders."""
    texts = {
        "README.md": describing.readme(dataset),
        "DATASHEET.md": describing.datasheet(dataset),
        "croissant.json": describing.croissant(dataset),
        **describing.drawn(dataset),
    }
    for name, text_ in texts.items():
        (place / name).parent.mkdir(exist_ok=True)
        put(place / name, text_.encode())
        yield _described(place, name)


def put(path: Path, raw: bytes) -> None:
    """Write a file whole, durable, in place of what is there. Raises: OSError."""
    with whole(path) as out:
        out.write(raw)


def _facts(staging: Path, shard: Shard) -> Iterator[JsonObject]:
    """What is known of the rows of a shard.

    Raises:
        IntegrityError: it is not what its worker wrote.
    """
    path = staging / facts_file(shard.number)
    if digest_of(path) != shard.facts:
        raise _not_whole(path.name)
    with path.open("rb") as lines:
        for line in lines:
            yield members(orjson.loads(line))


def _described(place: Path, name: str) -> SignedFile:
    path = place / name
    return SignedFile(name, digest_of(path), path.stat().st_size)


def _not_whole(name: str) -> IntegrityError:
    return IntegrityError(
        f"{name} is not what was written.",
        hint="remove the folder and export again into a new one; the home was not changed",
    )
