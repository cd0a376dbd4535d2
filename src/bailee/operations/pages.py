"""Where a page of a list goes on: a mark of its last item, made of what the list is sorted by.

A list is sorted by a number, or by a moment and then an id. Nothing is kept between two pages: what
comes or goes meanwhile moves no other item from one page to the next. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from bailee.errors import InputError
from bailee.operations.codec import Page

Row = TypeVar("Row")
Item = TypeVar("Item")


def page(
    found: Sequence[Row], limit: int, shown: Callable[[Row], Item], mark: Callable[[Row], str]
) -> Page[Item]:
    """A page of what was found: at most `limit` items. One more says that others follow."""
    rows = found[:limit]
    return Page([shown(row) for row in rows], mark(rows[-1]) if len(found) > limit else None)


def mark(at: datetime, id: str) -> str:
    """The mark of an item in a list that is sorted by moment and id."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat()}Z/{id}"


def place(after: str | None) -> tuple[datetime, str] | None:
    """What a mark of `mark` was made of.

    Raises:
        InputError: it is none.
    """
    if after is None:
        return None
    at, _, name = after.partition("/")
    try:
        moment = datetime.fromisoformat(at).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _unknown() from None
    if mark(moment, name) != after:
        raise _unknown()
    return moment, name


def number(after: str | None) -> int | None:
    """The number that a mark is, in a list that is sorted by number.

    Raises:
        InputError: it is none.
    """
    if after is None:
        return None
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise _unknown()
    return int(after)


def _unknown() -> InputError:
    return InputError("'after' is not what a page said is next.")
