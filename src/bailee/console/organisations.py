"""An organisation's page: who is in it, its keys, and the partner programme.

Rules kept here:

* Joining the partner programme takes the organisation's name, typed by an admin or owner; leaving
  takes a click (T6). A member sees how it stands and can change nothing.

Rows: T5, T6.
"""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from bailee.accounts.organisations import role_named
from bailee.console.asking import Ask
from bailee.console.frame import PageTemplates
from bailee.console.label import label
from bailee.console.parts import Parts
from bailee.errors import InputError
from bailee.operations import increases, keeping, keys, organisations, provisioning
from bailee.policy.document import Clause


class OrganisationPages:
    """The handlers of one organisation's page, each of which takes an `Ask`. The site calls them on
    its worker threads, several at once. It keeps nothing between requests, and decides nobody's
    role.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._parts = parts
        self._do = parts.do
        self._frame = frame

    def page(self, ask: Ask) -> Response:
        """Members, label, keys and programme."""
        return self._page(ask)

    def set_role(self, ask: Ask) -> Response:
        """Take a person in, or give one another role."""
        try:
            person, role = ask.given("person").strip(), role_named(ask.given("role"))
            self._do(ask, organisations.member, ask.path["organisation"], person, role)
        except InputError as error:
            return self._page(ask, error)
        return self._back(ask)

    def remove(self, ask: Ask) -> Response:
        """Let a person go."""
        try:
            self._do(
                ask, organisations.remove_member, ask.path["organisation"], ask.given("person")
            )
        except InputError as error:
            return self._page(ask, error)
        return self._back(ask)

    def revoke_key(self, ask: Ask) -> Response:
        """Revoke a key of the organisation, whoever made it."""
        try:
            self._do(ask, keys.revoke, ask.given("key_id"))
        except InputError as error:
            return self._page(ask, error)
        return self._back(ask)

    def keeping(self, ask: Ask) -> Response:
        """Whether its sessions may be kept beyond their time."""
        account = self._parts.node.registry.organisations.account(ask.path["organisation"])
        forbidden = ask.given("forbidden") == "yes"
        self._do(ask, keeping.forbid, account.account_id, forbidden)
        return self._back(ask)

    def bind_provider(self, ask: Ask) -> Response:
        """Let the people of a domain sign in through the organisation's provider."""
        try:
            self._do(
                ask,
                organisations.provider,
                ask.path["organisation"],
                domain=ask.given("domain"),
                issuer=ask.given("issuer").strip(),
                client_id=ask.given("client_id").strip(),
                secret_env=ask.form.get("secret_env", "").strip() or None,
            )
        except InputError as error:
            return self._page(ask, error)
        return RedirectResponse(f"/organisations/{ask.path['organisation']}#provider", 303)

    def make_scim_token(self, ask: Ask) -> Response:
        """A token for the organisation's provider; shown here and never again."""
        try:
            made = self._do(ask, provisioning.add, ask.path["organisation"])
        except InputError as error:
            return self._page(ask, error)
        return self._page(ask, made=made)

    def remove_scim_token(self, ask: Ask) -> Response:
        """End one of these."""
        try:
            self._do(ask, provisioning.remove, ask.given("token"))
        except InputError as error:
            return self._page(ask, error)
        return self._back(ask)

    def partner_page(self, ask: Ask) -> Response:
        """What joining means, and the form to type the name into."""
        return self._partner(ask, None)

    def join(self, ask: Ask) -> Response:
        """Join the partner programme."""
        try:
            self._do(
                ask,
                organisations.join_partners,
                ask.path["organisation"],
                confirmation=ask.form.get("confirmation", ""),
                language=ask.words.language,
            )
        except InputError as error:
            return self._partner(ask, error)
        return self._back(ask)

    def leave(self, ask: Ask) -> Response:
        """Leave it again."""
        self._do(
            ask,
            organisations.leave_partners,
            ask.path["organisation"],
            language=ask.words.language,
        )
        return self._back(ask)

    # -- inside ----------------------------------------------------------------------------------

    def _back(self, ask: Ask) -> Response:
        return RedirectResponse(f"/organisations/{ask.path['organisation']}", 303)

    def _page(
        self,
        ask: Ask,
        error: InputError | None = None,
        *,
        made: provisioning.MadeScimToken | None = None,
    ) -> Response:
        shown = self._do(ask, organisations.show, ask.path["organisation"])
        account = self._parts.node.registry.organisations.account(ask.path["organisation"])
        person = ask.visitor.person
        mine = [
            one
            for one in (person.memberships if person else ())
            if one.organisation == shown.organisation
        ]
        return self._frame.page(
            ask,
            "organisation.html",
            200 if error is None else error.http_status,
            here=shown.organisation,
            shown=shown,
            may_keep=ask.visitor.operator or any(one.administers for one in mine),
            may_join=any(one.administers for one in mine),
            role=mine[0].role if mine else None,
            waiting=self._do(ask, increases.waiting).get(shown.organisation, 0),
            no_keeping=account.no_keeping,
            tokens=self._tokens(ask) if ask.visitor.operator else None,
            provider=self._parts.node.registry.providers.of_organisation(shown.organisation)
            if ask.visitor.operator
            else None,
            made=made,
            console=self._parts.names.url,
            privacy_label=label(
                self._parts.node.policy_of(account),
                account,
                self._parts.running,
                ask.words.language,
            ),
            problem=None if error is None else ask.words.of_error(error),
        )

    def _tokens(self, ask: Ask) -> list[provisioning.ScimToken]:
        return self._do(ask, provisioning.list_, ask.path["organisation"])

    def _partner(self, ask: Ask, error: InputError | None) -> Response:
        shown = self._do(ask, organisations.show, ask.path["organisation"])
        return self._frame.page(
            ask,
            "partner.html",
            200 if error is None else error.http_status,
            here=shown.organisation,
            shown=shown,
            clauses=self._clauses(),
            problem=None if error is None else ask.words.of_error(error),
        )

    def _clauses(self) -> list[Clause]:
        document = self._parts.node.policy.document
        return [
            one for one in document.every_clause if "T6" in one.rows or one.heading == "partner"
        ]
