"""What happens when someone has proved who they are, whichever way they came."""

from __future__ import annotations

import re

from starlette.responses import RedirectResponse, Response

from bailee.console.asking import Ask
from bailee.console.cookies import read_cookie
from bailee.console.frame import PageTemplates
from bailee.console.parts import Parts
from bailee.errors import BaileeError

_LASTS = 14 * 86_400
DEVICE_COOKIE = "bailee_device"
"""The code of a client that waits to be confirmed (`device`): who signs in goes on there."""
_CODE = re.compile(r"[A-Z]{4}-[A-Z]{4}")


class Arriving:
    """Begins sessions, and says where to go first. The handlers that have found out who somebody is
    call it, on the site's worker threads. It never checks a password or a key itself, and keeps
    nothing.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._parts = parts
        self._registry = parts.node.registry
        self._frame = frame

    def first_page(self, ask: Ask, person: str) -> str:
        """Where a person goes after signing in: to the client that waits for them, if one does; to
        the choice, while it is open (T3); an operator to how it stands.
        """
        if (code := self.waits_for(ask)) is not None:
            return f"/device?user_code={code}"
        if self._registry.people.get(person).operator:
            return "/"
        account = self._registry.accounts.of_person(person)
        asked = account is not None and self._registry.choices.asked(account).asks
        return "/settings/choice" if asked else "/settings/privacy"

    def waits_for(self, ask: Ask) -> str | None:
        """The code of the client for which this browser was sent to sign in, if it was."""
        code = read_cookie(ask.request, self._parts.cookie_named(DEVICE_COOKIE)) or ""
        return code if _CODE.fullmatch(code) else None

    def go(self, ask: Ask, person: str | None, to: str) -> Response:
        """Sign a person in (None: the operator) and send them on."""
        response = RedirectResponse(to, status_code=303)
        self.welcome(ask, person, response)
        return response

    def welcome(self, ask: Ask, person: str | None, response: Response) -> str:
        """Begin a session, and give its cookie with a response; that cookie."""
        cookie = self._registry.web_sessions.begin(
            person,
            client=ask.request.headers.get("user-agent"),
            instead_of=read_cookie(ask.request, self._parts.cookie),
        )
        response.set_cookie(
            self._parts.cookie,
            cookie,
            max_age=_LASTS,
            httponly=True,
            samesite="lax",
            secure=self._parts.secure,
        )
        return cookie

    def sign_in_page(
        self,
        ask: Ask,
        error: BaileeError | None = None,
        *,
        problem: str | None = None,
        status: int = 200,
    ) -> Response:
        """The page with every way in; with an error, its words and status."""
        return self._frame.page(
            ask,
            "sign_in.html",
            status if error is None else error.http_status,
            here="sign_in",
            problem=problem if error is None else ask.words.of_error(error),
            email=ask.form.get("email", ""),
        )


def address_of(ask: Ask) -> str:
    """Where a request came from; attempts to sign in are counted by it."""
    client = ask.request.client
    return client.host if client else ""
