"""What can be asked of a home about bug reports and the survey.

Whoever sent a report sees and withdraws it; the operator triages. Operators read under
`accounts.staff`: a reason, on record first.

Rows: F1, F2, F3, F4.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee.accounts import OPERATOR, Actor
from bailee.accounts.roles import Permission
from bailee.client import bug_report, issues_api
from bailee.errors import InputError
from bailee.feedback import reports, suppression
from bailee.feedback.draft import draft as drafted
from bailee.feedback.reports import STATES, Whose
from bailee.node import Node
from bailee.operations.asks import Asks, Via
from bailee.operations.codec import Function, Limit, Page, extended
from bailee.operations.operation import operation
from bailee.operations.receipts import ReceiptSummary, receipt
from bailee.operations.sessions import Retention
from bailee.outbound.network import Network

_ISSUE: Final = re.compile(r"https?://[^\s/@?#]{1,200}(?:/[^\s?#]*)?(?:#[\w-]*)?")
_LONGEST_ISSUE: Final = 300


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """A report as lists show it: without its content, of which `parts` are the names."""

    id: str
    state: str
    issue: str | None
    parts: list[str]
    bytes: int
    received: datetime
    kept_until: datetime
    retention: Retention
    account: str
    person: str | None
    key_id: str


@dataclass(frozen=True, slots=True)
class OpenedReport(ReportSummary):
    """A report and what is in it, by part; None: that was not asked for."""

    content: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class FiledReport(ReportSummary):
    """A report of which a public issue was made, and the issue's number."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPage(Page[ReportSummary]):
    """Some reports. `total`: how many there are on all pages."""

    total: int


@dataclass(frozen=True, slots=True)
class IssueProposal:
    """The draft of a public issue. `masked`: what was masked in it, by kind; `url`: where it can be
    filed by hand, filled in.
    """

    repository: str
    title: str
    body: str
    masked: list[str]
    url: str


@dataclass(frozen=True, slots=True)
class AnswerLine:
    """How often each answer was given, and any; None: so seldom that it is not shown."""

    counts: Mapping[str, int | None]
    total: int | None


@dataclass(frozen=True, slots=True)
class AnswerWeek(AnswerLine):
    """The answers of a week, by its Monday."""

    week: str


@dataclass(frozen=True, slots=True)
class Version(AnswerLine):
    """The answers about a version."""

    version: str


@dataclass(frozen=True, slots=True)
class SurveySummary:
    """The survey's results as far as they may be shown. `least`: what is shown of a count."""

    question: str
    answers: list[str]
    least: int
    all: AnswerLine
    weeks: list[AnswerWeek]
    versions: list[Version]


def whose(node: Node, actor: Actor) -> Whose:
    """The reports that an actor sent, as far as what they proved reaches: signed in, or with a key
    of one's own account, all of a person's; with an organisation's key, those sent through it.

    Raises:
        InputError: code `authentication`, it is nobody.
    """
    if actor.person_id is None:
        if actor.account_id is None:
            raise InputError(
                "no key was given, so there are no reports to list.", code="authentication"
            )
        return Whose(actor.account_id, None)
    if actor.account_id is None:
        return Whose(None, actor.person_id)
    own = node.accounts.get(actor.account_id).person_id == actor.person_id
    return Whose(None if own else actor.account_id, actor.person_id)


@operation()
def list_(
    asks: Asks,
    node: Node,
    *,
    state: str | None = None,
    all: bool = False,
    after: str | None = None,
    limit: Limit = 100,
) -> ReportPage:
    """What whoever asks sent, the latest first; for the operator what everybody sent."""
    found, more, total = node.reports.page(
        _theirs(asks, node, all), asks.at, state=state, after=after, limit=limit
    )
    return ReportPage([shown(report) for report in found], more, total=total)


@operation()
def show(
    asks: Asks,
    node: Node,
    id: str,
    *,
    content: bool = True,
    all: bool = False,
) -> OpenedReport:
    """A report with its content; that the operator reads another's goes on record."""
    theirs = _theirs(asks, node, all)
    report = node.reports.get(id, asks.at, theirs)
    if not content:
        return extended(OpenedReport, shown(report), content=None)
    if theirs is None:
        _on_record(asks, node, report)
    found = node.reports.open(report)
    content_of = {str(part): value for part, value in found.items()}
    return extended(OpenedReport, shown(report), content=content_of)


@operation(makes_room=True)
def withdraw(
    asks: Asks, node: Node, id: str, secret: str | None = None, all: bool = False
) -> ReceiptSummary:
    """Destroy a report at the word of its sender, or of who has its secret; gives the receipt."""
    if secret is not None:
        if not node.reports.is_secret(id, secret):
            raise InputError("there is no such report, or it is no longer kept.", code="not_found")
        report, by = node.reports.get(id, asks.at), reports.BY_SECRET
    else:
        report, by = node.reports.get(id, asks.at, _theirs(asks, node, all)), asks.actor.name
    return receipt(node, node.reports.withdraw(report, asks.due, by=by))


@operation()
def set_(asks: Asks, node: Node, id: str, state: str, issue: str | None = None) -> ReportSummary:
    """Link a report to an issue's address, close it, or open it again."""
    asks.require(node, Permission.FEEDBACK_TRIAGE)
    report = node.reports.get(id, asks.at)
    if state not in STATES:
        raise InputError("a report is open, linked or closed.")
    if state == "linked":
        fits = issue is not None and len(issue) <= _LONGEST_ISSUE and _ISSUE.fullmatch(issue)
        if not fits:
            raise InputError(
                "this is not the address of an issue.",
                hint="like https://github.com/owner/name/issues/7",
            )
    return shown(node.reports.set(report, state, by=asks.actor.name, issue=issue))


@operation()
def draft(asks: Asks, node: Node, id: str, repository: str | None = None) -> IssueProposal:
    """The draft of a public issue: without the transcript, secrets masked."""
    asks.require(node, Permission.FEEDBACK_TRIAGE)
    report = node.reports.get(id, asks.at)
    if asks.via is not Via.PAGE:  # a page shows it beside what `show` has entered
        _on_record(asks, node, report)
    made = _issue(node, report, repository)
    masked = [one.kind for one in made.removed]
    return IssueProposal(made.repository, made.title, made.body, masked, made.url)


@operation()
def file(
    asks: Asks,
    node: Node,
    id: str,
    *,
    repository: str | None = None,
    title: str | None = None,
    body: str | None = None,
    again: bool = False,
) -> FiledReport:
    """File the draft, edited or as it is, as a public issue; the report is linked to it."""
    asks.require(node, Permission.FEEDBACK_TRIAGE)
    report = node.reports.get(id, asks.at)
    if asks.via is not Via.PAGE:  # a page shows it beside what `show` has entered
        _on_record(asks, node, report)
    if report.issue is not None and not again:
        raise InputError("there is already an issue.", hint=report.issue)
    variable = node.settings.text("feedback.github_token_env")
    token = None if variable is None else os.environ.get(variable)
    if not token:
        raise InputError(
            "there is no token to file issues with.",
            code="not_set_up",
            hint="set feedback.github_token_env, or open the draft's address in a browser",
        )
    issue = _issue(node, report, repository)
    if title is not None or body is not None:
        issue = issue.edited(title or issue.title, issue.body if body is None else body)
    filed = issues_api.file_issue(
        issue,
        token=token,
        network=Network.of(),
        api=node.settings.text("feedback.github_api") or issues_api.API,
    )
    changed = node.reports.set(
        report, "linked", by=asks.actor.name, issue=filed.url[:_LONGEST_ISSUE]
    )
    return extended(FiledReport, shown(changed), number=filed.number)


@operation()
def results(asks: Asks, node: Node) -> SurveySummary:
    """The survey's answers by week and by version; counts too small to be shown are not."""
    asks.require(node, Permission.FEEDBACK_TRIAGE)
    counts = node.survey.all(asks.at)
    found = suppression.results(
        ((one.day, one.version, one.answer, one.count) for one in counts), node.survey.answers
    )
    return SurveySummary(
        node.policy.document.survey.question.of("en"),
        list(found.answers),
        suppression.LEAST,
        AnswerLine(found.all.counts, found.all.total),
        [AnswerWeek(one.counts, one.total, one.name) for one in found.weeks],
        [Version(one.counts, one.total, one.name) for one in found.versions],
    )


def _theirs(asks: Asks, node: Node, all: bool) -> Whose | None:
    """Whose reports are meant: those of who asks; None: everybody's, for who triages.

    Raises:
        InputError: `forbidden`, or `authentication`: it is nobody.
    """
    if asks.actor != OPERATOR and not all:
        return whose(node, asks.actor)
    asks.require(node, Permission.FEEDBACK_TRIAGE)
    return None


def _on_record(asks: Asks, node: Node, report: reports.Report) -> None:
    node.registry.staff.read(asks.actor, report.id, asks.why(node), whose=report.whose)


def _issue(node: Node, report: reports.Report, named: str | None) -> bug_report.IssueDraft:
    repository = named or node.settings.text("feedback.repository")
    if not repository:
        raise InputError(
            "there is no repository to file issues in.",
            code="not_set_up",
            hint="set feedback.repository to owner/name",
        )
    content = node.reports.open(report)
    return drafted(repository, content.get("description"), content.get("environment"))


def shown(report: reports.Report) -> ReportSummary:
    """A report as lists show it."""
    return ReportSummary(
        report.id,
        report.state,
        report.issue,
        list(report.parts),
        report.bytes,
        report.received_at,
        report.expires_at,
        Retention(report.terms.clause, report.terms.period),
        report.account_id,
        report.person_id,
        report.key_id,
    )


OPERATIONS: Final[Mapping[str, Function]] = {
    "feedback.list": list_,
    "feedback.show": show,
    "feedback.withdraw": withdraw,
    "feedback.set": set_,
    "feedback.draft": draft,
    "feedback.file": file,
    "survey.results": results,
}
