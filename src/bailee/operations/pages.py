"""A page of what was found in a store, and places in lists that are sorted by a number. Pure.

Lists that are sorted by a moment have places of `db.pages`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from bailee.db.pages import cut
from bailee.errors import InputError
from bailee.operations.codec import Page

Row = TypeVar("Row")
Item = TypeVar("Item")


def page(
    found: Sequence[Row], limit: int, shown: Callable[[Row], Item], place: Callable[[Row], str]
) -> Page[Item]:
    """A page of at most `limit` items. One more that was found says that others follow."""
    rows, following = cut(found, limit, place)
    return Page([shown(row) for row in rows], following)


def number(after: str | None) -> int | None:
    """The number that a place is, in a list that is sorted by one.

    Raises:
        InputError: it is none.
    """
    if after is None or (after.isascii() and after.isdigit() and len(after) < 19):
        return None if after is None else int(after)
    raise InputError("`after` is not a place in this list.", hint="give the `next` of a page")
