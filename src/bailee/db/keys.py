"""Tables of the keyring's own store. Every key here is wrapped; none is ever in the clear."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, LargeBinary, String, Table

from bailee.db.metadata import Moment, check, keys
from bailee.db.portable import Whole

keks = Table(
    "keks",
    keys,
    Column("id", String, primary_key=True),
    Column("data_class", String, nullable=False),
    Column("epoch", Whole, nullable=False, index=True),
    Column("generation", Whole, nullable=False, index=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("dirty", Boolean, nullable=False),
    check(),
)
"""One key per data class and expiry epoch. `current`: new DEKs go under it. `dirty`: a DEK under
it was destroyed or left for an earlier epoch, so that the next rotation replaces it. Who has the
store's lock sees to it that of each class and epoch one is current."""

kek_ends = Table(
    "kek_ends",
    keys,
    Column("id", String, primary_key=True),
    Column("epoch", Whole, nullable=False, index=True),
)
"""The epoch of each KEK once more, in a row of its own: where the two differ, one of them is not
what was written, and the KEK does not go by one alone (`keyring.ending`)."""

deks = Table(
    "deks",
    keys,
    Column("subject", String, primary_key=True),
    Column("kek_id", String, nullable=False, index=True),
    Column("version", Whole, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)
"""One key per subject. No foreign key to `keks`: a KEK goes at once, its DEK rows later."""

former_keks = Table(
    "former_keks",
    keys,
    Column("subject", String, primary_key=True),
    Column("kek_id", String, primary_key=True, index=True),
    check(),
)
"""Which other KEKs a subject's DEK was under: an old copy of the store still has those wraps."""

destroyed_keks = Table(
    "destroyed_keks",
    keys,
    Column("id", String, primary_key=True),
    Column("data_class", String, nullable=False),
    Column("epoch", Whole, nullable=False),
    Column("destroyed_at", Moment, nullable=False),
    Column("emptied", Boolean, nullable=False, index=True),
    check(),
)
"""KEKs that are gone. `emptied`: the rows of the DEKs that were under it are gone, too; a while
later the note goes (`keyring.destroying.NOTED`)."""

damaged_keys = Table(
    "damaged_keys",
    keys,
    Column("name", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("found_at", Moment, nullable=False),
)
"""Keys that did not open when they were to be wrapped anew. `kind`: `kek`, `dek` or `secret`;
`name`: a KEK's id, a subject, a secret's name. A row goes after its key."""

secrets = Table(
    "secrets",
    keys,
    Column("name", String, primary_key=True),
    Column("generation", Whole, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)
"""Named keys for keyed digests, directly under the root."""

rotation = Table(
    "rotation",
    keys,
    Column("id", Whole, primary_key=True),
    Column("rotated_at", Moment, nullable=False),
    Column("began_at", Moment),
    Column("destroyed_since", Boolean, nullable=False),
    check(),
)
"""When the root was last rotated, when that or an unfinished rotation began, and whether any key
was destroyed since: the same in two rows (`keyring.twice`)."""

root_place = Table(
    "root_place",
    keys,
    Column("id", Whole, primary_key=True),
    Column("driver", String, nullable=False),
    Column("base", Whole, nullable=False),
    Column("oldest", Whole, nullable=False),
    Column("moving_to", String),
    Column("next_base", Whole, nullable=False),
    check(),
)
"""Which root the keyring is under, and which it moves to (`keyring.rooted`): the same in two rows
(`keyring.twice`)."""

ended_roots = Table(
    "ended_roots",
    keys,
    Column("generation", Whole, primary_key=True),
    Column("began_at", Moment, nullable=False),
    Column("gone_at", Moment, nullable=False),
    check(),
)
"""Rotations: all generations below `generation` that were destroyed by it are gone for good from
`gone_at` on. `began_at`: when the rotation began. Of those that are gone the newest counts; the
next rotation removes the others."""

CHECKED: Final = (keks, former_keks, destroyed_keks, rotation, root_place, ended_roots)
"""The tables whose rows are checked (`db.checks`), with a key of zeros: what opens the keyring's
secrets is read from them. What a wrap is bound to is checked by that."""
