"""The tables of what became of the sweep's steps, and of how much room there is."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, String, Table

from bailee.db.metadata import Moment, data
from bailee.db.portable import Whole

sweep_steps = Table(
    "sweep_steps",
    data,
    Column("name", String, primary_key=True),
    Column("succeeded_at", Moment),
    Column("failed_at", Moment),
    Column("error", String),
    Column("failures", Whole, nullable=False),
)
"""One row a step. `error`: the code of the latest failure, None when the latest did not fail;
`failures`: how many in a row."""

disk_state = Table(
    "disk_state",
    data,
    Column("name", String, primary_key=True),
    Column("low", Boolean, nullable=False),
    Column("at", Moment, nullable=False),
)
"""Whether little is free, and since when: one row, `stores`, which who has the home writes for
gateways."""
