"""The operator's page on which many people come at once, from a list that is pasted.

What is done with a row, and to whom it is refused, the operation says (`operations.importing`); a
trial looks at the same. A page takes as many rows as the operation does at once: people wait for
it. Longer lists go by the terminal, a part after the other.

Rows: P3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from bailee import sheets
from bailee.console.asking import Ask
from bailee.console.frame import PageTemplates
from bailee.console.parts import Parts
from bailee.errors import InputError
from bailee.operations import importing, organisations
from bailee.operations.codec import LARGEST_PAGE, every
from bailee.operations.importing import MOST, ImportedRow, ImportRow

_COLUMNS: Final = ("email", "plan", "organisation", "role")


class BringingPages:
    """The handlers of that page, each of which takes an `Ask`. The site calls them on its worker
    threads, several at once. It keeps nothing between requests, least of all the list.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._do = parts.do
        self._frame = frame

    def page(self, ask: Ask) -> Response:
        """The form."""
        return self._page(ask)

    def bring(self, ask: Ask) -> Response:
        """What would be done with the list, or what was."""
        place = ask.form.get("organisation", "")
        try:
            given = [*sheets.read(ask.given("list"), _COLUMNS, most=MOST)]
        except InputError as error:
            return self._page(ask, error=error)
        rows = [ImportRow(**{"email": "", "organisation": place, **one}) for one in given]
        trial = ask.form.get("act") != "do"
        done = self._do(ask, importing.bring, rows, dry_run=trial).rows
        return self._page(ask, done)

    def _page(
        self, ask: Ask, done: Sequence[ImportedRow] = (), error: InputError | None = None
    ) -> Response:
        return self._frame.page(
            ask,
            "admin/bring.html",
            200 if error is None else error.http_status,
            here="people",
            given=ask.form.get("list", ""),
            place=ask.form.get("organisation", ""),
            acted=ask.form.get("act") == "do",
            done=done,
            most=MOST,
            organisations=every(
                lambda after: self._do(ask, organisations.list_, after, LARGEST_PAGE)
            ),
            problem=None if error is None else ask.words.of_error(error),
        )
