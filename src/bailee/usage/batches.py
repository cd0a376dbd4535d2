"""What is counted of batches of requests, each result once.

Rules kept here:

* Of a batch is counted the most that any fetch of its results has shown, by model and kind: who
  fetches them again, in whichever part or order, adds what was not shown before, and nothing else.
* What is counted already is noted in the transaction that counts it; so saying it again after a
  failure counts nothing twice.
* A note is a digest and numbers: it names nobody, and goes when the counts of that time do.

Rows: O2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, delete, select

from bailee.apis.batch_results import ResultsOfModel
from bailee.apis.using import Tokens
from bailee.db.portable import greatest
from bailee.db.portable import insert as upsert
from bailee.db.usage import usage_batches as table

SHARE: Final = 2
"""A request of a batch costs the list's price divided by this."""
BATCHES: Final = "/batch"
"""What stands behind the channel, where a batch is counted."""
_SUMS: Final = ("requests", "errors", "estimated", *Tokens._fields)
_KEYS: Final = ["batch", "model"]


def count_new(
    connection: Connection, batch: str, shown: Sequence[ResultsOfModel], until: int
) -> list[ResultsOfModel]:
    """Note what was shown of a batch, and give what of it was not counted before. `until` (Unix
    seconds): when the note goes.
    """
    if not shown:
        return []
    nothing = [
        {"batch": batch, "model": one.model, "until": until, **dict.fromkeys(_SUMS, 0)}
        for one in sorted(shown)  # in one order, so that no two wait for each other
    ]
    # So that there is a row for whoever counts the same at this moment to wait for.
    connection.execute(upsert(table).on_conflict_do_nothing(index_elements=_KEYS), nothing)
    rows = connection.execute(
        select(table).where(table.c.batch == batch).order_by(table.c.model).with_for_update()
    )
    before = {row.model: row._mapping for row in rows}
    new = upsert(table)
    more = {name: greatest(table.c[name], new.excluded[name]) for name in ("until", *_SUMS)}
    found: list[ResultsOfModel] = []
    for one in shown:
        sums = _sums(one)
        row = {"batch": batch, "model": one.model, "until": until, **sums}
        connection.execute(new.on_conflict_do_update(index_elements=_KEYS, set_=more), row)
        left = {name: max(0, sums[name] - int(before[one.model][name])) for name in _SUMS}
        if any(left.values()):
            tokens = Tokens(*(left[name] for name in Tokens._fields))
            found.append(
                ResultsOfModel(
                    one.model, left["requests"], left["errors"], left["estimated"], tokens
                )
            )
    return found


def drop_ended(connection: Connection, now: float) -> None:
    """Forget the batches whose counts are past their time. `now` in Unix seconds."""
    connection.execute(delete(table).where(table.c.until <= now))


def _sums(one: ResultsOfModel) -> Mapping[str, int]:
    return {
        "requests": one.requests, "errors": one.errors, "estimated": one.estimated,
        **one.tokens._asdict(),
    }  # fmt: skip
