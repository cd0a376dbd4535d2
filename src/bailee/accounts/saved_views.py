"""Filters of lists that somebody keeps under a name, to come back to.

Rules kept here:

* A view is for whoever saved it: to anybody else it is not there.
* A person's lies sealed under their own key, and goes with them. The operator by the printed link
  is nobody, and has no key: theirs lies as it is.
* A view names nobody by email, in its name or in what it asks for: it would still do so when they
  were erased.
* What it asks for are names and values here. Who shows it reads them anew, as those of the list's
  own address (`console.views`).

Rows: R6.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl, urlencode

from sqlalchemy import ColumnElement, delete, insert, select

from bailee.accounts.backing import Backing
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.people import persons, saved_views
from bailee.errors import InputError, IntegrityError
from bailee.shown import named

MOST_VIEWS: Final = 20
LONGEST_VIEW_NAME: Final = 40
_LONGEST_QUERY: Final = 500
_WHAT: Final = "the saved views"
_EMAIL: Final = re.compile(r"[^\s@]@")
"""What stands before the `@` makes it somebody's; `@example.org` alone is a company's."""


@dataclass(frozen=True, slots=True)
class SavedView:
    """A view. `list_`: the name of the list that it is of; `asked`: what it asks of it, by the
    names of the list's address. Nothing is left of either where the key that opens them is gone, or
    they are not what was written.
    """

    view_id: str
    list_: str
    name: str
    asked: Mapping[str, str]
    created_at: datetime


class SavedViews:
    """The views of a home's people, and of its operator, who is None. Pages call it, on any thread.
    It keeps nothing in memory, and changes nothing that anybody else sees: so nothing of it goes
    on record.
    """

    def __init__(self, backing: Backing) -> None:
        self._engine = backing.engine
        self._identifiers = backing.identifiers
        self._clock = backing.clock
        self._random = backing.random

    def of(self, person_id: str | None) -> list[SavedView]:
        """Somebody's views, of all lists, oldest first."""
        query = select(saved_views).where(_theirs(person_id))
        query = query.order_by(saved_views.c.created_at, saved_views.c.id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [self._view(row) for row in rows]

    def save(self, person_id: str | None, list_: str, name: str, asked: Mapping[str, str]) -> None:
        """Keep what a list was asked for under a name; one that has the name makes room for it.

        Raises:
            InputError: the name is none, or there are as many views of this list as there may be;
                an email stands in it; or the person was erased.
        """
        called = named(" ".join(name.split()), "a view's name", longest=LONGEST_VIEW_NAME)
        if not called:
            raise InputError("a view has a name.")
        query = urlencode(asked)
        if len(query) > _LONGEST_QUERY:
            raise InputError("what is asked for here is too long for a view.")
        if any(_EMAIL.search(one) for one in (called, *asked.values())):
            raise InputError(
                "a view names nobody by email: it would still name them when they are erased.",
                hint="save it by an id, or by what comes after the @",
            )
        sealed = self._sealed(person_id, called), self._sealed(person_id, query)
        living = select(persons.c.id).where(
            persons.c.id == person_id, persons.c.erased_at.is_(None)
        )
        of_list = select(saved_views).where(_theirs(person_id), saved_views.c.list == list_)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            if person_id is not None and connection.execute(living).first() is None:
                raise InputError("this person was erased.", code="not_found")
            there = [self._view(row) for row in connection.execute(of_list)]
            replaced = [one.view_id for one in there if one.name == called]
            if len(there) - len(replaced) >= MOST_VIEWS:
                raise InputError(
                    f"a list has at most {MOST_VIEWS} views of one person.", hint="delete one first"
                )
            connection.execute(delete(saved_views).where(saved_views.c.id.in_(replaced)))
            connection.execute(
                insert(saved_views).values(
                    id="view_" + self._random(8).hex(),
                    person_id=person_id,
                    list=list_,
                    name=sealed[0],
                    query=sealed[1],
                    created_at=self._clock(),
                )
            )

    def delete(self, person_id: str | None, view_id: str) -> None:
        """Delete one of somebody's views.

        Raises:
            InputError: `not_found`, they have no such view.
        """
        this = delete(saved_views).where(saved_views.c.id == view_id, _theirs(person_id))
        with storage_errors(_WHAT), self._engine.begin() as connection:
            if not connection.execute(this).rowcount:
                raise InputError("there is no such view.", code="not_found")

    # -- inside ----------------------------------------------------------------------------------

    def _sealed(self, person_id: str | None, text: str) -> bytes:
        if person_id is None:
            return text.encode()
        return self._identifiers.seal(person_id, "view", text)

    def _opened(self, person_id: str | None, raw: bytes) -> str:
        if person_id is None:
            return raw.decode(errors="replace")
        try:
            return self._identifiers.open(person_id, "view", raw)
        except IntegrityError:  # a list is there to be read, whatever became of a view of it
            return ""

    def _view(self, row: DbRow) -> SavedView:
        name, query = (self._opened(row.person_id, one) for one in (row.name, row.query))
        return SavedView(row.id, row.list, name, dict(parse_qsl(query)), row.created_at)


def _theirs(person_id: str | None) -> ColumnElement[bool]:
    whose = saved_views.c.person_id
    return whose.is_(None) if person_id is None else whose == person_id
