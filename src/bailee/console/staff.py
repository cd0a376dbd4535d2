"""The operator's pages about people and organisations."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from bailee.console.asking import Ask
from bailee.console.frame import Frame
from bailee.console.parts import Parts
from bailee.errors import InputError


class Staff:
    """The handlers; each takes an `Ask`."""

    def __init__(self, parts: Parts, frame: Frame) -> None:
        self._parts = parts
        self._perform = parts.perform
        self._frame = frame

    def people(self, ask: Ask) -> Response:
        """Everybody."""
        return self._people(ask)

    def add_person(self, ask: Ask) -> Response:
        """A new person with a key; the choice about training stays theirs."""
        try:
            made = self._perform(
                "person.create", {"email": ask.given("email"), "plan": ask.given("plan")}
            )
        except InputError as error:
            return self._people(ask, error=error)
        return self._people(ask, made=made)

    def person(self, ask: Ask) -> Response:
        """One person: what is known of them, by particulars."""
        shown = self._perform("person.show", {"id": ask.path["person"]})
        sessions = (
            self._perform("sessions.list", {"owner": shown["account"]}) if shown["account"] else []
        )
        return self._frame.page(
            ask, "admin/person.html", here="people", shown=shown, sessions=sessions[:50]
        )

    def organisations(self, ask: Ask) -> Response:
        """Every organisation."""
        return self._organisations(ask)

    def add_organisation(self, ask: Ask) -> Response:
        """A new organisation, with its first owner."""
        try:
            made = self._perform(
                "organisation.create",
                {
                    "name": ask.given("name"),
                    "plan": ask.given("plan"),
                    "owner": ask.form.get("owner", "").strip() or None,
                },
            )
        except InputError as error:
            return self._organisations(ask, error)
        return RedirectResponse(f"/organisations/{made['organisation']}", 303)

    # -- inside ----------------------------------------------------------------------------------

    def _people(
        self, ask: Ask, *, made: object = None, error: InputError | None = None
    ) -> Response:
        wanted = ask.query.get("q", "").strip().lower()
        people = [
            one
            for one in self._perform("person.list", {})
            if wanted in (one["email"] or "").lower() or wanted in one["person"]
        ]
        return self._frame.page(
            ask,
            "admin/people.html",
            200 if error is None else error.http_status,
            here="people",
            people=people,
            wanted=wanted,
            plans=list(self._parts.policy.plans),
            made=made,
            problem=None if error is None else ask.words.of_error(error),
        )

    def _organisations(self, ask: Ask, error: InputError | None = None) -> Response:
        plans = self._parts.policy.plans.values()
        return self._frame.page(
            ask,
            "admin/organisations.html",
            200 if error is None else error.http_status,
            here="organisations",
            organisations=self._perform("organisation.list", {}),
            plans=[one.name for one in plans if one.segment == "commercial"],
            problem=None if error is None else ask.words.of_error(error),
        )
