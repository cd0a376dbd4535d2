"""Pages of what was found: a person's own sessions by their words, and for a reason another's.

Rule kept here: what is looked for is sent as a form. It stands in no address, and so in no history,
bookmark or log of a server on the way.

Rows: O8.
"""

from __future__ import annotations

from starlette.responses import Response

from bailee.accounts import Account
from bailee.console.asking import Ask
from bailee.console.frame import PageTemplates
from bailee.console.parts import Parts
from bailee.errors import InputError
from bailee.operations import searching


class SearchPages:
    """The handlers of searches, each of which takes an `Ask`. The site calls them on its worker
    threads, several at once. It keeps nothing between requests.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._do = parts.do
        self._frame = frame

    def own(self, ask: Ask) -> Response:
        """The person's own sessions in which what they ask for was said."""
        account = self._account(ask)
        return self._page(ask, "search.html", "privacy", account.account_id)

    def form(self, ask: Ask) -> Response:
        """The form for that alone."""
        return self._frame.page(ask, "search.html", here="privacy", words="", found=None)

    def staff(self, ask: Ask) -> Response:
        """An account's, for a reason that goes on record first."""
        ask.given("reason")
        return self._page(ask, "admin/search.html", "sessions", ask.given("account"))

    def _page(self, ask: Ask, template: str, here: str, owner: str) -> Response:
        words = ask.given("words")
        found = self._do(ask, searching.search, words, owner, after=ask.form.get("after") or None)
        return self._frame.page(
            ask,
            template,
            here=here,
            words=words,
            account=owner,
            reason=ask.form.get("reason", ""),
            found=found,
            goes_on=bool(ask.form.get("after")),
        )

    @staticmethod
    def _account(ask: Ask) -> Account:
        account = ask.person.account
        if account is None:
            raise InputError(ask.words("search.no_account"), code="not_found")
        return account
