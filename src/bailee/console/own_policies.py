"""An organisation's own document as a page: its members see it, its owners and the operator change
it.

Rules kept here:

* A document is shown with what it would change before it can be let hold: its form says against
  which one it was compared.
* Who may change it is the operation's to say. The page offers it to who may.

Rows: P1, P3.
"""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from bailee.console.asking import Ask
from bailee.console.frame import PageTemplates
from bailee.console.parts import Parts
from bailee.errors import InputError
from bailee.operations import organisations, own_policies
from bailee.operations.own_policies import OwnTrial


class OwnPolicyPages:
    """The handlers of an organisation's own document, each of which takes an `Ask`. The site calls
    them on its worker threads, several at once. It keeps nothing between requests.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._do = parts.do
        self._frame = frame

    def page(self, ask: Ask) -> Response:
        """What it says, and what holds."""
        return self._page(ask)

    def compare(self, ask: Ask) -> Response:
        """What another would change; without one, what removing it would."""
        document = _document(ask)
        try:
            trial = self._do(
                ask,
                own_policies.try_own,
                ask.path["organisation"],
                document or None,
                ask.words.language,
            )
        except InputError as error:
            return self._page(ask, document, error=error)
        return self._page(ask, document, trial)

    def change(self, ask: Ask) -> Response:
        """Let hold what was compared, for a reason."""
        organisation, document = ask.path["organisation"], _document(ask)
        against = ask.form.get("against")
        try:
            if document:
                self._do(ask, own_policies.set_own, organisation, document, against=against)
            else:
                self._do(ask, own_policies.remove, organisation, against=against)
        except InputError as error:
            return self._page(ask, document, error=error)
        return RedirectResponse(f"/organisations/{organisation}/policy", 303)

    def _page(
        self,
        ask: Ask,
        document: str = "",
        trial: OwnTrial | None = None,
        error: InputError | None = None,
    ) -> Response:
        organisation = ask.path["organisation"]
        person = ask.visitor.person
        owns = any(
            one.organisation == organisation and one.role == "owner"
            for one in (person.memberships if person else ())
        )
        shown = self._do(ask, own_policies.show, organisation)
        return self._frame.page(
            ask,
            "own_policy.html",
            200 if error is None else error.http_status,
            here=organisation,
            shown=shown,
            name=self._do(ask, organisations.show, organisation).name,
            may_change=ask.visitor.operator or owns,
            document=document,
            trial=trial,
            problem=None if error is None else ask.words.of_error(error),
        )


def _document(ask: Ask) -> str:
    """A document that was sent with a form, with its lines ending as in a file."""
    return ask.form.get("document", "").replace("\r\n", "\n")
