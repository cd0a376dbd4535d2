"""Sends what is used to an OpenTelemetry collector of the operator's, each minute: counts alone.

Rules kept here:

* What is sent are sums since the day began (UTC), by organisation, team, person and model: sent
  again they count nothing twice, so what a collector missed it has with the next. In the first hour
  of a day the whole of the last one is sent, too.
* Off unless `usage.otlp` names a collector. Ids and names that `bailee usage` shows, no content.
* What goes wrong is said once, until it goes well again: a kind of failure and a status, never what
  was sent or answered.

Standard: OTLP/HTTP 1.x, in JSON.

Rows: O2.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson

from bailee.app.said import Say
from bailee.app.secret_files import secret_file
from bailee.auditing.sinks import NotTaken, Post, bearer, check_url, post, shown, taken
from bailee.clock import Clock
from bailee.config import Settings
from bailee.errors import BaileeError
from bailee.json_values import members, whole
from bailee.lasting import Lasting
from bailee.usage.counts import UsageCounts, UsageOf
from bailee.usage.limits import LimitSpan, window_of
from bailee.usage.otlp_metrics import UsedBy, request

_EVERY: Final = 60.0
_BY: Final = ("organisation", "team", "person", "model")
_AFTER: Final = timedelta(hours=1)


class UsagePush:
    """Sends the counts of one home to `url` (the address without `/v1/metrics`), from `start` to
    `stop`, on a thread of its own. The server owns it. It keeps nothing: all is in the counts.
    """

    def __init__(
        self,
        counts: UsageCounts,
        clock: Clock,
        url: str,
        say: Say,
        *,
        token: Path | None = None,
        post: Post = post,
        every: float = _EVERY,
    ) -> None:
        """`every`: seconds."""
        self._counts = counts
        self._clock = clock
        self._url = url
        self._say = say
        self._token = token
        self._post = post
        self._every = every
        self._over = threading.Event()
        self._failed = False
        self.thread = Lasting("usage-push", self._run)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def stop(self) -> None:
        """Stop. What was counted since the last time is sent after the next start."""
        self._over.set()
        self.thread.join()

    def send(self, now: datetime) -> None:
        """Send what was used on the day of `now`, and on the one before if that has just ended.

        Raises:
            NotTaken: it was not taken.
            BaileeError: what there is can't be read.
        """
        day, _ = window_of(LimitSpan.DAY, now)
        if now - day < _AFTER:
            self._send_day(day - timedelta(days=1), now)
        self._send_day(day, now)

    def _send_day(self, day: datetime, now: datetime) -> None:
        ends = day + timedelta(days=1)
        rows = [
            UsedBy(one.group, one.amounts())
            for one in self._counts.of(UsageOf(), day, ends, _BY, now)
        ]
        if not rows:
            return
        body = orjson.dumps(request(_BY, rows, day, min(ends, now.astimezone(UTC))))
        fields = {"content-type": "application/json", **bearer(self._token)}
        answer = self._post(f"{self._url.rstrip('/')}/v1/metrics", body, fields)
        taken(answer)
        if refused := _rejected(answer.content):
            raise NotTaken(f"it refused {refused} figures")

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.send(self._clock())
            except (NotTaken, BaileeError) as error:
                if not self._failed:
                    self._say(f"usage can't be sent to {shown(self._url)}: {_why(error)}")
                self._failed = True
            else:
                self._failed = False
            self._over.wait(self._every)


def usage_push(counts: UsageCounts, settings: Settings, clock: Clock, say: Say) -> UsagePush | None:
    """The one that the settings name, not yet started; None: they name none.

    Raises:
        InputError: code `configuration`; a setting is wrong.
    """
    url = settings.text("usage.otlp")
    if url is None:
        return None
    token = secret_file(settings, "usage.otlp_token_file")
    return UsagePush(counts, clock, check_url(url, "usage.otlp"), say, token=token)


def _why(error: NotTaken | BaileeError) -> str:
    return error.message if isinstance(error, BaileeError) else str(error)


def _rejected(answer: bytes) -> int:
    """How many figures a collector says that it did not take."""
    try:
        said = members(members(orjson.loads(answer or b"{}")).get("partialSuccess"))
    except orjson.JSONDecodeError:
        return 0
    refused = said.get("rejectedDataPoints")
    return int(refused) if isinstance(refused, str) and refused.isdecimal() else whole(refused)
