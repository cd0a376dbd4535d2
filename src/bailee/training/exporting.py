"""A training export, driven from its plan to its signed manifest.

    planning → writing → signed

Theory of operation: the plan is frozen first. Each shard is made into a file by a worker, which
leases its sessions one at a time (`leasing`), and is committed with a decision about each session
made anew. When all are written, those that may not be in it any more are taken out, files are
written for good, and the manifest is put on record in a transaction that sees that nothing has
come since (`Exports.sign`).

Rules kept here:

* Every step can be broken off and taken again: the same folder goes on where it was.
* What is in memory is one portion of ids, and for each row what tells near duplicates.
* A shard that fails is tried again, and again; then the export stops, and says so. What is written
  stays for the next try.
* A session that ends its worker twice is left out as one that can't be read (`suspects`), and named
  in the home's own log.

Rows: T4 to T8.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bailee.clock import Clock
from bailee.errors import InputError, IntegrityError, StorageError
from bailee.syncing import sync_folder
from bailee.training import manifest
from bailee.training.exported import PLANNING, Export, Shard
from bailee.training.exports import Exports
from bailee.training.finishing import Finished, Finishing
from bailee.training.leasing import KeyLeases
from bailee.training.pool import ENDED
from bailee.training.reaching import BetweenMachines, Crossing, OnThisMachine
from bailee.training.shards import Engine, ShardResult, ShardTask, facts_file, shard_file
from bailee.training.standings import Allowed
from bailee.training.suspects import Suspects
from bailee.training.wire import Leased
from bailee.vault.vault import Vault

STAGING: Final = ".bailee-export"
SHARD: Final = 500
_TRIES: Final = 4
_AGAIN: Final = 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """How far an export has come: shards and sessions that are written."""

    export: str
    done: int
    of: int
    sessions: int


class Exporting:
    """One export, carried out. An operation makes it and goes through `run` on its thread; the
    leases call `_lend` on theirs. It signs nothing: whoever made it does, of what it gives.
    """

    def __init__(
        self,
        exports: Exports,
        vault: Vault,
        engine: Engine,
        *,
        key: bytes,
        clock: Clock,
        names: Callable[[str], tuple[str, ...]],
        home: str,
        policy_version: str,
        shard: int = SHARD,
        names_model: str = "",
        crossing: Crossing | None = None,
    ) -> None:
        """`key`: of the commitments. `names`: what names an account's owner, to be masked;
        `home`: the name of its log; `names_model`: the folder of the export's model for names;
        `crossing`: how workers on other machines reach this one, None: there are none.
        """
        self._exports = exports
        self._vault = vault
        self._engine = engine
        self._key = key
        self._clock = clock
        self._names = names
        self._finishing = Finishing(exports, key, home=home, policy_version=policy_version)
        self._shard = shard
        self._names_model = names_model
        self._crossing = crossing
        self._failed = ""
        self._suspects = Suspects()

    def run(self, export: Export, place: Path) -> Iterator[ExportProgress | Finished]:
        """Carry it out in the folder `place`, from wherever it is. The last of what it gives is
        what was finished.

        Raises:
            StorageError: a store or the folder can't be used, or workers end again and again; run
                it again to go on.
        """
        staging = prepared(place)
        if export.state == PLANNING:
            export = self._exports.plan(export, self._shard, self._clock())
        for _ in self._tries():
            waiting = [one for one in self._exports.shards(export.id) if one.sha256 is None]
            yield self._progress(export, export.shards - len(waiting))
            if not waiting:
                break
            yield from self._write(export, waiting, staging)
        else:
            raise StorageError(
                f"the workers of this export end before they are done ({self._failed[:40]}).",
                hint="check memory and room on the disk; workers of a cluster must be on this "
                "machine, under this user, or reach --lend-at. Run it again: it goes on from here",
            )
        yield self._finish(export, place, staging)

    def _tries(self) -> Iterator[None]:
        """Once more, as long as not so many in a row told nothing about what ends the workers."""
        fruitless = 0
        while fruitless < _TRIES:
            known = len(self._suspects)
            yield
            fruitless = 0 if len(self._suspects) > known else fruitless + 1

    def _progress(self, export: Export, done: int) -> ExportProgress:
        sessions, _ = self._exports.counts(export.id)
        return ExportProgress(export.id, done, export.shards, sessions)

    # -- writing ---------------------------------------------------------------------------------

    def _write(
        self, export: Export, waiting: list[Shard], staging: Path
    ) -> Iterator[ExportProgress]:
        done = export.shards - len(waiting)

        def lend(session: str) -> tuple[Allowed, Leased] | None:
            return self._lend(export, session)

        def places(shard: int) -> tuple[Path, ...]:
            return staging / shard_file(shard, export.format), staging / facts_file(shard)

        across = self._crossing is not None
        place = OnThisMachine() if self._crossing is None else BetweenMachines(self._crossing)
        with closing(KeyLeases(lend, place, places if across else None)) as leases:
            tasks = (self._task(export, shard, leases, staging) for shard in waiting)
            with closing(self._engine.run(tasks)) as results:
                for result in results:
                    if self._commit(export, result, leases):
                        done += 1
                        yield self._progress(export, done)

    def _task(self, export: Export, shard: Shard, leases: KeyLeases, staging: Path) -> ShardTask:
        ids = self._exports.planned(export, shard, self._clock())
        token = leases.grant(shard.number, self._in_no_order(export, ids))
        return ShardTask(
            export.id,
            shard.number,
            leases.address,
            token,
            "" if self._crossing is not None else os.fspath(staging),
            export.format,
            self._names_model,
            export.names_model or "",
        )

    def _in_no_order(self, export: Export, ids: Iterable[str]) -> tuple[str, ...]:
        """Sessions in the order of their commitments, always the same. Their ids may be a client's
        own, and say when a session began, or that two are of one client.
        """
        return tuple(sorted(ids, key=lambda one: manifest.commitment(self._key, export.id, one)))

    def _lend(self, export: Export, session: str) -> tuple[Allowed, Leased] | None:
        now = self._clock()
        if session in self._suspects:
            raise IntegrityError("a session ends whoever reads it.")
        sealed = self._vault.sealed(session, now)
        allowed = self._exports.allowed_now(session, now)
        if allowed is None:
            return None
        committed = manifest.commitment(self._key, export.id, session)
        leased = Leased(
            sealed,
            committed,
            allowed.clause,
            allowed.document,
            manifest.consent_commitment(self._key, export.id, session, allowed.consent),
            self._names(allowed.owner),
        )
        return allowed, leased

    def _commit(self, export: Export, result: ShardResult, leases: KeyLeases) -> bool:
        grant = leases.take(result.number)
        if grant is not None and grant.at and result.failed == ENDED:
            self._suspect(export, grant.at)
        if result.failed is not None or grant is None or result.rows is None:
            self._failed = result.failed or "no result"
            return False
        if self._crossing is not None and grant.handed != (result.sha256, result.facts):
            self._failed = "other files"
            return False
        unreadable = len(grant.unreadable) + len(result.unreadable)
        self._exports.commit(export, result, grant.lent, self._clock(), unreadable)
        return True

    def _suspect(self, export: Export, session: str) -> None:
        if self._suspects.note(session):
            _log.warning(
                "%s is left out of the training export %s: two workers ended or took too long over "
                "it. What is kept of it was not changed.",
                session,
                export.id,
            )

    # -- finishing -------------------------------------------------------------------------------

    def _finish(self, export: Export, place: Path, staging: Path) -> Finished:
        for _ in range(_AGAIN):
            mark = self._exports.mark()
            now = self._clock()
            self._exports.take_out(export, now)
            made = self._finishing.write(export, place, staging, now)
            entry = self._exports.sign(
                export, made.document, mark, {"rows": made.rows, "sessions": made.sessions}, now
            )
            if entry is not None:
                return made
        raise StorageError(
            "people choose faster than this export can be signed.",
            hint="run it again at a quieter hour: only the end is done again",
        )


def prepared(place: Path) -> Path:
    """The folder in which an export's files lie until it is signed, made.

    Raises:
        StorageError: it can't be.
    """
    staging = place / STAGING
    try:
        staging.mkdir(parents=True, exist_ok=True, mode=0o700)
        (place / manifest.DATA).mkdir(exist_ok=True)
        sync_folder(place)
    except OSError as error:
        raise StorageError(
            f"the folder for the dataset can't be made ({error.strerror}).",
            hint="check that it is writable and has room",
        ) from error
    return staging


def check_place(place: Path, home: Path, export: Export | None) -> None:
    """Whether an export may go into a folder. `export`: the latest that did.

    Raises:
        InputError: it may not: it lies in the home, or has something else in it.
    """
    if not place.is_absolute():
        raise InputError("a dataset's folder is named from the root of the file system.")
    if place == home or home in place.resolve().parents or place.resolve() == home.resolve():
        raise InputError(
            "a dataset can't lie in the home.", hint="name a folder elsewhere; nothing was written"
        )
    goes_on = export is not None and not (place / manifest.PROOF).exists()
    if not goes_on and place.exists() and any(place.iterdir()):
        raise InputError(
            "there is something in this folder already.",
            hint="name a new folder, or one with an export that was broken off",
        )
