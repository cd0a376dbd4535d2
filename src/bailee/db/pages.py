"""Pages of a list that the database sorts: by moment, what is of one moment by its id.

A page ends at a place, which is the moment and the id of its last item; what follows is asked for
by it (keyset pagination). So a page costs the same wherever it is, and what comes or goes meanwhile
moves no other item to another page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from sqlalchemy import ColumnElement, and_, or_, true

from bailee.errors import InputError

Item = TypeVar("Item")


class Order(StrEnum):
    """Which end of a list comes first."""

    NEWEST = "newest"
    OLDEST = "oldest"


def place(at: datetime, name: str) -> str:
    """The place of an item, as text that can stand in an address."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat()}Z~{name}"


def read_place(text: str) -> tuple[datetime, str]:
    """A place's moment and id.

    Raises:
        InputError: it is none.
    """
    at, _, name = text.partition("~")
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is not None and name.isascii():
            return moment.astimezone(UTC), name
    except (ValueError, OverflowError):
        pass
    raise InputError("`after` is not a place in this list.", hint="give the `next` of a page")


def following(
    at: ColumnElement[datetime],
    name: ColumnElement[str],
    after: str | None,
    *,
    oldest_first: bool = False,
    names_fall: bool = False,
) -> ColumnElement[bool]:
    """The condition for what follows a place in a list with the newest first, or the oldest; None:
    all. `names_fall`: what is of one moment stands by falling ids, as an index that is read from
    its end has it.

    Raises:
        InputError: there is no such place.
    """
    if after is None:
        return true()
    moment, last = read_place(after)
    beside = name < last if names_fall else name > last
    # By the moment first, alone, so that an index begins where the page does.
    if oldest_first:
        return and_(at >= moment, or_(at > moment, beside))
    return and_(at <= moment, or_(at < moment, beside))


def cut(
    items: Sequence[Item], limit: int, of: Callable[[Item], str]
) -> tuple[list[Item], str | None]:
    """A page of the first `limit + 1` items that follow a place, and the place where it ends if
    there are more. `of`: the place of an item.
    """
    page = list(items[:limit])
    return page, of(page[-1]) if len(items) > limit else None
