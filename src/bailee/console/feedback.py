"""Bug reports: the sender's own pages, the operator's triage; and the survey's results.

An operator sees what is known of a report, never what is in it, until they give a reason; that goes
on record first. The draft of a public issue is shown with the content, to be edited and filed.

Rows: F2, F3, F4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from bailee.blocks import Block, Spoken, spoken
from bailee.console.asking import Ask
from bailee.console.frame import PageTemplates
from bailee.console.parts import Parts
from bailee.console.shares import WeekShares, shares
from bailee.errors import BaileeError, InputError
from bailee.operations import feedback

_SHOWN = 200
_LONGEST = 200_000
_STATES = ("open", "linked", "closed")


class FeedbackPages:
    """The handlers of reports and of the survey, each of which takes an `Ask`. The site calls them
    on its worker threads, several at once; `file`, which waits for another's server, on those for
    that. It keeps nothing between requests.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._parts = parts
        self._do = parts.do
        self._frame = frame

    # -- one's own -------------------------------------------------------------------------------

    def own(self, ask: Ask) -> Response:
        """One of the person's own reports, with what is in it."""
        report = self._do(ask, feedback.show, ask.path["report"])
        return self._frame.page(
            ask,
            "report.html",
            here="privacy",
            report=report,
            content=readable(report.content or {}),
        )

    def withdraw(self, ask: Ask) -> Response:
        """Withdraw one; the receipt is on the page that follows."""
        self._do(ask, feedback.withdraw, ask.path["report"])
        return RedirectResponse("/settings/privacy#receipts", 303)

    # -- triage ----------------------------------------------------------------------------------

    def reports(self, ask: Ask) -> Response:
        """Every report by its particulars, those of one state if one is asked for."""
        state = ask.query.get("state")
        state = state if state in _STATES else None
        after = ask.query.get("after") or None
        found = self._do(ask, feedback.list_, state=state, all=True, after=after, limit=_SHOWN)
        return self._frame.page(
            ask,
            "admin/feedback.html",
            here="feedback",
            reports=found.items,
            next=found.next,
            total=found.total,
            state=state,
            states=_STATES,
        )

    def report(self, ask: Ask) -> Response:
        """One report's particulars."""
        return self._report(ask)

    def read(self, ask: Ask) -> Response:
        """A report's content, for a reason that goes on record first; with the issue's draft."""
        report = self._found(ask)
        ask.given("reason")
        shown = self._do(ask, feedback.show, report.id, all=True)
        return self._report(ask, content=readable(shown.content or {}), draft=self._draft(ask))

    def change(self, ask: Ask) -> Response:
        """Link a report to an issue, close it, or open it again."""
        try:
            self._do(
                ask,
                feedback.set_,
                ask.path["report"],
                ask.given("state"),
                ask.form.get("issue", "").strip() or None,
            )
        except InputError as error:
            return self._report(ask, error)
        return RedirectResponse(f"/admin/feedback/{ask.path['report']}", 303)

    def file(self, ask: Ask) -> Response:
        """File the draft, as it was edited, as a public issue."""
        try:
            self._do(
                ask,
                feedback.file,
                ask.path["report"],
                title=ask.given("title"),
                body=ask.given("body"),
            )
        except BaileeError as error:
            return self._report(ask, error)
        return RedirectResponse(f"/admin/feedback/{ask.path['report']}", 303)

    # -- the survey ------------------------------------------------------------------------------

    def survey(self, ask: Ask) -> Response:
        """The answers' distribution over time, as a picture and as tables."""
        found, words = self._do(ask, feedback.results), ask.words
        language = words.language
        names = [
            (answer, words("survey.dismissed") if answer == "dismissed" else answer)
            for answer in found.answers
        ]
        weeks = [WeekShares(one.week, one.counts, one.total) for one in found.weeks]
        # Made here from numbers and days, every text escaped: markup of our own.
        picture = Markup(shares(weeks, names, words))  # noqa: S704
        return self._frame.page(
            ask,
            "admin/survey.html",
            here="feedback",
            found=found,
            names=names,
            picture=picture,
            question=self._parts.node.policy.document.survey.question.of(language),
        )

    # -- inside ----------------------------------------------------------------------------------

    def _found(self, ask: Ask) -> feedback.OpenedReport:
        """The report in the address by its particulars.

        Raises:
            InputError: `not_found`, in the reader's language.
        """
        try:
            return self._do(ask, feedback.show, ask.path["report"], content=False, all=True)
        except InputError as error:
            if error.code != "not_found":
                raise
            raise InputError(ask.words("feedback.gone"), code="not_found") from None

    def _draft(self, ask: Ask) -> feedback.IssueProposal | None:
        """The draft of a public issue, where there is a repository for it."""
        try:
            return self._do(ask, feedback.draft, ask.path["report"])
        except InputError as error:
            if error.code != "not_set_up":
                raise
            return None

    def _report(
        self,
        ask: Ask,
        error: BaileeError | None = None,
        *,
        content: list[dict[str, object]] | None = None,
        draft: feedback.IssueProposal | None = None,
    ) -> Response:
        return self._frame.page(
            ask,
            "admin/report.html",
            200 if error is None else error.http_status,
            here="feedback",
            report=self._found(ask),
            content=content,
            draft=draft,
            problem=None if error is None else ask.words.of_error(error),
        )


def readable(content: Mapping[str, object]) -> list[dict[str, object]]:
    """A report's parts as pages show them: messages where they are messages, else text. What is
    very long is cut, and says so.
    """
    return [_part(name, value) for name, value in content.items()]


def _part(name: str, value: object) -> dict[str, object]:
    if isinstance(value, list) and all(isinstance(one, dict) and "role" in one for one in value):
        messages, left = [], _LONGEST
        for role, said, marks in spoken(value):
            if left <= 0:
                break
            blocks = []
            for label, text in said:
                blocks.append(Block(_clean(label), _clean(text[: max(left, 0)])))
                left -= len(text)
            messages.append(Spoken(_clean(role), blocks, _clean(marks[: max(left, 0)])))
            left -= len(marks)
        return {"name": name, "messages": messages, "text": "", "cut": left < 0}
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    cut = len(text) > _LONGEST
    return {"name": name, "messages": [], "text": _clean(text[:_LONGEST]), "cut": cut}


def _clean(text: str) -> str:
    """Without what a client left of a character that it cut in two."""
    return text.encode("utf-8", "replace").decode()
