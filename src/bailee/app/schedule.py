"""What a server does by itself: the retention sweep, as a durable workflow.

The sweep is a DBOS workflow on a SQLite file of the home, started by a schedule. Each part is a
step: one that was under way when the process ended is taken up again at the next start, and one
that was done is not done twice. The steps themselves bear being repeated.

Rows: R5.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bailee.app.node import Node

if TYPE_CHECKING:
    from dbos import DBOSConfig

_PATIENCE = 10.0


class Schedule:
    """Runs a node's retention sweep every few minutes, from `start` to `stop`."""

    def __init__(self, node: Node, every_minutes: int) -> None:
        self._node = node
        self._every = every_minutes
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
            "max_executor_threads": 4,
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
            sessions, telemetry = node.sweep(node.clock())
            return {**asdict(sessions), "telemetry": asdict(telemetry)}

        @DBOS.workflow(name="retention")
        def retention(_scheduled: datetime, _context: Any) -> None:
            sweep()

        DBOS.launch()
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

    def stop(self) -> None:
        """Let the sweep that runs come to its end, ten seconds at most, then stop."""
        from dbos import DBOS

        # DBOS' own wait for workflows takes a second at least, also when there is none.
        self._ending = True
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and DBOS.list_workflows(status="PENDING", limit=1):
            time.sleep(0.02)
        DBOS.destroy(destroy_registry=True)
