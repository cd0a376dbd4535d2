"""The first page, and the operator's single-use link."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from bailee.console.admin import Admin
from bailee.console.asking import Ask
from bailee.console.frame import Frame
from bailee.console.parts import Parts
from bailee.console.sign_in import SESSION_LASTS

OPERATOR_COOKIE = "bailee_console"


class Home:
    """The handlers; each takes an `Ask`."""

    def __init__(self, parts: Parts, frame: Frame, admin: Admin) -> None:
        self._parts = parts
        self._frame = frame
        self._admin = admin

    def first(self, ask: Ask) -> Response:
        """What the visitor came for: the operator's overview, a person's privacy, or signing in."""
        if ask.visitor.operator:
            return self._admin.overview(ask)
        return self._frame.page(ask, "signed_out.html", 401)

    def sign_in(self, ask: Ask) -> Response:
        """Redeem a link."""
        cookie = self._parts.sign_in.redeem(ask.query.get("token", ""))
        if cookie is None:
            return self._frame.page(ask, "signed_out.html", 401)
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(
            OPERATOR_COOKIE,
            cookie,
            max_age=int(SESSION_LASTS.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=self._parts.secure,
        )
        return response

    def sign_out(self, ask: Ask) -> Response:
        """End every session that this browser has here."""
        self._parts.sign_in.end(ask.request.cookies.get(OPERATOR_COOKIE))
        response = RedirectResponse("/", status_code=303)
        response.delete_cookie(OPERATOR_COOKIE)
        return response
