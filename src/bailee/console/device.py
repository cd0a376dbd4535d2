"""The page on which a person confirms that a client of theirs may sign in (RFC 8628, 3.3).

Rules kept here:

* A code in the address is shown and never sent by itself: it may be somebody else's, in a link that
  was sent to this person. What is shown is the code, which client it is, and from where it came.
* Whose terms the client will work on is chosen here, from the accounts that the person has a part
  in, and each says what it means. Nothing is chosen for who has several.
* Who belongs to an organisation by its provider proves it there first, within the last ten minutes,
  and in this browser.
* A code that was begun with is held for ten minutes in a cookie, so that signing in leads back.

Rows: O1, T1.
"""

from __future__ import annotations

import json
import re
from typing import Final

from starlette.responses import Response

from bailee.accounts import Account, PeopleRegistry
from bailee.accounts.device_grants import normal
from bailee.accounts.pending import LASTS, PendingKind
from bailee.accounts.sign_ins import ConfirmedSignIn
from bailee.accounts.ways_in import Arrived, OpenIdProvider
from bailee.console.arriving import DEVICE_COOKIE, address_of
from bailee.console.asking import Ask
from bailee.console.frame import PageTemplates
from bailee.console.parts import Parts
from bailee.console.ways_in import WaysIn
from bailee.errors import BaileeError, InputError
from bailee.json_values import members, text
from bailee.operations import activation, keys
from bailee.operations.keys import KeyPlace

_CODE: Final = re.compile(r"[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}")
_ARRIVAL: Final = PendingKind("arrival", 10)


class FreshArrivals:
    """Who has just come back from their organisation's provider, with what it gave: by the session
    that began with it. The site makes one; handlers call it on any thread. What waits opens with
    that session's cookie, for ten minutes, once (`accounts.pending`).
    """

    def __init__(self, registry: PeopleRegistry) -> None:
        self._registry = registry

    def put(self, cookie: str, arrived: Arrived) -> None:
        """Hold it for the session of this cookie, which has just begun."""
        person_id = arrived.person_id
        content = json.dumps({"provider": arrived.provider.as_json(), "token": arrived.token})
        self._registry.pending.put(_ARRIVAL, cookie, content, asker=person_id, person_id=person_id)

    def take(self, cookie: str, person_id: str, provider: OpenIdProvider) -> Arrived | None:
        """What that session's person brought from this provider; None: nothing (any more)."""
        taken = self._registry.pending.take(_ARRIVAL, cookie)
        if taken is None or taken.person_id != person_id:
            return None
        said = members(json.loads(taken.content))
        if OpenIdProvider.of_json(members(said["provider"])) != provider:
            return None
        token = said["token"]
        return Arrived(person_id, provider, True, None if token is None else text(token))


class DevicePages:
    """The handlers, each of which takes an `Ask`. The site calls them on its worker threads, and
    the one that may wait for a provider on `outside`'s. They make no token.
    """

    def __init__(
        self, parts: Parts, frame: PageTemplates, ways_in: WaysIn, arrivals: FreshArrivals
    ) -> None:
        self._parts = parts
        self._registry = parts.node.registry
        self._frame = frame
        self._ways_in = ways_in
        self._arrivals = arrivals

    def page(self, ask: Ask) -> Response:
        """Which client asks, and on whose terms it may work."""
        given = ask.query.get("user_code", "")
        code = normal(given) if given else ""
        if ask.visitor.person is None:
            return self._remember(self._page(ask, "first", code=code), code)
        if not code:
            return self._page(ask, "code")
        try:
            return self._remember(self._confirm(ask, code), code)
        except InputError as error:
            return self._page(ask, "code", code=code, error=error)

    def answer(self, ask: Ask) -> Response:
        """Confirm or deny."""
        code, grants = ask.given("user_code"), self._registry.device_grants
        try:
            grants.look(code, address=address_of(ask))
            if ask.form.get("do") != "approve":
                grants.deny(code)
                return self._forget(self._page(ask, "denied"))
            account = self._chosen(ask)
            provider = self._registry.sign_ins.provider_for(ask.person.person, account)
            if provider is None:
                confirmed = ConfirmedSignIn(ask.person.person, account.account_id)
            else:
                arrived = self._arrivals.take(ask.visitor.cookie, ask.person.person, provider)
                if arrived is None:
                    return self._remember(self._ways_in.lead(ask, provider), normal(code))
                confirmed = ConfirmedSignIn(
                    ask.person.person, account.account_id, provider, arrived.token
                )
            grants.approve(code, confirmed)
        except InputError as error:
            return self._page(ask, "code", code=normal(code), error=error)
        lasting = confirmed.provider is None or confirmed.token is not None
        return self._forget(self._page(ask, "approved" if lasting else "approved_shortly"))

    # -- inside ----------------------------------------------------------------------------------

    def _chosen(self, ask: Ask) -> Account:
        places = self._places(ask)
        place = ask.form.get("place") or (places[0].place if len(places) == 1 else "")
        chosen = next((one for one in places if one.place == place), None)
        if chosen is None:
            raise InputError(ask.words("keys.say_whose"))
        return self._registry.accounts.get(chosen.terms.account)

    def _places(self, ask: Ask) -> list[KeyPlace]:
        return self._parts.do(ask, keys.places)

    def _confirm(self, ask: Ask, code: str) -> Response:
        waiting = self._registry.device_grants.look(code, address=address_of(ask))
        own = ask.person.account
        due = own is not None and self._registry.choices.asked(own).asks
        places = self._places(ask)
        changed = bool(self._parts.do(ask, activation.notices))
        return self._page(
            ask,
            "confirm",
            code=waiting.user_code,
            waiting=waiting,
            places=places,
            due=due,
            changed=changed,
        )

    def _page(
        self,
        ask: Ask,
        step: str,
        *,
        code: str = "",
        error: BaileeError | None = None,
        **values: object,
    ) -> Response:
        status = 200 if error is None else error.http_status
        shown = {"waiting": None, "places": [], "due": False, "changed": False, **values}
        problem = None if error is None else ask.words.of_error(error)
        return self._frame.page(
            ask, "device.html", status, here="", step=step, code=code, problem=problem, **shown
        )

    def _remember(self, response: Response, code: str) -> Response:
        if _CODE.fullmatch(code):
            response.set_cookie(
                self._parts.cookie_named(DEVICE_COOKIE),
                code,
                max_age=int(LASTS.total_seconds()),
                httponly=True,
                samesite="lax",
                secure=self._parts.secure,
            )
        return response

    def _forget(self, response: Response) -> Response:
        response.delete_cookie(self._parts.cookie_named(DEVICE_COOKIE), secure=self._parts.secure)
        return response
