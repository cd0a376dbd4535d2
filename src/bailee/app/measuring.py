"""What this server measures of itself: its exchanges, and its own defects.

Rules kept here:

* Both are kept as a client's are: on the policy's terms, through the guard, in declared fields.
* They obey the switches that clients obey. `DISABLE_TELEMETRY`, `DISABLE_ERROR_REPORTING` and the
  others, set in the server's environment, turn them off, and what the policy has off by default for
  a provider is off for exchanges of that channel. `telemetry.own` can measure less than the
  policy document lets, by `off`, and never more.
* Exchanges are added up in memory, by channel and how they ended, and kept as one histogram each
  minute. Nothing says whose they were; of a caller without an account there is no decision, so
  nothing of theirs is measured.
* A crash costs the last minute's figures.

Rows: S1, S2.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

import orjson

from bailee import __version__
from bailee.client.declared import Declared
from bailee.client.sdk_errors import content
from bailee.client.telemetry import own_frames
from bailee.clock import Clock
from bailee.config import Settings
from bailee.errors import CODES, BaileeError, InputError
from bailee.gateway.summary import ExchangeSummary
from bailee.lasting import Lasting
from bailee.policy import Policy
from bailee.policy.bounds import PLACES
from bailee.registry import Guard, Refusals
from bailee.telemetry import sentry
from bailee.telemetry.records import ERROR, METRIC, DataClass, Figure, figure
from bailee.telemetry.telemetry import Taken, Telemetry

MEASURE: Final = "bailee.exchange.duration"
# From a millisecond to ten minutes, each a fifth more than the one before: a percentile that is
# read from them is off by a tenth at the most.
BOUNDS: Final = tuple(round(1.2**step, 3) for step in range(74))
_SECONDS: Final = 60.0
_MOST_DEFECTS: Final = 20
_VERSION: Final = re.match(r"[0-9.]*[0-9]", __version__)
_ABOUT: Final = {
    "service.name": "bailee-gateway",
    "service.version": _VERSION[0] if _VERSION else "0",
}
_SAID: Final = {"complete": "ok", "client_aborted": "cancelled", "timed_out": "timeout"}
_KINDS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class MeasuredTerms(NamedTuple):
    """How long something is kept (None: not at all), and where alone it may go, of
    `bounds.PLACES`.
    """

    period: str | None
    places: tuple[str, ...] = PLACES


TermsOf = Callable[[DataClass, str], MeasuredTerms]
"""On what terms something of a class is kept that came by the key of this id. Of no key ("") is
what is the server's own."""


@dataclass(slots=True)
class _Sum:
    """What was added up of exchanges that ended alike."""

    milliseconds: float = 0.0
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))


_Alike = tuple[MeasuredTerms, str, str, str, str | None]
"""Terms, channel, outcome, class of status, kind of error."""


class Own:
    """Measures one server, from `start` to `stop`.

    The server owns it. `exchange` is called on the gateway's loop; each minute the thread
    `measuring` writes what was added up, and `keep` and `settle` do so from any thread. It never
    learns what was said, and whose an exchange was goes into no figure.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        clock: Clock,
        channels: Callable[[], frozenset[str]],
        terms: TermsOf,
    ) -> None:
        """`channels`: those whose exchanges are measured now (`measured_channels`)."""
        self._telemetry = telemetry
        self._clock = clock
        self._channels = channels
        self._terms = terms
        self._sums: dict[_Alike, _Sum] = {}
        self._known: dict[str, MeasuredTerms] = {}
        self._lock = threading.Lock()  # whenever these two are read or changed
        self._stopping = threading.Event()
        self.thread = Lasting("measuring", self._run)

    def start(self) -> None:
        """Keep what was added up each minute from now on."""
        self.thread.start()

    def stop(self) -> None:
        """Keep what is left, and stop."""
        self._stopping.set()
        self.thread.join()

    def exchange(self, summary: ExchangeSummary) -> None:
        """Add an exchange that is over. Called on the gateway's loop: it only adds up."""
        if summary.channel not in self._channels() or not summary.owner:
            return
        with self._lock:
            if summary.key_id not in self._known:
                self._known[summary.key_id] = self._terms(METRIC, summary.key_id)
            terms = self._known[summary.key_id]
            alike = (terms, summary.channel, *ending(summary))
            found = self._sums.get(alike)
            if found is None:
                found = self._sums[alike] = _Sum()
            milliseconds = summary.seconds * 1000
            found.milliseconds += milliseconds
            found.counts[bisect_left(BOUNDS, milliseconds)] += 1

    def keep(self) -> None:
        """Make durable what was added up.

        Raises:
            StorageError: it can't be written; these figures are lost.
        """
        with self._lock:
            sums, self._sums = self._sums, {}
            self._known.clear()  # decided anew each time
        now = self._clock()
        guard = Guard(self._telemetry.registry, now.date())
        by_terms: dict[MeasuredTerms, list[Figure]] = {}
        for (terms, *how), found in sums.items():
            row = _row(guard, int(now.timestamp() * 1000), how, found)
            by_terms.setdefault(terms, []).append(row)
        for terms, rows in by_terms.items():
            taken = Taken(figures=rows)
            self._telemetry.prepare(taken, {METRIC: terms.period}, {METRIC: terms.places})
            self._telemetry.keep_now(taken)

    def settle(self) -> None:
        """The same, for whoever asks what there is; figures that can't be written are let go."""
        with contextlib.suppress(BaileeError):
            self.keep()

    def _run(self) -> None:
        while not self._stopping.wait(_SECONDS):
            self.settle()
        self.settle()


def _row(guard: Guard, at: int, how: Sequence[str | None], found: _Sum) -> Figure:
    names = ("provider", "outcome", "status_class", "error_type", *_ABOUT)
    given = [pair for pair in zip(names, (*how, *_ABOUT.values()), strict=True) if pair[1]]
    measure = guard.registry.measures[MEASURE]
    return figure(
        at,
        measure.name,
        measure.kind,
        found.milliseconds,
        guard.attributes(given, measure.attributes, Refusals()),
        count=sum(found.counts),
        buckets=(list(BOUNDS), found.counts),
    )


def ending(summary: ExchangeSummary) -> tuple[str, str, str | None]:
    """How an exchange ended: outcome, class of status, kind of error. Pure."""
    status = summary.status
    status_class = f"{status // 100}xx" if 200 <= status < 600 else "none"
    outcome = _SAID.get(summary.outcome, summary.outcome)
    if outcome not in ("ok", "cancelled", "timeout", "refused"):
        outcome = "error"
    if outcome == "ok" and status >= 400:
        outcome = "error"
    if outcome in ("ok", "cancelled"):
        return outcome, status_class, None
    if summary.error:
        kind = CODES[summary.error].api_type
        return outcome, status_class, kind
    if status >= 400:
        return outcome, status_class, _KINDS.get(status, _other_kind(status))
    return outcome, status_class, "connection_error"


def _other_kind(status: int) -> str:
    return "api_error" if status >= 500 else "invalid_request_error"


def measured_channels(
    policy: Policy, settings: Settings, environment: Mapping[str, str]
) -> frozenset[str]:
    """The channels whose exchanges are measured.

    Raises:
        InputError: code `configuration`.
    """
    if _is_off(settings):
        return frozenset()
    env = _switches(policy, environment)
    return frozenset(
        channel for channel in policy.document.providers if _sent(policy, "metrics", channel, env)
    )


def reports_errors(policy: Policy, settings: Settings, environment: Mapping[str, str]) -> bool:
    """Whether the server's own defects are kept as error events.

    Raises:
        InputError: code `configuration`.
    """
    return not _is_off(settings) and _sent(policy, "errors", "api", _switches(policy, environment))


def _is_off(settings: Settings) -> bool:
    said = settings.text("telemetry.own") or ""
    if said not in ("policy", "off"):
        raise InputError(
            f"telemetry.own is {said!r}.",
            code="configuration",
            hint="use policy or off; what more is measured, the policy document's flows say",
        )
    return said == "off"


def _sent(policy: Policy, flow: str, provider: str, env: Mapping[str, str]) -> bool:
    return policy.send(flow=flow, provider=provider, env=env).effect == "allow"


def _switches(policy: Policy, environment: Mapping[str, str]) -> dict[str, str]:
    """The document's switches that are set here. Which provider a server's own shell would use says
    nothing about its exchanges, so those are left out.
    """
    selecting = {provider.selected_by for provider in policy.document.providers.values()}
    return {
        name: environment[name]
        for name in policy.document.switches
        if environment.get(name) and name not in selecting
    }


class Defects:
    """Reports defects of the server's own into its own store: class and own frames, no message.

    The console calls it on its worker threads, several at once. It never raises.
    """

    def __init__(self, telemetry: Telemetry, clock: Clock, terms: MeasuredTerms) -> None:
        """`terms`: on which they are kept."""
        self._telemetry = telemetry
        self._clock = clock
        self._terms = terms
        self._declared = Declared(telemetry.registry)
        self._lock = threading.Lock()  # who counts in `_times`
        self._times: deque[float] = deque(maxlen=_MOST_DEFECTS)

    def __call__(self, error: BaseException) -> None:
        """Keep one, unless there were too many in the last minute. Never raises."""
        now = self._clock()
        at = now.timestamp()
        with self._lock:
            if len(self._times) == _MOST_DEFECTS and at - self._times[0] < _SECONDS:
                return
            self._times.append(at)
        with contextlib.suppress(BaileeError):
            self._keep(error, now)

    def _keep(self, error: BaseException, now: datetime) -> None:
        declared = self._declared.registry.fields["exception"].kind.values
        names = (kind.__name__ for kind in type(error).__mro__)
        fields = {"handled": True, "exception": next(n for n in names if n in declared)}
        frames = list(own_frames(error.__traceback__))
        event = self._declared.error("bailee.error", fields, frames, today=now.date())
        about = self._declared.about(_ABOUT, today=now.date())
        event_id = secrets.token_hex(16)
        item = orjson.dumps(content(event, about, at=now, event_id=event_id))
        taken = self._telemetry.take_envelope(sentry.Envelope(event_id, [("event", item)]))
        self._telemetry.prepare(taken, {ERROR: self._terms.period}, {ERROR: self._terms.places})
        self._telemetry.keep_now(taken)
