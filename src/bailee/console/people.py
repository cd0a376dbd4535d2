"""Signing up, in and out, and a person's own account: keys, password, where they are signed in.

Rules kept here:

* New consumers choose about training while they sign up, with the notice before the choice and
  nothing chosen for them (T3).
* A key is shown once, on the answer to the form that made it, with on whose terms it is. Who has
  a part in more than one account says which is to pay; an organisation's stands first.

Rows: T3.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import RedirectResponse, Response

from bailee.console.arriving import Arriving, address_of
from bailee.console.asking import Ask
from bailee.console.frame import PageTemplates
from bailee.console.parts import Parts
from bailee.errors import InputError
from bailee.operations import keys, people, sign_ins
from bailee.operations.key_terms import MadeKey
from bailee.policy.notice import notice


class PeoplePages:
    """The handlers of signing up, in and out and of one's own account, each of which takes an
    `Ask`. The site calls them on its worker threads, several at once. It keeps nothing between
    requests, least of all a password or a key.
    """

    def __init__(self, parts: Parts, frame: PageTemplates, arriving: Arriving) -> None:
        self._parts = parts
        self._do = parts.do
        self._registry = parts.node.registry
        self._frame = frame
        self._arriving = arriving

    # -- coming and going ------------------------------------------------------------------------

    def sign_in_page(self, ask: Ask) -> Response:
        """The form; or, with a link's token, the operator's way in."""
        token = ask.query.get("token")
        if token is None:
            return self._arriving.sign_in_page(ask)
        if not self._registry.links.redeem(token):
            problem = ask.words("sign_in.link_gone")
            return self._arriving.sign_in_page(ask, problem=problem, status=401)
        return self._arriving.go(ask, None, "/")

    def sign_in(self, ask: Ask) -> Response:
        """Email and password."""
        try:
            person = self._registry.passwords.sign_in(
                ask.form.get("email", ""), ask.form.get("password", ""), address=address_of(ask)
            )
        except InputError as error:
            return self._arriving.sign_in_page(ask, error)
        return self._arriving.go(ask, person, self._arriving.first_page(ask, person))

    def sign_up_page(self, ask: Ask) -> Response:
        """The form, with the notice and the choice, and nothing chosen.

        Raises:
            InputError: `forbidden`, sign-up is closed.
        """
        if not self._registry.passwords.sign_up_plans:
            raise InputError(ask.words("sign_up.closed"), code="forbidden")
        return self._sign_up_form(ask, {}, None, 200)

    def sign_up(self, ask: Ask) -> Response:
        """A new person, with the choice that they made."""
        if not self._registry.passwords.sign_up_plans:
            raise InputError(ask.words("sign_up.closed"), code="forbidden")
        try:
            if not ask.form.get("plan"):
                raise InputError(ask.words("sign_up.choose_plan"))
            asks = self._asks(ask.form["plan"])
            if asks and ask.form.get("choice") not in ("allowed", "refused"):
                raise InputError(ask.words("sign_up.choose"))
            person, _ = self._registry.passwords.sign_up(
                ask.form.get("email", ""),
                ask.form.get("password", ""),
                choice=ask.form["choice"] if asks else None,
                language=ask.words.language,
                source="console",
                address=address_of(ask),
                plan=ask.form["plan"],
            )
        except InputError as error:
            problem = ask.words.of_error(error)
            return self._sign_up_form(ask, ask.form, problem, error.http_status)
        to = "/settings/privacy" if self._arriving.waits_for(ask) is None else "/device"
        return self._arriving.go(ask, person.person_id, to)

    def sign_out(self, ask: Ask) -> Response:
        """End this browser's session."""
        self._registry.web_sessions.end(ask.visitor.cookie)
        response = RedirectResponse("/", status_code=303)
        response.delete_cookie(self._parts.cookie, secure=self._parts.secure)
        return response

    # -- one's own account -----------------------------------------------------------------------

    def account(self, ask: Ask) -> Response:
        """Where one is signed in, and one's keys."""
        return self._account(ask)

    def end_session(self, ask: Ask) -> Response:
        """Sign out elsewhere."""
        self._registry.web_sessions.end_one(ask.person.person, ask.given("session"))
        return RedirectResponse("/settings/account", 303)

    def end_others(self, ask: Ask) -> Response:
        """Sign out everywhere but here."""
        self._registry.web_sessions.end_all(ask.person.person, but=ask.visitor.cookie)
        return RedirectResponse("/settings/account", 303)

    def end_clients(self, ask: Ask) -> Response:
        """Sign one client out, or `everything` that is signed in, this browser too."""
        client = ask.form.get("client") or None
        if client is None and ask.form.get("everything") != "yes":
            return self._account(ask, problem=ask.words("clients.say_which"), status=400)
        self._do(ask, sign_ins.end, ask.person.person, client=client)
        return RedirectResponse("/settings/account" if client else "/", 303)

    def set_password(self, ask: Ask) -> Response:
        """Change the password; every other session ends."""
        try:
            self._registry.passwords.set_password(
                ask.person.person,
                ask.form.get("new", ""),
                old=ask.form.get("old") or None,
                by=self._registry.authority.by_person(ask.person.person),
                address=address_of(ask),
                but=ask.visitor.cookie,
            )
        except InputError as error:
            return self._account(ask, problem=ask.words.of_error(error), status=error.http_status)
        return self._account(ask, said=ask.words("account.password_changed"))

    def make_key(self, ask: Ask) -> Response:
        """A new key of one's own, on the terms of the account that was chosen; shown here and never
        again.
        """
        place = ask.form.get("place") or self._only_place(ask)
        if place is None:
            return self._account(ask, problem=ask.words("keys.say_whose"), status=400)
        try:
            made = self._do(
                ask,
                keys.create,
                ask.form.get("name", "").strip() or ask.words("account.key_unnamed"),
                person=ask.person.person,
                ingest=ask.form.get("ingest") == "yes",
                own=place == "own",
                organisation=None if place == "own" else place,
            )
        except InputError as error:
            return self._account(ask, problem=ask.words.of_error(error), status=error.http_status)
        return self._account(ask, made=made)

    def revoke_key(self, ask: Ask) -> Response:
        """Revoke a key of one's own."""
        self._do(ask, keys.revoke, ask.given("key_id"))
        return RedirectResponse("/settings/account", 303)

    # -- inside ----------------------------------------------------------------------------------

    def _only_place(self, ask: Ask) -> str | None:
        places = self._do(ask, keys.places)
        return places[0].place if len(places) == 1 else None

    def _account(
        self,
        ask: Ask,
        *,
        made: MadeKey | None = None,
        said: str | None = None,
        problem: str | None = None,
        status: int = 200,
    ) -> Response:
        shown = self._do(ask, people.show, ask.person.person)
        current = self._registry.web_sessions.find(ask.visitor.cookie)
        return self._frame.page(
            ask,
            "account.html",
            status,
            here="account",
            shown=shown,
            current=current.session_id if current else None,
            places=self._do(ask, keys.places),
            clients=self._do(ask, sign_ins.list_, ask.person.person),
            gateway=self._parts.running.gateway,
            passkeys=self._registry.passkeys.of_person(ask.person.person),
            has_password=self._registry.people.get(ask.person.person).has_password,
            made=made,
            said=said,
            problem=problem,
        )

    def _asks(self, plan: str) -> bool:
        """Whether who signs up for a plan today is asked about training; the policy says."""
        return (
            plan in self._parts.node.policy.plans
            and self._registry.choices.asked_on_plan(plan).asks
        )

    def _sign_up_form(
        self, ask: Ask, given: Mapping[str, str], problem: str | None, status: int
    ) -> Response:
        policy, open_to = self._parts.node.policy, self._registry.passwords.sign_up_plans
        plans = [name for name in policy.plans if name in open_to]
        if not plans:  # another document has come to hold meanwhile
            raise InputError(ask.words("sign_up.closed"), code="forbidden")
        return self._frame.page(
            ask,
            "sign_up.html",
            status,
            here="sign_up",
            plans=plans,
            notice=notice(policy, plans[0], ask.words.language) if self._asks(plans[0]) else [],
            given={name: given.get(name, "") for name in ("email", "plan", "choice")},
            problem=problem,
        )
