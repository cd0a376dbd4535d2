"""Every figure that a server says of itself. Pure.

Rules kept here:

* A label's values are written down here, all of them, before a server runs. What is none of them
  is said as `other`. So no name of a model, path, program, account or key gets into a figure,
  whatever a client sends, and how many figures there are has a bound (`MOST`).
* A figure that is not in `FAMILIES` can't be said.

Standard: the names follow Prometheus' own rules (base units, `_total` for counters).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import prod
from typing import Final

from bailee.errors import CODES

OTHER: Final = "other"
"""What is said in the place of a value that is not declared."""


class FigureKind(StrEnum):
    """What a figure is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One figure. `labels`: by name, each value that it may have; `bounds`: of a histogram's
    buckets, in seconds.
    """

    name: str
    kind: FigureKind
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bounds: tuple[float, ...] = ()

    @property
    def most(self) -> int:
        """How many series there are at most."""
        series = prod(len(values) + 1 for values in self.labels.values())
        return series * (len(self.bounds) + 3) if self.kind is FigureKind.HISTOGRAM else series

    def said(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """These values of the labels, as they may be said."""
        return tuple(
            value if value in allowed else OTHER
            for value, allowed in zip(values, self.labels.values(), strict=True)
        )


CHANNELS: Final = ("api", "bedrock", "vertex", "openai", "google", "azure", "foundry", "none")
"""The gateway's channels; `none`: a request that is for none of them."""
OUTCOMES: Final = ("complete", "client_aborted", "upstream_failed", "timed_out", "refused")
STATUSES: Final = ("none", "2xx", "3xx", "4xx", "5xx")
REASONS: Final = (
    "starting", "draining", "outdated", "not_joined", "not_recording", "keyring_unreadable",
    "sweep_late", "rotation_late", "sealing_late", "thread_ended",
)  # fmt: skip
"""Why a server is not ready: `app.promise.Reason`, without what it is ready with."""
ALERTS: Final = (
    "unwitnessed", "requests_overdue", "disk_low", "audit_stream_late", "holder_away",
)  # fmt: skip
STEPS: Final = (
    "clock", "holds", "damaged holds", "deletions", "keys", "rows", "segments", "rotation",
    "receipts", "tombstones", "sealing", "moves", "kept by their person", "quarantine", "erasures",
    "marks", "egress", "answers", "snapshots", "datasets", "cloud", "survey", "reports",
    "telemetry", "limits", "increases", "usage", "requests", "pending", "departed",
    "ephemeral_keys",
)  # fmt: skip
"""The steps of a sweep."""
SINKS: Final = ("file", "syslog", "http", "otlp", "webhook")
PROMISES: Final = (
    "recorded", "destroyed", "deleted", "erased", "unrecoverable", "followed", "asked", "sound",
    "witnessed", "timely", "answered",
)  # fmt: skip
LISTENERS: Final = ("gateway", "console", "ingest", "health")
STORES: Final = ("data", "keyring", "vault", "work")
_DURATIONS: Final = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_CHANNEL: Final = {"channel": CHANNELS}
_SINK: Final = {"sink": SINKS}
_STORE: Final = {"store": STORES}


def _counter(name: str, help: str, **labels: tuple[str, ...]) -> Family:  # noqa: A002
    return Family(name, FigureKind.COUNTER, help, labels)


def _gauge(name: str, help: str, **labels: tuple[str, ...]) -> Family:  # noqa: A002
    return Family(name, FigureKind.GAUGE, help, labels)


_ALL: Final = (
    _gauge("bailee_ready", "1: ready for work, as /readyz says."),
    _gauge("bailee_not_ready", "1: it is not ready for this reason.", reason=REASONS),
    _gauge("bailee_alert", "1: somebody should look, and it is ready all the same.", alert=ALERTS),
    # requests
    _counter(
        "bailee_requests_total",
        "Requests to the gateway that are over.",
        channel=CHANNELS, status=STATUSES, outcome=OUTCOMES,
    ),
    _counter(
        "bailee_requests_refused_total",
        "Of these, those that the gateway refused, by its error code.",
        code=tuple(CODES),
    ),
    _counter(
        "bailee_upstream_errors_total",
        "Exchanges that failed at the upstream or on the way, by error code; other: it broke off "
        "or answered 5xx.",
        channel=CHANNELS, code=tuple(code for code in CODES if code.startswith("upstream_")),
    ),
    Family(
        "bailee_request_duration_seconds",
        FigureKind.HISTOGRAM,
        "From a request's head to its answer's end, of what went upstream.",
        _CHANNEL,
        _DURATIONS,
    ),
    Family(
        "bailee_first_byte_seconds",
        FigureKind.HISTOGRAM,
        "From a request's head to the beginning of the upstream's answer.",
        _CHANNEL,
        _DURATIONS,
    ),
    _counter(
        "bailee_bytes_total", "Bytes of requests and answers.",
        channel=CHANNELS, direction=("in", "out"),
    ),
    _gauge("bailee_requests_in_flight", "Requests to the gateway that are under way."),
    _gauge("bailee_accounts_in_flight", "Accounts that have one under way."),
    _gauge("bailee_connections", "Clients' connections.", listener=LISTENERS),
    _counter("bailee_unrecorded_total", "Exchanges served although they could not be recorded."),
    _gauge(
        "bailee_confirmation_age_seconds",
        "Since when a gateway of its own has confirmed which keys are good and what the policy is.",
    ),
    _gauge(
        "bailee_holder_age_seconds",
        "Since when no server is known to have had the home, by a gateway of its own.",
    ),
    _gauge(
        "bailee_members",
        "Processes beside the server that record, and have said so within 20 seconds.",
        role=("gateway",),
    ),
    # what is kept
    _gauge("bailee_spool_bytes", "Bytes that are recorded and not sealed yet."),
    _gauge(
        "bailee_spool_write_seconds",
        "What it took lately to make a group of small exchanges durable before their clients see "
        "the end.",
        where=("local", "database"),
    ),
    _gauge("bailee_unsealed_exchanges", "Exchanges that are recorded and not sealed yet."),
    _gauge("bailee_sealing_stalled_seconds", "Since when nothing of what waits was sealed."),
    _gauge("bailee_stored_bytes", "Bytes that are sealed and kept."),
    _gauge("bailee_stored_accounts", "Accounts of which something is kept."),
    # forgetting
    _gauge("bailee_sweep_age_seconds", "Since keys were destroyed on time."),
    _counter("bailee_sweeps_total", "Sweeps since the start."),
    _counter("bailee_keys_destroyed_total", "Keys of whole epochs destroyed since the start."),
    _counter("bailee_sessions_removed_total", "Sessions whose rows were removed since then."),
    _gauge("bailee_sweep_step_failing", "1: this step failed the last time.", step=STEPS),
    _gauge("bailee_promise_kept", "1: kept, 0: broken; none: not known.", promise=PROMISES),
    _gauge("bailee_promise_late", "How much is late of what is promised.", promise=PROMISES),
    _gauge("bailee_epoch_keys", "Keys of epochs in the keyring."),
    _gauge("bailee_root_generation", "The root key's newest generation."),
    _gauge("bailee_holds", "What is kept under a legal hold."),
    # proof
    _gauge("bailee_ledger_leaves", "Leaves of the log's checkpoint."),
    _gauge("bailee_ledger_entries_waiting", "Entries that have no leaf yet."),
    _gauge("bailee_ledger_bytes", "Bytes of the database that holds the audit record."),
    _gauge("bailee_ledger_checkpoint_timestamp_seconds", "When the checkpoint was written."),
    _gauge("bailee_ledger_unwitnessed_seconds", "Since when the log lacks its witnesses' quorum."),
    _gauge("bailee_audit_stream_lag_entries", "Entries not yet delivered there.", **_SINK),
    _gauge("bailee_audit_stream_lag_seconds", "Since when the oldest of these waits.", **_SINK),
    _counter("bailee_audit_stream_delivered_total", "Entries delivered since the start.", **_SINK),
    _counter("bailee_audit_stream_failures_total", "Attempts that failed since then.", **_SINK),
    # the machine
    _gauge("bailee_disk_free_bytes", "Free on the file system of a store.", **_STORE),
    _gauge("bailee_disk_size_bytes", "The size of that file system.", **_STORE),
    _gauge("bailee_build_info", "1.", version=(), compiled=("yes", "no")),
)  # fmt: skip
FAMILIES: Final[Mapping[str, Family]] = {one.name: one for one in _ALL}
"""By name."""
MOST: Final = sum(one.most for one in _ALL)
"""How many series there are at most."""
PROCESS: Final = (
    "process_virtual_memory_bytes", "process_resident_memory_bytes", "process_start_time_seconds",
    "process_cpu_seconds_total", "process_open_fds", "process_max_fds",
)  # fmt: skip
"""What the library itself says of the process."""
