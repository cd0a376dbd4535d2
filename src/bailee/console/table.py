"""Every route of the console, with the rule that says who may use it. One table, and no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.responses import Response

from bailee.console.admin import Admin
from bailee.console.api import Api
from bailee.console.asking import (
    LARGEST_BODY,
    LARGEST_CREDENTIAL,
    LARGEST_DOCUMENT,
    LARGEST_TASK,
    Ask,
)
from bailee.console.cloud import Cloud
from bailee.console.error_issues import ErrorIssues
from bailee.console.feedback import Feedback
from bailee.console.home import Home
from bailee.console.ledger import Ledger
from bailee.console.metrics import Metrics
from bailee.console.organisations import Organisations
from bailee.console.people import People
from bailee.console.privacy import Privacy
from bailee.console.public import Public
from bailee.console.staff import Staff
from bailee.console.visitor import Rule
from bailee.console.ways_in import WaysIn
from bailee.operations.routes import BASE, ROUTES

_LARGER: Final[Mapping[str, int]] = {
    "cloud.start": LARGEST_TASK,
    "cloud.send": LARGEST_TASK,
    "cloud.git.add": LARGEST_CREDENTIAL,
    "feedback.file": LARGEST_DOCUMENT,
}
"""Operations that take a larger body over HTTP than others."""
_OUTSIDE: Final = frozenset({"feedback.file"})
"""Operations that wait for a server that is not ours."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A route: method, address, who may use it, what answers, and the largest body that it takes.
    `outside`: it waits for a server that is not ours.
    """

    method: str
    path: str
    rule: Rule
    handler: Callable[[Ask], Response]
    largest: int = LARGEST_BODY
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Areas:
    """The handlers, by area."""

    home: Home
    ledger: Ledger
    public: Public
    people: People
    ways_in: WaysIn
    privacy: Privacy
    feedback: Feedback
    organisations: Organisations
    staff: Staff
    admin: Admin
    metrics: Metrics
    errors: ErrorIssues
    cloud: Cloud
    api: Api


def table(areas: Areas) -> tuple[Entry, ...]:
    """The routes. A path's `{organisation}` is what the rules about organisations look at."""
    public, people, ways_in, privacy = areas.public, areas.people, areas.ways_in, areas.privacy
    organisations, staff, admin, api = (
        areas.organisations,
        areas.staff,
        areas.admin,
        areas.api,
    )
    feedback = areas.feedback
    anyone, person, operator = Rule.PUBLIC, Rule.PERSON, Rule.OPERATOR
    cloud, someone = areas.cloud, Rule.SOMEONE
    of = "/organisations/{organisation}"
    return (
        Entry("GET", "/", anyone, areas.home.first),
        Entry("GET", "/data-usage", anyone, public.data_usage),
        Entry("GET", "/policy", anyone, public.policy),
        Entry("GET", "/policy/explain", anyone, public.explain),
        Entry("GET", "/language", anyone, public.language),
        Entry("GET", "/style.css", anyone, public.style),
        Entry("GET", "/passkey.js", anyone, public.script),
        Entry("GET", "/ledger/checkpoint", anyone, areas.ledger.checkpoint),
        Entry("GET", "/ledger/{tile:path}", anyone, areas.ledger.tile),
        Entry("GET", "/sign-in", anyone, people.sign_in_page),
        Entry("POST", "/sign-in", anyone, people.sign_in),
        Entry("GET", "/sign-up", anyone, people.sign_up_page),
        Entry("POST", "/sign-up", anyone, people.sign_up),
        Entry("POST", "/sign-out", anyone, people.sign_out),
        Entry("POST", "/sign-in/passkey/begin", anyone, ways_in.begin_passkey),
        Entry("POST", "/sign-in/passkey", anyone, ways_in.passkey, LARGEST_CREDENTIAL),
        Entry("POST", "/sign-in/organisation", anyone, ways_in.organisation, outside=True),
        Entry("GET", "/sign-in/organisation/return", anyone, ways_in.returned, outside=True),
        Entry("GET", "/settings/privacy", person, privacy.page),
        Entry("GET", "/settings/choice", person, privacy.choice_page),
        Entry("POST", "/settings/choice", person, privacy.choose),
        Entry("POST", "/settings/export", person, privacy.export),
        Entry("GET", "/settings/erase", person, privacy.erase_page),
        Entry("POST", "/settings/erase", person, privacy.erase),
        Entry("GET", "/settings/sessions/{session}", person, privacy.session),
        Entry("POST", "/settings/sessions/{session}/delete", person, privacy.delete),
        Entry("GET", "/settings/feedback/{report}", person, feedback.own),
        Entry("POST", "/settings/feedback/{report}/withdraw", person, feedback.withdraw),
        Entry("GET", "/settings/account", person, people.account),
        Entry("POST", "/settings/account/password", person, people.set_password),
        Entry("POST", "/settings/account/sign-out-elsewhere", person, people.end_session),
        Entry("POST", "/settings/account/sign-out-others", person, people.end_others),
        Entry("POST", "/settings/account/keys", person, people.make_key),
        Entry("POST", "/settings/account/keys/revoke", person, people.revoke_key),
        Entry("POST", "/settings/account/passkeys/begin", person, ways_in.begin_adding),
        Entry("POST", "/settings/account/passkeys", person, ways_in.add, LARGEST_CREDENTIAL),
        Entry("POST", "/settings/account/passkeys/remove", person, ways_in.remove),
        Entry("GET", of, Rule.MEMBER, organisations.page),
        Entry("POST", of + "/members", Rule.KEEPER, organisations.set_role),
        Entry("POST", of + "/members/remove", Rule.KEEPER, organisations.remove),
        Entry("POST", of + "/keys/revoke", Rule.KEEPER, organisations.revoke_key),
        Entry("GET", of + "/partner", Rule.ADMIN, organisations.partner_page),
        Entry("POST", of + "/partner/join", Rule.ADMIN, organisations.join),
        Entry("POST", of + "/partner/leave", Rule.ADMIN, organisations.leave),
        Entry("GET", "/cloud.js", anyone, cloud.script),
        Entry("GET", "/cloud", someone, cloud.sessions),
        Entry("POST", "/cloud", someone, cloud.start, LARGEST_TASK),
        Entry("GET", "/cloud/{session}", someone, cloud.session),
        Entry("GET", "/cloud/{session}/events", someone, cloud.events),
        Entry("GET", "/cloud/{session}/changes", someone, cloud.changes),
        Entry("GET", "/cloud/{session}/connections", someone, cloud.connections),
        Entry("POST", "/cloud/{session}/send", someone, cloud.send, LARGEST_TASK),
        Entry("POST", "/cloud/{session}/stop", someone, cloud.stop),
        Entry("POST", "/cloud/{session}/delete", someone, cloud.delete),
        Entry("POST", "/cloud/{session}/read", operator, cloud.read),
        Entry("GET", "/admin/people", operator, staff.people),
        Entry("POST", "/admin/people", operator, staff.add_person),
        Entry("GET", "/admin/people/{person}", operator, staff.person),
        Entry("POST", "/admin/people/{person}/export", operator, staff.export),
        Entry("POST", "/admin/people/{person}/erase", operator, staff.erase),
        Entry("GET", "/admin/holds", operator, staff.holds),
        Entry("POST", "/admin/holds", operator, staff.place_hold),
        Entry("POST", "/admin/holds/release", operator, staff.release_hold),
        Entry("GET", "/admin/organisations", operator, staff.organisations),
        Entry("POST", "/admin/organisations", operator, staff.add_organisation),
        Entry("GET", "/admin/feedback", operator, feedback.reports),
        Entry("GET", "/admin/feedback/{report}", operator, feedback.report),
        Entry("POST", "/admin/feedback/{report}/read", operator, feedback.read),
        Entry("POST", "/admin/feedback/{report}/state", operator, feedback.change),
        Entry(
            "POST",
            "/admin/feedback/{report}/issue",
            operator,
            feedback.file,
            LARGEST_DOCUMENT,
            outside=True,
        ),
        Entry("GET", "/admin/survey", operator, feedback.survey),
        Entry("GET", "/admin/sessions", operator, admin.sessions),
        Entry("GET", "/admin/sessions/{session}", operator, admin.session),
        Entry("POST", "/admin/sessions/{session}/read", operator, admin.read),
        Entry("GET", "/admin/retention", operator, admin.retention),
        Entry("GET", "/admin/audit", operator, admin.audit),
        Entry("GET", "/admin/metrics", operator, areas.metrics.page),
        Entry("GET", "/admin/metrics/dropped", operator, areas.metrics.dropped),
        Entry("GET", "/admin/metrics/{measure}", operator, areas.metrics.measure),
        Entry("GET", "/admin/errors", operator, areas.errors.page),
        Entry("GET", "/admin/errors/{issue}", operator, areas.errors.issue),
        Entry("POST", "/admin/errors/{issue}", operator, areas.errors.change),
        Entry("GET", "/policy/difference", operator, admin.difference),
        Entry("POST", "/policy/difference", operator, admin.difference, LARGEST_DOCUMENT),
        Entry("GET", f"{BASE}/openapi.json", anyone, api.describe),
        *(
            Entry(
                route.method,
                BASE + route.path,
                Rule.API,
                partial(api.operation, name, route),
                _LARGER.get(name, LARGEST_BODY),
                outside=name in _OUTSIDE,
            )
            for name, route in ROUTES.items()
        ),
    )
