"""Telling an operator's address of new and returning issues.

What is told is what `bailee errors list` shows of an issue, as JSON by POST. A thread of its own
does it: an address that is slow or away costs nobody anything. It is tried three times, then let
go; so are alerts beyond a hundred waiting. Of those that were let go the first is told, until one
arrives again: whoever can send errors can't fill the record with them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Final

import orjson

from bailee.errors import InputError
from bailee.lasting import Lasting
from bailee.outbound.network import Network, NoAnswer
from bailee.telemetry.destinations import check_address
from bailee.telemetry.issues import Issue
from bailee.telemetry.records import CaughtError, where

_WAITING: Final = 100
_SECONDS: Final = 10
_PAUSES: Final = (0.0, 1.0, 5.0)


class Webhook:
    """Tells one address, from `start` to `close`. An `Alert` of `issues`.

    A home's wiring makes it and closes it. It is called inside the lock of `Issues`, from any
    thread, and only queues; its own thread tells. It says of an event what a list of issues shows,
    and nothing else.
    """

    def __init__(self, url: str, failed: Callable[[], None]) -> None:
        """`failed` is called for the first alert of a row that was given up."""
        check_address(url, "telemetry.webhook")
        self._url = url
        self._failed = failed
        self._queue: queue.Queue[dict[str, str | None] | None] = queue.Queue(_WAITING)
        self._stopping = threading.Event()
        self._failing = False
        self.thread = Lasting("webhook", self._run)
        self.thread.start()

    def __call__(self, kind: str, issue: Issue, row: CaughtError) -> None:
        """Queue what is to be told of an issue; `kind` is `new` or `regression`."""
        told: dict[str, str | None] = {
            "event": f"error_issue.{kind}",
            "issue": issue.id,
            "type": row.type,
            "where": where(row.frames),
            "level": row.level,
            "platform": row.platform,
            "release": row.release,
            "first_seen": issue.first_seen.isoformat(),
            "last_seen": issue.last_seen.isoformat(),
        }
        try:
            self._queue.put_nowait(told)
        except queue.Full:
            self._give_up()

    def close(self) -> None:
        """Stop; what still waits is tried once."""
        self._stopping.set()
        self.thread.revive()  # else nobody makes room in the queue
        self._queue.put(None)
        self.thread.join(_SECONDS)

    def _run(self) -> None:
        while (told := self._queue.get()) is not None:
            heard = False
            try:
                heard = any(self._tell(told, pause) for pause in _PAUSES)
            finally:
                if heard:
                    self._failing = False
                else:
                    self._give_up()

    def _give_up(self) -> None:
        if not self._failing:
            self._failing = True
            self._failed()

    def _tell(self, told: dict[str, str | None], pause: float) -> bool:
        if pause and self._stopping.wait(pause):
            return False
        try:
            return (
                Network.of()
                .ask(
                    "POST",
                    self._url,
                    content=orjson.dumps(told),
                    headers={"content-type": "application/json"},
                    what="telemetry.webhook",
                    seconds=_SECONDS,
                )
                .good
            )
        except (NoAnswer, InputError):
            return False
