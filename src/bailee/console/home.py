"""The first page."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from bailee.console.admin import Admin
from bailee.console.arriving import Arriving
from bailee.console.asking import Ask


class HomePage:
    """The handler of the first page; it takes an `Ask`, on the site's worker threads. It shows
    nothing itself: it calls another handler, or sends the visitor on.
    """

    def __init__(self, arriving: Arriving, admin: Admin) -> None:
        self._arriving = arriving
        self._admin = admin

    def first(self, ask: Ask) -> Response:
        """What the visitor came for: the operator's overview, a person's privacy, or signing in."""
        if ask.visitor.operator:
            return self._admin.overview(ask)
        if ask.visitor.person is not None:
            return RedirectResponse("/settings/privacy", 303)
        return self._arriving.sign_in_page(ask, status=401)
