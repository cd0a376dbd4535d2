"""The table of what became of the sweep's steps."""

from __future__ import annotations

from sqlalchemy import Column, Integer, String, Table

from bailee.db.metadata import Moment, data

sweep_steps = Table(
    "sweep_steps",
    data,
    Column("name", String, primary_key=True),
    Column("succeeded_at", Moment),
    Column("failed_at", Moment),
    Column("error", String),
    Column("failures", Integer, nullable=False),
)
"""One row a step. `error`: the code of the latest failure, None when the latest did not fail;
`failures`: how many in a row."""
