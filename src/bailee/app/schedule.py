"""What a server does durably: the retention sweep on a schedule, and the queue of cloud sessions.

Both are DBOS workflows on a SQLite file of the home. One that was under way when the process ended
is taken up again at the next start, and a step that was done is not done twice. The steps bear
being repeated. The queue knows a cloud session by its id alone: no content is in this file.

Rows: R5, C1.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from bailee.app.node import Node
from bailee.errors import BaileeError

if TYPE_CHECKING:
    from dbos import DBOSConfig

_PATIENCE: Final = 10.0
_QUEUE: Final = "cloud-sessions"


@dataclass(frozen=True, slots=True)
class CloudQueue:
    """`run` takes a cloud session to its end; so many may be under way at once."""

    run: Callable[[str], Awaitable[str]]
    at_once: int


class Schedule:
    """A node's durable work, from `start` to `stop`."""

    def __init__(self, node: Node, every_minutes: int, cloud: CloudQueue | None = None) -> None:
        self._node = node
        self._every = every_minutes
        self._cloud = cloud
        self._lead: Any = None
        self._ending = False

    def start(self) -> None:
        """Take up what was left unfinished, then sweep now and on schedule. Blocks a second."""
        from dbos import DBOS  # takes long to import; this is not the thread that serves

        settings: DBOSConfig = {
            "name": "bailee",
            "system_database_url": f"sqlite:///{self._node.home.work_database}",
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
        node = self._node

        @DBOS.step(name="sweep")
        def sweep() -> dict[str, Any]:
            if self._ending:  # the node is about to be closed; the next start sweeps
                return {}
            try:
                sessions, telemetry, feedback = node.sweep(node.clock())
            except BaileeError as error:  # a store that fails is tried again by the next one
                if not self._ending:
                    node.ledger.append("retention.sweep_failed", "sweep", {"error": error.code})
                return {}
            return {**asdict(sessions), "telemetry": asdict(telemetry), "feedback": feedback}

        @DBOS.workflow(name="retention")
        def retention(_scheduled: datetime, _context: Any) -> None:
            sweep()

        if self._cloud is not None:
            self._lead = _leading(self._cloud.run)
        DBOS.launch()
        if self._cloud is not None:
            DBOS.register_queue(
                _QUEUE,
                worker_concurrency=self._cloud.at_once,
                polling_interval_sec=0.5,
                on_conflict="always_update",
            )
        DBOS.apply_schedules(
            [
                {
                    "schedule_name": "retention",
                    "workflow_fn": retention,
                    "schedule": f"*/{self._every} * * * *",
                    "context": None,
                }
            ]
        )
        DBOS.start_workflow(retention, node.clock(), None)

    def enqueue(self, session_id: str) -> None:
        """Put a cloud session into the queue; one that is, or was, there already stays as it is."""
        from dbos import DBOS, SetWorkflowID

        with SetWorkflowID(session_id):
            DBOS.enqueue_workflow(_QUEUE, self._lead, session_id)

    def stop(self) -> None:
        """Let the sweep that runs, and what was led, come to its end, ten seconds at most; then
        stop.
        """
        from dbos import DBOS

        # DBOS' own wait for workflows takes a second at least, also when there is none.
        self._ending = True
        self._node.vault.hurry()
        deadline = time.monotonic() + _PATIENCE
        while DBOS.list_workflows(status="PENDING", limit=1):
            if time.monotonic() > deadline:
                # It breaks off, and the next start takes it up: no news for stderr.
                logging.getLogger("dbos").setLevel(logging.CRITICAL)
                break
            time.sleep(0.02)
        DBOS.destroy(destroy_registry=True)


def _leading(run: Callable[[str], Awaitable[str]]) -> Any:
    from dbos import DBOS

    @DBOS.step(name="cloud-session-lead")
    async def lead(session_id: str) -> str:
        return await run(session_id)

    @DBOS.workflow(name="cloud-session")
    async def cloud_session(session_id: str) -> str:
        return await lead(session_id)

    return cloud_session
