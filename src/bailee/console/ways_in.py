"""Passkeys, and signing in through an organisation's provider, as the console offers them.

A passkey takes a script: the browser's `navigator.credentials` has no other door. The script
(`pages/passkey.js`) sends forms like any other, with the page's token, and gets JSON back. Without
it the pages work and offer the other ways in.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import orjson
from starlette.responses import RedirectResponse, Response

from bailee.accounts.ways_in import Arrived, OpenIdProvider, RelyingParty
from bailee.console.api import as_json
from bailee.console.arriving import Arriving, address_of
from bailee.console.asking import Ask
from bailee.console.cookies import read_cookie
from bailee.console.frame import PageTemplates
from bailee.console.parts import Parts
from bailee.errors import BaileeError, InputError

_PROVIDER_COOKIE = "bailee_provider"
_TEN_MINUTES = 600


class WaysIn:
    """The handlers of passkeys and providers, each of which takes an `Ask`. The site calls them on
    its worker threads, and those that wait for a provider on `outside`'s. What waits for an answer
    is kept by `accounts`; here is nothing.
    """

    def __init__(
        self,
        parts: Parts,
        frame: PageTemplates,
        arriving: Arriving,
        arrived: Callable[[str, Arrived], None],
    ) -> None:
        """`arrived` is told who came back from a provider for a client's sake, with the cookie of
        their session.
        """
        self._parts = parts
        self._registry = parts.node.registry
        self._frame = frame
        self._arriving = arriving
        self._arrived = arrived

    # -- passkeys --------------------------------------------------------------------------------

    def begin_passkey(self, ask: Ask) -> Response:
        """Options for `navigator.credentials.get`, as JSON."""
        passkeys, address = self._registry.passkeys, address_of(ask)
        return _said(ask, lambda: _begun(passkeys.begin(place=self._place(ask), address=address)))

    def passkey(self, ask: Ask) -> Response:
        """Sign in with what the authenticator answered."""
        try:
            person = self._registry.passkeys.sign_in(
                ask.given("token"),
                _credential(ask),
                place=self._place(ask),
                address=address_of(ask),
            )
        except BaileeError as error:
            return _refusal(ask, error)
        response = as_json({"to": self._arriving.first_page(ask, person)})
        self._arriving.welcome(ask, person, response)
        return response

    def begin_adding(self, ask: Ask) -> Response:
        """Options for `navigator.credentials.create`, as JSON."""
        person = ask.person.person
        actor = self._registry.authority.by_person(person)
        return _said(
            ask,
            lambda: _begun(
                self._registry.passkeys.begin_adding(person, place=self._place(ask), by=actor)
            ),
        )

    def add(self, ask: Ask) -> Response:
        """Keep the passkey that the authenticator made."""

        def keep() -> dict[str, object]:
            self._registry.passkeys.add(
                ask.given("token"),
                _credential(ask),
                name=ask.form.get("name", ""),
                place=self._place(ask),
                by=self._registry.authority.by_person(ask.person.person),
            )
            return {"to": "/settings/account"}

        return _said(ask, keep)

    def remove(self, ask: Ask) -> Response:
        """Remove a passkey of one's own."""
        person = ask.person.person
        actor = self._registry.authority.by_person(person)
        self._registry.passkeys.remove(person, ask.given("passkey"), by=actor)
        return RedirectResponse("/settings/account", 303)

    # -- an organisation's provider --------------------------------------------------------------

    def organisation(self, ask: Ask) -> Response:
        """Find the provider of an email's domain, and lead there.

        A page with a link, not a redirect: a form may lead nowhere else (`form-action`).
        """
        email = ask.form.get("email", "")
        try:
            provider = self._registry.providers.for_email(email)
            if provider is None:
                raise InputError(ask.words("sign_in.no_provider"), code="not_found")
            offline = self._arriving.waits_for(ask) is not None
            return self.lead(ask, provider, offline=offline)
        except BaileeError as error:
            return self._arriving.sign_in_page(ask, error)

    def lead(self, ask: Ask, provider: OpenIdProvider, *, offline: bool = True) -> Response:
        """Lead to a provider. `offline`: for a client whose sign-in is to be renewed.

        Raises:
            BaileeError: as `ProviderSignIn.begin`.
        """
        begun = self._registry.providers.begin(
            provider, redirect_uri=self._back(ask), address=address_of(ask), offline=offline
        )
        response = self._frame.page(ask, "leaving.html", here="sign_in", to=begun.url)
        response.set_cookie(
            self._parts.cookie_named(_PROVIDER_COOKIE),
            begun.cookie,
            max_age=_TEN_MINUTES,
            httponly=True,
            samesite="lax",
            secure=self._parts.secure,
        )
        return response

    def returned(self, ask: Ask) -> Response:
        """Back from the provider."""
        name = self._parts.cookie_named(_PROVIDER_COOKIE)
        cookie = read_cookie(ask.request, name)
        try:
            arrived = self._registry.providers.arrive(dict(ask.query), cookie=cookie)
        except BaileeError as error:
            return self._arriving.sign_in_page(ask, error)
        person = arrived.person_id
        response = RedirectResponse(self._arriving.first_page(ask, person), 303)
        session = self._arriving.welcome(ask, person, response)
        if arrived.offline:
            self._arrived(session, arrived)
        response.delete_cookie(name, secure=self._parts.secure)
        return response

    # -- inside ----------------------------------------------------------------------------------

    def _place(self, ask: Ask) -> RelyingParty:
        """The console as the browser calls it; the `Host` header is one of its names (`guard`)."""
        origin = self._origin(ask)
        return RelyingParty(urlsplit(origin).hostname or "", origin)

    def _back(self, ask: Ask) -> str:
        return self._origin(ask) + "/sign-in/organisation/return"

    def _origin(self, ask: Ask) -> str:
        return self._parts.names.origin(ask.request.headers["host"])


def _credential(ask: Ask) -> dict[str, object]:
    try:
        value = orjson.loads(ask.form.get("credential", ""))
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise InputError("this is not a credential.")
    return value


def _begun(begun: tuple[str, dict[str, object]]) -> dict[str, object]:
    token, options = begun
    return {"token": token, "options": options}


def _said(ask: Ask, answer: Callable[[], dict[str, object]]) -> Response:
    try:
        return as_json(answer())
    except BaileeError as error:
        return _refusal(ask, error)


def _refusal(ask: Ask, error: BaileeError) -> Response:
    return as_json({"said": ask.words.of_error(error)}, error.http_status)
