"""The operator's pages about people, organisations and legal holds.

Rows: R6.
"""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from bailee.console.asking import Ask
from bailee.console.frame import PageTemplates
from bailee.console.owners import called
from bailee.console.parts import Parts
from bailee.console.privacy import archive, as_text
from bailee.console.views import asked_of, order_of, views_of
from bailee.db.pages import Order
from bailee.errors import InputError
from bailee.operations import erasure, holds, organisations, people
from bailee.operations import sessions as of_sessions
from bailee.operations.codec import LARGEST_PAGE, every
from bailee.operations.key_terms import MadeKey

_SHOWN = 200


class StaffPages:
    """The handlers of people, organisations and holds, each of which takes an `Ask`. The site calls
    them on its worker threads, several at once. It keeps nothing between requests. Whether somebody
    may is asked in the operations.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._parts = parts
        self._do = parts.do
        self._frame = frame

    def people(self, ask: Ask) -> Response:
        """Everybody."""
        return self._people(ask)

    def add_person(self, ask: Ask) -> Response:
        """A new person with a key; the choice about training stays theirs. Who is taken into an
        organisation has its plan, and no account of their own.
        """
        place = ask.form.get("organisation") or None
        try:
            made = self._do(
                ask,
                people.create,
                ask.given("email"),
                organisation=place,
                plan=ask.given("plan") if place is None else None,
            )
        except InputError as error:
            return self._people(ask, error=error)
        return self._people(ask, made=made)

    def person(self, ask: Ask) -> Response:
        """One person: what is known of them, by particulars."""
        return self._person(ask, None)

    def export(self, ask: Ask) -> Response:
        """A copy of all that is held about a person, for them."""
        return archive(self._parts, ask, ask.path["person"])

    def erase(self, ask: Ask) -> Response:
        """Erase a person; takes their id, typed."""
        person = ask.path["person"]
        if ask.form.get("confirmation", "").strip() != person:
            return self._person(ask, ask.words("erase.not_the_id"))
        erased = self._do(ask, erasure.erase, person)
        return self._frame.page(ask, "erased.html", erased=erased, signed=as_text(erased))

    def holds(self, ask: Ask) -> Response:
        """Legal holds."""
        return self._holds(ask, None)

    def place_hold(self, ask: Ask) -> Response:
        """Hold a session against destruction."""
        try:
            self._do(
                ask, holds.place, ask.given("reason"), **holds.named(ask.given("session").strip())
            )
        except InputError as error:
            return self._holds(ask, error)
        return RedirectResponse("/admin/holds", 303)

    def release_hold(self, ask: Ask) -> Response:
        """Release a hold; what it put off goes on by itself."""
        self._do(ask, holds.release, ask.given("hold"))
        return RedirectResponse("/admin/holds", 303)

    def organisations(self, ask: Ask) -> Response:
        """Every organisation."""
        return self._organisations(ask)

    def add_organisation(self, ask: Ask) -> Response:
        """A new organisation, with its first owner."""
        try:
            made = self._do(
                ask,
                organisations.create,
                ask.given("name"),
                ask.given("plan"),
                ask.form.get("owner", "").strip() or None,
            )
        except InputError as error:
            return self._organisations(ask, error)
        return RedirectResponse(f"/organisations/{made.organisation}", 303)

    # -- inside ----------------------------------------------------------------------------------

    def _person(self, ask: Ask, problem: str | None) -> Response:
        shown = self._do(ask, people.show, ask.path["person"])
        sessions = (
            self._do(ask, of_sessions.list_, shown.account, limit=50).items if shown.account else []
        )
        return self._frame.page(
            ask,
            "admin/person.html",
            200 if problem is None else 400,
            here="people",
            shown=shown,
            places=called(
                self._parts.node.registry, (one.organisation for one in shown.organisations)
            ),
            sessions=sessions,
            problem=problem,
        )

    def _holds(self, ask: Ask, error: InputError | None) -> Response:
        return self._frame.page(
            ask,
            "admin/holds.html",
            200 if error is None else error.http_status,
            here="holds",
            holds=self._do(ask, holds.list_)[::-1],
            session=ask.query.get("session", ""),
            problem=None if error is None else ask.words.of_error(error),
        )

    def _people(
        self, ask: Ask, *, made: MadeKey | None = None, error: InputError | None = None
    ) -> Response:
        wanted = ask.query.get("q", "").strip()
        order = order_of(ask, Order.OLDEST)
        after = ask.query.get("after") or None
        page = self._do(ask, people.list_, wanted, after, _SHOWN, order=order)
        return self._frame.page(
            ask,
            "admin/people.html",
            200 if error is None else error.http_status,
            here="people",
            people=page.items,
            next=page.next,
            wanted=wanted,
            asked=asked_of("people", ask.query),
            order=order,
            views=views_of(self._parts, ask, "people"),
            plans=list(self._parts.node.policy.plans),
            organisations=every(
                lambda after: self._do(ask, organisations.list_, after, LARGEST_PAGE)
            ),
            made=made,
            problem=None if error is None else ask.words.of_error(error),
        )

    def _organisations(self, ask: Ask, error: InputError | None = None) -> Response:
        plans = self._parts.node.policy.plans.values()
        page = self._do(ask, organisations.list_, ask.query.get("after") or None, _SHOWN)
        return self._frame.page(
            ask,
            "admin/organisations.html",
            200 if error is None else error.http_status,
            here="organisations",
            organisations=page.items,
            next=page.next,
            plans=[one.name for one in plans if one.segment == "commercial"],
            problem=None if error is None else ask.words.of_error(error),
        )
