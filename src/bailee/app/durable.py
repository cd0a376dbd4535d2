"""The durable queue of cloud sessions: DBOS workflows on a SQLite file of the home.

One that was under way when the process ended is taken up again at the next start. The steps bear
being repeated. The queue knows a cloud session by its id alone: no content is in this file.

Rules kept here:

* What the queue holds can be made anew from the sessions' own states (`cloud.sessions`). So a file
  that is damaged is set aside under another name, which is said, and another one is begun. One that
  can't be opened at all refuses the start.
* DBOS takes long to start, so that is done for the first session that needs it.

Rows: C1.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from bailee.clock import Clock
from bailee.errors import StorageError
from bailee.ledger.ledger import Append

if TYPE_CHECKING:
    from dbos import DBOSConfig

_PATIENCE: Final = 10.0
_QUEUE: Final = "cloud-sessions"
_DAMAGE: Final = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
_BESIDE: Final = ("", "-wal", "-shm")
_log: Final = logging.getLogger("dbos")
_Workflow: TypeAlias = Callable[[str], Coroutine[object, None, str]]


@dataclass(frozen=True, slots=True)
class CloudQueue:
    """`run` takes a cloud session to its end; so many may be under way at once."""

    run: Callable[[str], Awaitable[str]]
    at_once: int


class DurableQueue:
    """The queue of one server, from `check` to `stop`; for any thread.

    The server calls `check` and `stop`, the cloud sessions `enqueue`. It owns the file, and DBOS's
    threads once a session has needed them; these run a session by waiting for the sessions' own
    loop. It knows ids, and no content.
    """

    def __init__(
        self,
        file: Path,
        cloud: CloudQueue,
        *,
        clock: Clock,
        record: Append,
        say: Callable[[str], None],
    ) -> None:
        """`say` tells whoever runs the server."""
        self._file = file
        self._cloud = cloud
        self._clock = clock
        self._record = record
        self._say = say
        self._starting = threading.Lock()  # while DBOS starts, once; `_lead` is there then
        self._lead: _Workflow | None = None

    def check(self) -> None:
        """Set the file aside if it is damaged.

        Raises:
            StorageError: it can't be opened, or can't be set aside.
        """
        if not self._is_whole():
            self._set_aside()

    def enqueue(self, session_id: str) -> None:
        """Put a cloud session into the queue; one that is, or was, there already stays as it is.

        Raises:
            StorageError: the queue can't be written. The session is taken up by the next start.
        """
        with self._starting:
            if self._lead is None:
                self._lead = self._start()
        from dbos import DBOS, SetWorkflowID

        try:
            with SetWorkflowID(session_id):
                DBOS.enqueue_workflow(_QUEUE, self._lead, session_id)
        except Exception as error:
            raise _failed(error) from error

    def stop(self) -> None:
        """Let what was led come to its end, ten seconds at most; then stop."""
        if self._lead is None:
            return
        from dbos import DBOS

        # DBOS' own wait for workflows takes a second at least, also when there is none.
        deadline = time.monotonic() + _PATIENCE
        while DBOS.list_workflows(status="PENDING", limit=1):
            if time.monotonic() > deadline:
                # It breaks off, and the next start takes it up: no news for stderr.
                _log.setLevel(logging.CRITICAL)
                break
            time.sleep(0.02)
        DBOS.destroy(destroy_registry=True)

    # -- inside ----------------------------------------------------------------------------------

    def _start(self) -> _Workflow:
        try:
            return self._launch()
        except Exception as first:
            moved = self._set_aside()
            try:
                return self._launch()
            except Exception as error:  # it was not the file's fault
                for end in _BESIDE:
                    if moved.with_name(moved.name + end).exists():
                        moved.with_name(moved.name + end).replace(self._beside(end))
                raise _failed(error) from first

    def _launch(self) -> _Workflow:
        """Start DBOS; the workflow to enqueue."""
        from dbos import DBOS

        settings: DBOSConfig = {
            "name": "bailee",
            "system_database_url": f"sqlite:///{self._file}",
            "log_level": "ERROR",
            "console_log_level": "ERROR",
            "enable_otlp": False,
            "run_migrations": True,
            "max_executor_threads": 8,
            # How long the end waits for a thread that looks for notifications.
            "notification_listener_polling_interval_sec": 0.2,
            # A restart of the same program takes up its own unfinished work.
            "application_version": "sweep-1",
            "executor_id": "local",
        }
        DBOS(config=settings)
        try:
            lead = _leading(self._cloud.run)
            with _silent():  # a failure is raised, and said by whoever catches it
                DBOS.launch()
            DBOS.delete_schedule("retention")  # of an earlier version, which swept by it
            DBOS.register_queue(
                _QUEUE,
                worker_concurrency=self._cloud.at_once,
                polling_interval_sec=0.5,
                on_conflict="always_update",
            )
        except Exception:
            DBOS.destroy(destroy_registry=True)
            raise
        return lead

    def _is_whole(self) -> bool:
        if not self._file.exists():
            return True
        try:
            with closing(sqlite3.connect(f"{self._file.as_uri()}?mode=rw", uri=True)) as connection:
                said: tuple[str] = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE:
                return False
            raise _failed(error) from error
        return said == ("ok",)

    def _set_aside(self) -> Path:
        """Move the file out of the way, with its log; where it is now."""
        moved = self._file.with_name(f"{self._file.name}.damaged-{self._clock():%Y%m%dT%H%M%S%f}")
        try:
            for end in _BESIDE:
                if self._beside(end).exists():
                    self._beside(end).replace(moved.with_name(moved.name + end))
        except OSError as error:
            raise _failed(error) from error
        self._record("work.set_aside", "work", {"as": moved.name})
        self._say(
            f"bailee: {self._file.name} is damaged. It was set aside as {moved.name}, and a new one"
            " is begun: the queue of cloud sessions is made anew from their states."
        )
        return moved

    def _beside(self, end: str) -> Path:
        return self._file.with_name(self._file.name + end)


def _leading(run: Callable[[str], Awaitable[str]]) -> _Workflow:
    from dbos import DBOS

    @DBOS.step(name="cloud-session-lead")
    async def lead(session_id: str) -> str:
        return await run(session_id)

    @DBOS.workflow(name="cloud-session")
    async def cloud_session(session_id: str) -> str:
        return await lead(session_id)

    @DBOS.workflow(name="retention")
    def retention(_scheduled: datetime, _context: object) -> None:
        """Ends what an earlier version, which swept by it, has left unfinished."""

    return cloud_session


@contextmanager
def _silent() -> Iterator[None]:
    def nothing(_record: logging.LogRecord) -> bool:
        return False

    _log.addFilter(nothing)
    try:
        yield
    finally:
        _log.removeFilter(nothing)


def _failed(error: Exception) -> StorageError:
    return StorageError(
        f"work/dbos.db, the queue of cloud sessions, can't be used ({type(error).__name__}).",
        hint="see that the disk has room and the process enough open files; the file may be moved "
        "away, since it is made anew",
    )
