"""The tables of what is used of models: counts, limits and what is asked beyond them, what is
reserved, lists of models.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, String, Table

from bailee.db.metadata import Moment, check, data
from bailee.db.portable import Whole

usage_counts = Table(
    "usage_counts",
    data,
    Column("hour", Whole, primary_key=True),
    Column("account", String, primary_key=True),
    Column("person", String, primary_key=True),
    Column("organisation", String, primary_key=True),
    Column("team", String, primary_key=True),
    Column("key_id", String, primary_key=True),
    Column("client", String, primary_key=True),
    Column("model", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("upstream", String, primary_key=True),
    Column("own", Whole, primary_key=True),
    Column("until", Whole, nullable=False, index=True),
    Column("requests", Whole, nullable=False),
    Column("errors", Whole, nullable=False),
    Column("refused", Whole, nullable=False),
    Column("aborted", Whole, nullable=False),
    Column("estimated", Whole, nullable=False),
    Column("unpriced", Whole, nullable=False),
    Column("input", Whole, nullable=False),
    Column("output", Whole, nullable=False),
    Column("cache_read", Whole, nullable=False),
    Column("cache_write_5m", Whole, nullable=False),
    Column("cache_write_1h", Whole, nullable=False),
    Column("thinking", Whole, nullable=False),
    Column("money", Whole, nullable=False),
    Column("milliseconds", Whole, nullable=False),
    Column("slowest", Whole, nullable=False),
    Index("ix_usage_counts_person", "person", "hour"),
)
"""What was used in an hour. `hour`: when it began, in Unix seconds; `until`: when the row goes.
Empty texts: it is nobody's (any more), or not known. `upstream`: as the operator
calls it. `own`: 1 on the client's own credential. `money` in micro-USD, of the requests whose price
was known; of `unpriced` it was not. `slowest`: milliseconds of the slowest request. No content."""

DIMENSIONS: Final = (
    "hour", "account", "person", "organisation", "team", "key_id", "client", "model", "channel",
    "upstream", "own",
)  # fmt: skip
SUMS: Final = (
    "requests", "errors", "refused", "aborted", "estimated", "unpriced", "input", "output",
    "cache_read", "cache_write_5m", "cache_write_1h", "thinking", "money", "milliseconds",
)  # fmt: skip

usage_limits = Table(
    "usage_limits",
    data,
    Column("scope", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("measure", String, primary_key=True),
    Column("span", String, primary_key=True),
    Column("amount", Whole, nullable=False),
    check(),
)
"""A limit: `amount` in micro-USD, tokens, requests, or requests at once."""

usage_windows = Table(
    "usage_windows",
    data,
    Column("scope", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("span", String, primary_key=True),
    Column("start", Whole, primary_key=True),
    Column("requests", Whole, nullable=False),
    Column("tokens", Whole, nullable=False),
    Column("money", Whole, nullable=False),
    check(),
)
"""What was used in a window of a subject with a limit. It goes when the window has ended."""

usage_reservations = Table(
    "usage_reservations",
    data,
    Column("id", String, primary_key=True),
    Column("scope", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("until", Whole, nullable=False),
    Column("tokens", Whole, nullable=False),
    Column("money", Whole, nullable=False),
    Column("again", Whole),
    Column("gateway", String, nullable=False, server_default=""),
    Index("ix_usage_reservations_subject", "scope", "subject"),
)
"""What is reserved for a request under way, for each of its subjects. One whose gateway is gone
counts as used: `gateway` says which (empty: one of before it was said), and `until` (Unix seconds)
when it does whether it is gone or not. `again`: the sum of the three numbers. It is a check
that costs next to nothing where all that is under way is added up for each request."""

usage_gateways = Table(
    "usage_gateways",
    data,
    Column("id", String, primary_key=True),
    Column("seen", Whole, nullable=False),
    Column("counted", Whole, nullable=False),
)
"""What reserves and counts: `seen`, its last sign of life, in Unix seconds of the database's clock;
`counted`: the number of the last batch of counts that it wrote."""

usage_models = Table(
    "usage_models",
    data,
    Column("scope", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("models", String, nullable=False),
    check(),
)
"""Which models an organisation, a team or a plan's accounts may ask: names with spaces between."""

usage_batches = Table(
    "usage_batches",
    data,
    Column("batch", String, primary_key=True),
    Column("model", String, primary_key=True),
    Column("until", Whole, nullable=False, index=True),
    Column("requests", Whole, nullable=False),
    Column("errors", Whole, nullable=False),
    Column("estimated", Whole, nullable=False),
    Column("input", Whole, nullable=False),
    Column("output", Whole, nullable=False),
    Column("cache_read", Whole, nullable=False),
    Column("cache_write_5m", Whole, nullable=False),
    Column("cache_write_1h", Whole, nullable=False),
    Column("thinking", Whole, nullable=False),
)
"""What is counted of a batch already, by model: the most that any fetch of its results has shown.
`batch`: a digest, which names nobody; `until` (Unix seconds): when the row goes."""

limit_increases = Table(
    "limit_increases",
    data,
    Column("id", String, primary_key=True),
    Column("organisation", String, nullable=False, index=True),
    Column("person", String, nullable=False, index=True),
    Column("span", String, nullable=False),
    Column("amount", Whole, nullable=False),
    Column("state", String, nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("decided_at", Moment),
    Column("decided_by", String),
    Column("granted", Whole),
    Column("until", Moment, nullable=False, index=True),
)
"""That a member asks for more: `amount`, and what was `granted`, in micro-USD; `state` as
`IncreaseState`; `until`: when the row goes. What is granted becomes a limit, which has a check:
this row decides nothing."""

CHECKED: Final = (usage_limits, usage_models, usage_windows)
