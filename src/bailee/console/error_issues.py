"""The operator's pages of errors: the issues, and one of them with its stack and what became of it.

Rows: S2.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from starlette.responses import RedirectResponse, Response

from bailee.console import plots
from bailee.console.asking import Ask
from bailee.console.frame import PageTemplates, drawn
from bailee.console.parts import Parts
from bailee.console.plots import PlotWords, Series
from bailee.errors import InputError
from bailee.operations import telemetry
from bailee.telemetry.error_queries import IssueDay

STATES: Final = ("open", "resolved", "muted")
_SHOWN: Final = 200


class ErrorIssues:
    """The handlers of error issues, each of which takes an `Ask`. The site calls them on its worker
    threads, several at once. It keeps nothing between requests; all it shows comes from operations.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._do = parts.do
        self._frame = frame

    def page(self, ask: Ask) -> Response:
        """The issues of a state, the one that was seen last first."""
        state = ask.query.get("state", "open")
        found = self._do(
            ask,
            telemetry.issues,
            state=None if state == "all" else state,
            after=ask.query.get("after") or None,
            limit=_SHOWN,
        )
        counts = {one: found.states.get(one, 0) for one in STATES}
        counts["all"] = sum(counts.values())
        (to,) = (one.to for one in self._do(ask, telemetry.destinations) if one.flow == "errors")
        return self._frame.page(
            ask,
            "admin/errors.html",
            here="errors",
            state=state,
            states=[*STATES, "all"],
            counts=counts,
            elsewhere=None if to.startswith("store") else to,
            issues=found.items,
            next=found.next,
            total=counts.get(state, 0),
            trend=lambda issue: drawn(
                plots.trend([day.count for day in issue.trend], _trend_in_words(ask, issue.trend))
            ),
        )

    def issue(self, ask: Ask) -> Response:
        """One issue."""
        return self._issue(ask, None)

    def change(self, ask: Ask) -> Response:
        """Resolve, mute or open an issue."""
        issue = ask.path["issue"]
        try:
            self._do(
                ask,
                telemetry.decide,
                issue,
                ask.given("state"),
                ask.form.get("release", "").strip() or None,
            )
        except InputError as error:
            return self._issue(ask, error)
        return RedirectResponse(f"/admin/errors/{issue}", 303)

    def _issue(self, ask: Ask, error: InputError | None) -> Response:
        found = self._do(ask, telemetry.issue, ask.path["issue"])
        words, days = ask.words, found.trend
        moments = [datetime.fromisoformat(day.day) for day in days]
        series = [Series(words("errors.events"), [float(day.count) for day in days])]
        said = PlotWords("days", words("errors.days"), _trend_in_words(ask, days))
        return self._frame.page(
            ask,
            "admin/error.html",
            200 if error is None else error.http_status,
            here="errors",
            issue=found,
            picture=drawn(plots.stack(moments, series, said)),
            problem=None if error is None else words.of_error(error),
        )


def _trend_in_words(ask: Ask, days: Sequence[IssueDay]) -> str:
    counts = [day.count for day in days]
    return ask.words(
        "errors.trend", days=len(days), total=sum(counts), most=max(counts), last=counts[-1]
    )
