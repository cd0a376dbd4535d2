"""Local retention for other agents' files: what is past its time, by the time of its records.

Rules kept here:

* A session's file goes so many days after its last record, with what lies beside it under the same
  name. A history loses the records that are past, one by one. An agent's own cleanup goes by the
  time of files, which a copy or a touch changes, and leaves histories alone.
* A database loses its past sessions with all their rows: `foreign_databases`.
* Where a file's records have no times, the earlier of its two file times counts.
* Below an agent's folder no link is followed; the folder itself may be one, as people who keep
  their settings in a repository have it. Nothing outside of it is touched.
* `plan` changes nothing; `carry_out` does exactly what the plan says, and leaves alone what has
  changed since.

Rows: R3.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bailee.client.foreign_databases import Database, forget, look
from bailee.client.foreign_records import Cut, cut_aider, cut_array, cut_lines, last_time
from bailee.client.local_key import write_private

_LARGEST: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class FileGroup:
    """Files of one kind. `pattern` is below the agent's folder. With `cut`, records are cut out;
    without, whole files go. `beside`: folders (below the agent's) in which what begins with a
    forgotten session's name goes too.
    """

    pattern: str
    cut: Callable[[bytes, datetime], Cut] | None = None
    beside: tuple[str, ...] = ()
    by_file_time: bool = False


@dataclass(frozen=True, slots=True)
class Past:
    """One thing to be done. `records` None: the file or folder goes; else so many are cut out, or
    deleted from the database of that kind.
    """

    agent: str
    path: Path
    last: datetime
    size: int
    records: int | None = None
    stamp: tuple[int, int] = (0, 0)
    kept: bytes | None = None
    database: Database | None = None


@dataclass(frozen=True, slots=True)
class CleaningPlan:
    """What is past, and when the next thing will be (None: nothing is kept)."""

    past: tuple[Past, ...]
    soonest: datetime | None
    limit: datetime
    now: datetime


# A folder of an agent's, and what lies below it.
Place = tuple[Path, tuple[FileGroup | Database, ...]]
_CLAUDE_BESIDE: Final = ("file-history", "todos", "session-env", "tasks", "debug")


def groups(agent: str, home: Path, project: Path, environment: dict[str, str]) -> list[Place]:
    """The folders of an agent, and what lies in them."""
    if agent == "claude":
        folder = Path(environment.get("CLAUDE_CONFIG_DIR") or home / ".claude")
        return [
            (
                folder,
                (
                    FileGroup("projects/*/*.jsonl", beside=_CLAUDE_BESIDE),
                    FileGroup("history.jsonl", cut_lines),
                    FileGroup("telemetry/*"),
                    *(FileGroup(f"{name}/*", by_file_time=True) for name in _CLAUDE_BESIDE),
                    FileGroup("paste-cache/*", by_file_time=True),
                    FileGroup("shell-snapshots/*", by_file_time=True),
                ),
            )
        ]
    if agent == "codex":
        folder = Path(environment.get("CODEX_HOME") or home / ".codex")
        return [
            (
                folder,
                (
                    FileGroup("sessions/*/*/*/rollout-*.jsonl"),
                    FileGroup("archived_sessions/rollout-*.jsonl"),
                    FileGroup("history.jsonl", cut_lines),
                    FileGroup("log/*", by_file_time=True),
                    FileGroup("shell_snapshots/*", by_file_time=True),
                ),
            ),
            (Path(environment.get("CODEX_SQLITE_HOME") or folder), _CODEX_DATABASES),
        ]
    if agent == "opencode":
        data = Path(environment.get("XDG_DATA_HOME") or home / ".local/share") / "opencode"
        state = Path(environment.get("XDG_STATE_HOME") or home / ".local/state") / "opencode"
        return [
            (
                data,
                (
                    _OPENCODE_DATABASE,
                    FileGroup("storage/session_diff/*", by_file_time=True),
                    FileGroup("snapshot/*/*", by_file_time=True),
                    FileGroup("tool-output/*", by_file_time=True),
                    FileGroup("log/*", by_file_time=True),
                ),
            ),
            (state, (FileGroup("prompt-history.jsonl", by_file_time=True),)),
        ]
    if agent == "gemini":
        return [
            (
                home / ".gemini",
                (
                    FileGroup("tmp/*/chats/*.jsonl"),
                    FileGroup("tmp/*/chats/*.json"),
                    FileGroup("tmp/*/checkpoint*.json", by_file_time=True),
                    FileGroup("tmp/*/checkpoints/*", by_file_time=True),
                    FileGroup("tmp/*/logs.json", cut_array),
                    FileGroup("tmp/*/shell_history", by_file_time=True),
                ),
            )
        ]
    if agent == "aider":
        return [
            (
                project,
                (
                    FileGroup(".aider.chat.history.md", cut_aider),
                    FileGroup(".aider.input.history", cut_aider),
                    FileGroup(".aider.llm.history", by_file_time=True),
                ),
            )
        ]
    return []


_THREAD: Final = frozenset({"thread_id", "child_thread_id", "parent_thread_id"})
_CODEX_DATABASES: Final = (
    Database("state_*.sqlite", _THREAD, (("threads", "id", "updated_at"),), (("threads", "id"),)),
    Database("thread_history_*.sqlite", _THREAD, (("thread_items", "thread_id", "created_at_ms"),)),
    Database("goals_*.sqlite", _THREAD, (("thread_goals", "thread_id", "updated_at_ms"),)),
    Database("queue_*.sqlite", _THREAD, (("queued_items", "thread_id", "updated_at_ms"),)),
    Database("memories_*.sqlite", _THREAD, (("stage1_outputs", "thread_id", "source_updated_at"),)),
    Database("logs_*.sqlite", frozenset(), (), log=("logs", "ts")),
)
_OPENCODE_DATABASE: Final = Database(
    "opencode*.db",
    frozenset({"session_id", "aggregate_id"}),
    (
        ("session", "id", "time_updated"),
        ("message", "session_id", "time_updated"),
        ("part", "session_id", "time_updated"),
        ("session_message", "session_id", "time_updated"),
    ),
    (("session", "id"),),
    parents=("session", "id", "parent_id"),
)


def plan(agent: str, where: list[Place], days: int, now: datetime) -> CleaningPlan:
    """What is past its time. Raises `OSError` where a folder can't be read."""
    planning = _Planning(agent, now - timedelta(days=days), now)
    for folder, kinds in where:
        for group in kinds:
            for path in _found(folder, group.pattern):
                if isinstance(group, Database):
                    planning.database(path, group)
                elif group.cut is not None:
                    planning.history(path, group.cut)
                else:
                    planning.whole(path, folder, group)
    seen: dict[Path, Past] = {}
    for one in planning.past:
        seen.setdefault(one.path, one)
    soonest = min(planning.stays, default=None)
    done = tuple(sorted(seen.values(), key=lambda one: (one.last, str(one.path))))
    until = None if soonest is None else soonest + timedelta(days=days)
    return CleaningPlan(done, until, now - timedelta(days=days), now)


def carry_out(planned: CleaningPlan) -> list[Past]:
    """Do it. What was done; what has changed since the plan is left for the next time."""
    done = []
    for one in planned.past:
        try:
            if one.database is not None:
                before = _size(one.path)
                count = forget(one.path, one.database, planned.limit, planned.now)
                if count:
                    size = max(before - _size(one.path), 0)
                    done.append(replace(one, records=count, size=size))
                continue
            if one.path.is_symlink() or _stamp(one.path) != one.stamp:
                continue
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
        except FileNotFoundError:
            continue
        done.append(one)
    return done


class _Planning:
    """Looks at one file after the other."""

    def __init__(self, agent: str, limit: datetime, now: datetime) -> None:
        self._agent = agent
        self._limit = limit
        self._now = now
        self._living: set[str] = set()
        self.past: list[Past] = []
        self.stays: list[datetime] = []

    def history(self, path: Path, cut: Callable[[bytes, datetime], Cut]) -> None:
        """A file of which the past records go."""
        stamp = _stamp(path)
        if not path.is_file() or stamp[0] > _LARGEST:
            return
        found = cut(path.read_bytes(), self._limit)
        if found.removed:
            size = stamp[0] - len(found.kept)
            self.past.append(
                Past(self._agent, path, self._limit, size, found.removed, stamp, found.kept)
            )
        if found.soonest is not None:
            self.stays.append(found.soonest)

    def database(self, path: Path, kind: Database) -> None:
        """A database of which the past sessions go. What they took shows when they have gone."""
        found = look(path, kind, self._limit, self._now)
        if found.last is not None:
            self.past.append(Past(self._agent, path, found.last, 0, found.past, database=kind))
        if found.soonest is not None:
            self.stays.append(found.soonest)

    def whole(self, path: Path, folder: Path, group: FileGroup) -> None:
        """A file or folder that goes as a whole, with what belongs to it, or stays."""
        stamp = _stamp(path)
        last = None
        if not group.by_file_time and path.is_file() and stamp[0] <= _LARGEST:
            last = last_time(path.read_bytes(), self._now)
        if last is None:
            if any(path.name.startswith(session) for session in self._living):
                return  # it belongs to a session that is kept
            status = path.lstat()
            last = datetime.fromtimestamp(min(status.st_mtime, status.st_ctime), UTC)
        if last > self._limit:
            self.stays.append(last)
            if group.beside:
                self._living.add(path.stem)
            return
        self._add(path, last)
        companion = path.with_suffix("")
        if path.suffix == ".jsonl" and companion.is_dir() and not companion.is_symlink():
            self._add(companion, last)
        for name in group.beside:
            for other in _found(folder, f"{name}/*"):
                if other.name.startswith(path.stem):
                    self._add(other, last)

    def _add(self, path: Path, last: datetime) -> None:
        self.past.append(Past(self._agent, path, last, _size(path), None, _stamp(path)))


def _found(folder: Path, pattern: str) -> Iterator[Path]:
    """Matches below the folder, none of them reached through a link."""
    for path in sorted(folder.glob(pattern)):
        steps = [path, *path.parents]
        if not any(step.is_symlink() for step in steps[: len(pattern.split("/"))]):
            yield path


def _stamp(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_size, status.st_mtime_ns


def _size(path: Path) -> int:
    if not path.is_dir():
        return path.lstat().st_size
    return sum(
        (Path(root) / name).lstat().st_size for root, _, files in os.walk(path) for name in files
    )
