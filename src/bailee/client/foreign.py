"""Local retention for other agents' files: what is past its time, by the time of its records.

Rules kept here:

* A session's file goes so many days after its last record, with what lies beside it under the same
  name. A history loses the records that are past, one by one. An agent's own cleanup goes by the
  time of files, which a copy or a touch changes, and leaves histories alone.
* A database loses its past sessions with all their rows: `foreign_databases`.
* How many days, say the settings of where something was done (`lifetimes`); a session that its
  person keeps stays until then. A session that is running stays, whatever its days.
* Where a file's records have no times, the earlier of its two file times counts; of a folder the
  latest of what is in it. One that lies ahead is set to now, once, and counts from there.
* Below an agent's folder no link is followed; the folder itself may be one, as people who keep
  their settings in a repository have it. Nothing outside of it is touched. In a folder that others
  use too only what is one's own counts.
* `plan` changes nothing; `carry_out` does exactly what the plan says, and leaves alone what has
  changed since.
* What can't be read or deleted (a file of another user's) is named, and stops nothing else.

What lies where: `foreign_places`.
Rows: R3, O7.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bailee.client.cleaning_plan import CleaningPlan, LocalSession, NotCleaned, Past
from bailee.client.foreign_databases import Database, InDatabase, forget, look
from bailee.client.foreign_places import AgentPlace, FileGroup
from bailee.client.foreign_records import CutOut, ForeignHistory, folder_in, last_time
from bailee.client.lifetimes import Lifetimes, LocalDue
from bailee.client.local_key import write_private

_LARGEST: Final = 1 << 30
_ID: Final = 36
_AHEAD: Final = 3600.0  # seconds: file systems' clocks are not the machine's
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_LEFT: Final = FileGroup("", by_file_time=True)


def plan(
    agent: str,
    where: Iterable[AgentPlace],
    lifetimes: Lifetimes,
    now: datetime,
    kept: Mapping[str, datetime] | None = None,
) -> CleaningPlan:
    """What is past its time. `kept`: sessions that are kept, and until when."""
    planning = _Planning(agent, lifetimes, now, kept or {})
    places = list(where)
    for place in places:
        planning.look_who_runs(place)
    for place in places:
        for group in place.kinds:
            but = group.but if isinstance(group, FileGroup) else ()
            for path in _found(place, group.pattern):
                if path.name in but:
                    continue
                try:
                    planning.take(path, place, group)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    planning.leave(path, error)
    seen: dict[Path, Past] = {}
    for one in planning.past:
        seen.setdefault(one.path, one)
    done = tuple(sorted(seen.values(), key=lambda one: (one.last, str(one.path))))
    return CleaningPlan(
        done,
        tuple(planning.coming),
        tuple(planning.sessions),
        tuple(planning.ahead),
        now,
        tuple({one.path: one for one in planning.unread}.values()),
    )


def carry_out(planned: CleaningPlan, failed: list[NotCleaned] | None = None) -> list[Past]:
    """Do it. What was done; what has changed since the plan is left for the next time. `failed`
    takes what could not be done, as far as it is wanted.
    """
    done = []
    for one in planned.past:
        try:
            if (made := _carried_out(one, planned.now)) is not None:
                done.append(made)
        except FileNotFoundError:
            continue
        except OSError as error:
            if failed is not None:
                failed.append(NotCleaned.of(one.path, error))
    for path in planned.ahead:
        with suppress(OSError):
            os.utime(path, (planned.now.timestamp(),) * 2, follow_symlinks=False)
    return done


def _carried_out(one: Past, now: datetime) -> Past | None:
    if one.database is not None:
        before = _size(one.path)

        def past(row: InDatabase) -> bool:
            return row.last <= one.last and (not row.session or row.session in one.sessions)

        count = forget(one.path, one.database, past, now)
        return replace(one, records=count, size=max(before - _size(one.path), 0)) if count else None
    if one.path.is_symlink() or _stamp(one.path) != one.stamp:
        return None
    if one.records is None:
        if one.path.is_dir():
            shutil.rmtree(one.path)
        else:
            one.path.unlink()
    else:
        assert one.kept is not None
        mode = stat.S_IMODE(one.path.stat().st_mode)
        write_private(one.path, one.kept)
        one.path.chmod(mode)
    return one


@dataclass(slots=True)
class _Planning:
    """Looks at one file after the other. `_living`: sessions that stay, with what is beside them;
    `_running`: those of processes that run, the first of them `_since`; `_folders`: where sessions
    were.
    """

    agent: str
    lifetimes: Lifetimes
    now: datetime
    kept: Mapping[str, datetime]
    past: list[Past] = field(default_factory=list)
    coming: list[LocalDue] = field(default_factory=list)
    sessions: list[LocalSession] = field(default_factory=list)
    ahead: list[Path] = field(default_factory=list)
    unread: list[NotCleaned] = field(default_factory=list)
    _living: set[str] = field(default_factory=set)
    _running: set[str] = field(default_factory=set)
    _folders: dict[str, str | None] = field(default_factory=dict)
    _since: datetime = _NEVER

    def look_who_runs(self, place: AgentPlace) -> None:
        """Claude Code notes its running processes and their sessions."""
        for path in _found(place, "sessions/*.json") if self.agent == "claude" else ():
            try:
                held = json.loads(path.read_bytes())
                pid, session, since = held["pid"], held["sessionId"], held["startedAt"] / 1000
                if type(pid) is int and pid > 0 and isinstance(session, str) and session:
                    os.kill(pid, 0)
                    self._running.update({session, path.name})
                    self._since = min(self._since, datetime.fromtimestamp(since, UTC))
            except (OSError, ValueError, KeyError, TypeError, OverflowError):
                continue  # it has ended, or its number is somebody else's now

    def take(self, path: Path, place: AgentPlace, group: FileGroup | Database) -> None:
        """One file or folder."""
        if isinstance(group, Database):
            self._database(path, group)
        elif group.cut is not None:
            self._history(path, group.cut)
            for left in _left_behind(path):  # by a process that died as it cut this one
                self._whole(left, place, _LEFT)
        else:
            self._whole(path, place, group)

    def leave(self, path: Path, error: OSError) -> None:
        """One that can't be read stays, with what belongs to it: nobody knows its time, or whether
        its person keeps it.
        """
        self.unread.append(NotCleaned.of(path, error))
        self._living.add(path.stem)

    def _history(self, path: Path, cut: CutOut) -> None:
        """A file of which the past records go."""
        stamp = _stamp(path)
        if not path.is_file() or stamp[0] > _LARGEST:
            return
        folder = str(path.parent) if self.agent == "aider" else None
        history = ForeignHistory(path.read_bytes(), self.now, self._file_time(path), folder)

        def due(at: datetime, where: str | None) -> LocalDue:
            return LocalDue.after(at, self.lifetimes.of(where))

        found = cut(history, lambda at, where: due(at, where).at <= self.now)
        if found.removed:
            size = stamp[0] - len(found.kept)
            latest = max(at for at, _ in found.removed)
            dues = _latest(due(at, where) for at, where in found.removed)
            self.past.append(
                Past(self.agent, path, latest, size, dues, len(found.removed), stamp, found.kept)
            )
        self.coming += [due(at, where) for at, where in found.stays]

    def _database(self, path: Path, kind: Database) -> None:
        """A database of which the past sessions go. What they took shows when they have gone."""
        past: list[tuple[InDatabase, LocalDue]] = []
        for one in look(path, kind, self.now):
            until = self.kept.get(one.root) or self.kept.get(one.session)
            folder = one.folder or self._folders.get(one.session)
            due = LocalDue.after(one.last, self.lifetimes.of(folder), until)
            if kind.folders is not None and one.session == one.root != "":
                self._folders[one.session] = folder
                self.sessions.append(
                    LocalSession(self.agent, one.session, folder, one.last, due, until)
                )
            if due.at <= self.now:
                past.append((one, due))
            else:
                self.coming.append(due)
        if past:
            ids = frozenset(one.session for one, _ in past if one.session)
            last = max(one.last for one, _ in past)
            dues = _latest(due for _, due in past)
            self.past.append(
                Past(self.agent, path, last, 0, dues, len(past), database=kind, sessions=ids)
            )

    def _whole(self, path: Path, place: AgentPlace, group: FileGroup) -> None:
        """A file or folder that goes as a whole, with what belongs to it, or stays."""
        last, folder = None, None
        if not group.by_file_time and path.is_file() and path.lstat().st_size <= _LARGEST:
            content = path.read_bytes()
            found = last_time(content, self.now)
            last, folder = found.at, folder_in(content)
            if found.ahead:
                last = max(last or self._file_time(path), self._file_time(path))
        whose = _session_of(path, self.agent) if group.sessions else None
        if whose is None and self._lives(path):
            return
        if last is None:
            last = self._file_time(path)
            if last >= self._since:
                return  # it may be of a process that runs
        until = self.kept.get(whose) if whose else None
        if self.agent == "aider":
            folder = str(path.parent)
        if whose is not None:
            folder = folder or _root_beside(path)
            self._folders[whose] = folder
        else:
            folder = folder or next(
                (where for one, where in self._folders.items() if path.name.startswith(one)), None
            )
        due = LocalDue.after(last, self.lifetimes.of(folder), until)
        if whose is not None:
            made = LocalSession(self.agent, whose, folder, last, due, until, path)
            self.sessions.append(made)
        if due.at > self.now or whose in self._running:
            self.coming.append(due)
            if whose is not None:
                self._living.update({whose, path.stem})
            return
        self._add(path, last, due)
        companion = path.with_suffix("")
        if path.suffix == ".jsonl" and companion.is_dir() and not companion.is_symlink():
            self._add(companion, last, due)
        for name in group.beside:
            for other in _found(place, f"{name}/*"):
                if other.name.startswith(path.stem):
                    self._add(other, last, due)

    def _lives(self, path: Path) -> bool:
        """Whether it belongs to a session that stays."""
        return any(path.name.startswith(one) for one in (*self._living, *self._running))

    def _add(self, path: Path, last: datetime, due: LocalDue) -> None:
        self.past.append(Past(self.agent, path, last, _size(path), (due,), None, _stamp(path)))

    def _file_time(self, path: Path) -> datetime:
        """The earlier of a file's two times; of a folder the latest of what is in it."""
        latest = 0.0
        for one in (path, *_below(path)):
            status = one.lstat()
            if stat.S_ISDIR(status.st_mode) and one == path and any(path.iterdir()):
                continue
            at = min(status.st_mtime, status.st_ctime)
            if at > self.now.timestamp() + _AHEAD:
                self.ahead.append(one)
            latest = max(latest, min(at, self.now.timestamp()))
        return datetime.fromtimestamp(latest, UTC)


def _session_of(path: Path, agent: str) -> str:
    """The id by which a session is known to its agent: Codex puts a moment before it."""
    return path.stem[-_ID:] if agent == "codex" else path.stem


def _root_beside(path: Path) -> str | None:
    """The folder that a session was in, where it is noted beside it (Gemini CLI)."""
    with suppress(OSError, ValueError):
        noted = path.parent.parent / ".project_root"
        if noted.is_file() and not noted.is_symlink() and noted.stat().st_size < 5000:
            return noted.read_text("utf-8").strip() or None
    return None


def _latest(dues: Iterable[LocalDue]) -> tuple[LocalDue, ...]:
    """The latest due of each lifetime."""
    found: dict[object, LocalDue] = {}
    for due in dues:
        if due.by not in found or found[due.by].at < due.at:
            found[due.by] = due
    return tuple(found.values())


def _found(place: AgentPlace, pattern: str) -> Iterator[Path]:
    """Matches below the folder, none of them reached through a link."""
    for path in sorted(place.folder.glob(pattern)):
        steps = [path, *path.parents]
        if any(step.is_symlink() for step in steps[: len(pattern.split("/"))]):
            continue
        with suppress(FileNotFoundError):
            if not place.shared or path.lstat().st_uid == os.geteuid():
                yield path


def _left_behind(path: Path) -> Iterator[Path]:
    for left in sorted(path.parent.glob(f".{path.name}.????????")):
        if not left.is_symlink() and left.is_file():
            yield left


def _below(path: Path) -> Iterator[Path]:
    if path.is_dir() and not path.is_symlink():
        for root, folders, files in os.walk(path):
            yield from (Path(root) / name for name in (*folders, *files))


def _stamp(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_size, status.st_mtime_ns


def _size(path: Path) -> int:
    if not path.is_dir():
        return path.lstat().st_size
    return sum(
        (Path(root) / name).lstat().st_size for root, _, files in os.walk(path) for name in files
    )
