"""What can be asked of a home about bug reports and the survey.

Whoever sent a report sees and withdraws it; the operator triages. Operators read under
`accounts.staff`: a reason, on record first.

Rows: F1, F2, F3, F4.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from bailee.accounts import OPERATOR, Actor
from bailee.accounts.roles import Permission
from bailee.client import issues_api
from bailee.client.bug_report import Issue
from bailee.client.network import Network
from bailee.client.sender import NETWORK_VARIABLES
from bailee.errors import InputError
from bailee.feedback import suppression
from bailee.feedback.draft import draft
from bailee.feedback.reports import STATES, Report, Whose
from bailee.node.node import Node
from bailee.operations.arguments import Arguments, due, moment, text
from bailee.operations.retention import receipt
from bailee.operations.views import report_view

_ISSUE: Final = re.compile(r"https?://[^\s/@?#]{1,200}(?:/[^\s?#]*)?(?:#[\w-]*)?")
_LONGEST_ISSUE: Final = 300


def whose(node: Node, actor: Actor) -> Whose:
    """The reports that an actor sent, as far as what they proved reaches: signed in, or with a key
    of one's own account, all of a person's; with an organisation's key, those sent through it.

    Raises:
        InputError: code `authentication`, it is nobody.
    """
    if actor.person_id is None:
        if actor.account_id is None:
            raise InputError("whose reports? It takes a key.", code="authentication")
        return Whose(actor.account_id, None)
    if actor.account_id is None:
        return Whose(None, actor.person_id)
    own = node.accounts.get(actor.account_id).person_id == actor.person_id
    return Whose(None if own else actor.account_id, actor.person_id)


def _is_sender(arguments: Arguments) -> bool:
    """Whether they are asked for their own reports; the operator is asked for `all`."""
    return arguments.by != OPERATOR and arguments.get("all") is not True


def _triages(node: Node, arguments: Arguments) -> Actor:
    """The operator who asks."""
    actor = arguments.by
    node.registry.authority.require(actor, Permission.FEEDBACK_TRIAGE)
    return actor


def _list(node: Node, arguments: Arguments) -> object:
    now = moment(node, arguments)
    if _is_sender(arguments):
        found = node.reports.of(whose(node, arguments.by), now)
    else:
        _triages(node, arguments)
        found = node.reports.all(now, state=arguments.get("state"))
    return [report_view(report) for report in found]


def _show(node: Node, arguments: Arguments) -> object:
    report = _report(node, arguments)
    if arguments.get("staff") is True and not _is_sender(arguments):
        _on_record(node, arguments, report)
    return report_view(report) | {"content": node.reports.open(report)}


def _on_record(node: Node, arguments: Arguments, report: Report) -> None:
    reason = arguments.get("reason") or "at the terminal, no reason given"
    node.registry.staff.read(_triages(node, arguments), report.id, reason, whose=report.whose)


def _withdraw(node: Node, arguments: Arguments) -> object:
    secret = arguments.get("secret")
    if secret is not None:
        named = text(arguments, "id")
        if not node.reports.is_secret(named, str(secret)):
            raise InputError("there is no such report, or no more.", code="not_found")
        report = node.reports.get(named, moment(node, arguments))
    else:
        report = _report(node, arguments)
        if not _is_sender(arguments):
            _triages(node, arguments)
    return receipt(node.reports.withdraw(report, due(node, arguments)))


def _set(node: Node, arguments: Arguments) -> object:
    by = _triages(node, arguments)
    report = node.reports.get(text(arguments, "id"), moment(node, arguments))
    state, issue = text(arguments, "state"), arguments.get("issue")
    if state not in STATES:
        raise InputError("a report is open, linked or closed.")
    if state == "linked":
        fits = isinstance(issue, str) and len(issue) <= _LONGEST_ISSUE and _ISSUE.fullmatch(issue)
        if not fits:
            raise InputError(
                "this is no issue's address.", hint="like https://github.com/owner/name/issues/7"
            )
    return report_view(node.reports.set(report, state, by=by.name, issue=issue))


def _draft(node: Node, arguments: Arguments) -> object:
    _triages(node, arguments)
    report = node.reports.get(text(arguments, "id"), moment(node, arguments))
    if arguments.get("staff") is True:
        _on_record(node, arguments, report)
    return issue_view(_issue(node, arguments, report))


def _file(node: Node, arguments: Arguments) -> object:
    """File the draft, edited or as it is, as an issue; the report is linked to it."""
    by = _triages(node, arguments)
    report = node.reports.get(text(arguments, "id"), moment(node, arguments))
    if arguments.get("staff") is True:
        _on_record(node, arguments, report)
    if report.issue is not None and arguments.get("again") is not True:
        raise InputError("there is an issue already.", hint=report.issue)
    variable = node.settings.text("feedback.github_token_env")
    token = None if variable is None else os.environ.get(variable)
    if not token:
        raise InputError(
            "no token to file issues with.",
            code="configuration",
            hint="set feedback.github_token_env, or open the draft's address in a browser",
        )
    filed = issues_api.file_issue(
        _issue(node, arguments, report),
        token=token,
        network=Network({n: os.environ[n] for n in NETWORK_VARIABLES if n in os.environ}),
        api=node.settings.text("feedback.github_api") or issues_api.API,
    )
    changed = node.reports.set(report, "linked", by=by.name, issue=filed.url[:_LONGEST_ISSUE])
    return report_view(changed) | {"number": filed.number}


def _issue(node: Node, arguments: Arguments, report: Report) -> Issue:
    repository = arguments.get("repository") or node.settings.text("feedback.repository")
    if not repository:
        raise InputError(
            "no repository to file issues in.",
            code="configuration",
            hint="set feedback.repository to owner/name",
        )
    content = node.reports.open(report)
    made = draft(repository, content.get("description"), content.get("environment"))
    title, body = arguments.get("title"), arguments.get("body")
    if title is None and body is None:
        return made
    return made.edited(title or made.title, made.body if body is None else body)


def _report(node: Node, arguments: Arguments) -> Report:
    """The report that is named; but for the operator, only one's own."""
    if not _is_sender(arguments):
        _triages(node, arguments)
    theirs = whose(node, arguments.by) if _is_sender(arguments) else None
    return node.reports.get(text(arguments, "id"), moment(node, arguments), theirs)


def _results(node: Node, arguments: Arguments) -> object:
    _triages(node, arguments)
    counts = node.survey.all(moment(node, arguments))
    found = suppression.results(
        ((one.day, one.version, one.answer, one.count) for one in counts), node.survey.answers
    )
    return {
        "question": node.policy.document.survey.question.of("en"),
        "answers": list(found.answers),
        "least": suppression.LEAST,
        "all": _line(found.all),
        "weeks": [_line(line) | {"week": line.name} for line in found.weeks],
        "versions": [_line(line) | {"version": line.name} for line in found.versions],
    }


def _line(line: suppression.Line) -> dict[str, Any]:
    return {"counts": dict(line.counts), "total": line.total}


def issue_view(issue: Issue) -> dict[str, object]:
    """The draft of a public issue; what was masked in it, by kind."""
    return {
        "repository": issue.repository,
        "title": issue.title,
        "body": issue.body,
        "masked": [one.kind for one in issue.removed],
        "url": issue.url,
    }


OPERATIONS: Final[Mapping[str, Callable[[Node, Arguments], object]]] = {
    "feedback.list": _list,
    "feedback.show": _show,
    "feedback.withdraw": _withdraw,
    "feedback.set": _set,
    "feedback.draft": _draft,
    "feedback.file": _file,
    "survey.results": _results,
}
