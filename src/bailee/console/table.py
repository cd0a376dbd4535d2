"""Every route of the console, with the rule that says who may use it. One table, and no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.responses import Response

from bailee.console.admin import Admin
from bailee.console.api import ApiHandlers
from bailee.console.asking import (
    LARGEST_BODY,
    LARGEST_CREDENTIAL,
    LARGEST_DOCUMENT,
    LARGEST_OWN,
    LARGEST_TASK,
    Ask,
)
from bailee.console.bringing import BringingPages
from bailee.console.cloud import CloudPages
from bailee.console.device import DevicePages
from bailee.console.error_issues import ErrorIssues
from bailee.console.feedback import FeedbackPages
from bailee.console.home import HomePage
from bailee.console.ledger import LedgerPages
from bailee.console.listed import ListFiles
from bailee.console.metrics import Metrics
from bailee.console.organisations import OrganisationPages
from bailee.console.own_policies import OwnPolicyPages
from bailee.console.people import PeoplePages
from bailee.console.privacy import Privacy
from bailee.console.public import Public
from bailee.console.receipts import ReceiptPages
from bailee.console.requests import RequestPages
from bailee.console.searching import SearchPages
from bailee.console.staff import StaffPages
from bailee.console.usage import UsagePages
from bailee.console.views import ViewForms
from bailee.console.visitor import RouteRule
from bailee.console.ways_in import WaysIn
from bailee.operations.routes import BASE, ROUTES

_LARGER: Final[Mapping[str, int]] = {
    "cloud.start": LARGEST_TASK,
    "cloud.send": LARGEST_TASK,
    "cloud.git.add": LARGEST_CREDENTIAL,
    "feedback.file": LARGEST_DOCUMENT,
    "policy.try": 2 * LARGEST_DOCUMENT + LARGEST_BODY,
    "policy.activate": LARGEST_DOCUMENT + LARGEST_BODY,
    "organisation.policy_set": LARGEST_OWN,
    "organisation.policy_try": LARGEST_OWN,
}
"""Operations that take a larger body over HTTP than others."""
_OUTSIDE: Final = frozenset({"feedback.file"})
"""Operations that wait for a server that is not ours."""


@dataclass(frozen=True, slots=True)
class PageRoute:
    """A route: method, address, who may use it, what answers, and the largest body that it takes.
    `outside`: it waits for a server that is not ours.
    """

    method: str
    path: str
    rule: RouteRule
    handler: Callable[[Ask], Response]
    largest: int = LARGEST_BODY
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Areas:
    """The handlers, by area."""

    home: HomePage
    ledger: LedgerPages
    receipts: ReceiptPages
    requests: RequestPages
    public: Public
    people: PeoplePages
    ways_in: WaysIn
    device: DevicePages
    privacy: Privacy
    searching: SearchPages
    feedback: FeedbackPages
    organisations: OrganisationPages
    own_policies: OwnPolicyPages
    staff: StaffPages
    admin: Admin
    metrics: Metrics
    errors: ErrorIssues
    cloud: CloudPages
    usage: UsagePages
    bringing: BringingPages
    views: ViewForms
    files: ListFiles
    api: ApiHandlers


def _files(files: ListFiles) -> tuple[PageRoute, ...]:
    """Lists as files, each beside its page and under that page's rule."""
    person, someone = RouteRule.PERSON, RouteRule.SOMEONE
    operator, evidence = RouteRule.OPERATOR, RouteRule.EVIDENCE
    of = "/organisations/{organisation}"
    return tuple(
        PageRoute("GET", f"{path}.csv", rule, handler)
        for path, rule, handler in (
            ("/settings/sessions", person, files.own_sessions),
            ("/settings/receipts", person, files.own_receipts),
            ("/settings/reports", person, files.own_reports),
            ("/settings/consent", person, files.own_consent),
            ("/cloud", someone, files.cloud),
            ("/usage", someone, files.usage),
            (of + "/members", RouteRule.MEMBER, files.members),
            (of + "/usage", RouteRule.KEEPER, files.organisation_usage),
            ("/admin/people", operator, files.people),
            ("/admin/organisations", operator, files.organisations),
            ("/admin/keys", operator, files.keys),
            ("/admin/accounts", operator, files.accounts),
            ("/admin/sessions", operator, files.sessions),
            ("/admin/holds", operator, files.holds),
            ("/admin/feedback", operator, files.reports),
            ("/admin/errors", operator, files.issues),
            ("/admin/requests", evidence, files.requests),
            ("/admin/audit", evidence, files.audit),
            ("/admin/receipts", evidence, files.receipts),
            ("/admin/retention", evidence, files.retention),
        )
    )


def table(areas: Areas) -> tuple[PageRoute, ...]:
    """The routes. A path's `{organisation}` is what the rules about organisations look at."""
    public, people, ways_in, privacy = areas.public, areas.people, areas.ways_in, areas.privacy
    organisations, staff, admin, api = (
        areas.organisations,
        areas.staff,
        areas.admin,
        areas.api,
    )
    feedback = areas.feedback
    anyone, person, operator = RouteRule.PUBLIC, RouteRule.PERSON, RouteRule.OPERATOR
    cloud, someone = areas.cloud, RouteRule.SOMEONE
    evidence, asked = RouteRule.EVIDENCE, areas.requests
    request = "/admin/requests/{request}"
    of = "/organisations/{organisation}"
    return (
        PageRoute("GET", "/", anyone, areas.home.first),
        PageRoute("GET", "/data-usage", anyone, public.data_usage),
        PageRoute("GET", "/policy", anyone, public.policy),
        PageRoute("GET", "/policy/explain", anyone, public.explain),
        PageRoute("GET", "/language", anyone, public.language),
        PageRoute("GET", "/style.css", anyone, public.style),
        PageRoute("GET", "/passkey.js", anyone, public.script),
        PageRoute("GET", "/ledger/checkpoint", anyone, areas.ledger.checkpoint),
        PageRoute("GET", "/ledger/checkpoint.witnessed", anyone, areas.ledger.witnessed),
        PageRoute("GET", "/ledger/{tile:path}", anyone, areas.ledger.tile),
        PageRoute("GET", "/receipts/{reference}", anyone, areas.receipts.page),
        PageRoute("GET", "/receipts/{reference}/receipt.tlog-proof", anyone, areas.receipts.proof),
        PageRoute("GET", "/receipts/{reference}/receipt.json", anyone, areas.receipts.signed),
        PageRoute("GET", "/sign-in", anyone, people.sign_in_page),
        PageRoute("POST", "/sign-in", anyone, people.sign_in),
        PageRoute("GET", "/sign-up", anyone, people.sign_up_page),
        PageRoute("POST", "/sign-up", anyone, people.sign_up),
        PageRoute("POST", "/sign-out", anyone, people.sign_out),
        PageRoute("POST", "/sign-in/passkey/begin", anyone, ways_in.begin_passkey),
        PageRoute("POST", "/sign-in/passkey", anyone, ways_in.passkey, LARGEST_CREDENTIAL),
        PageRoute("POST", "/sign-in/organisation", anyone, ways_in.organisation, outside=True),
        PageRoute("GET", "/sign-in/organisation/return", anyone, ways_in.returned, outside=True),
        PageRoute("GET", "/device", anyone, areas.device.page),
        PageRoute("POST", "/device", person, areas.device.answer, outside=True),
        PageRoute("GET", "/settings/privacy", person, privacy.page),
        PageRoute("GET", "/settings/choice", person, privacy.choice_page),
        PageRoute("POST", "/settings/choice", person, privacy.choose),
        PageRoute("POST", "/settings/terms", person, privacy.saw_terms),
        PageRoute("POST", "/settings/export", person, privacy.export),
        PageRoute("GET", "/settings/erase", person, privacy.erase_page),
        PageRoute("POST", "/settings/erase", person, privacy.erase),
        PageRoute("GET", "/settings/sessions/search", person, areas.searching.form),
        PageRoute("POST", "/settings/sessions/search", person, areas.searching.own),
        PageRoute("POST", "/settings/requests", person, asked.own),
        PageRoute(
            "GET",
            "/settings/requests/{request}/letter/{language}/{form}",
            person,
            asked.letter,
        ),
        PageRoute("GET", "/settings/sessions/{session}", person, privacy.session),
        PageRoute(
            "GET", "/settings/sessions/{session}/bytes/{exchange}/{side}", person, privacy.raw
        ),
        PageRoute("POST", "/settings/sessions/{session}/delete", person, privacy.delete),
        PageRoute("POST", "/settings/sessions/{session}/keep", person, privacy.keep),
        PageRoute("POST", "/settings/sessions/{session}/release", person, privacy.release),
        PageRoute("GET", "/settings/feedback/{report}", person, feedback.own),
        PageRoute("POST", "/settings/feedback/{report}/withdraw", person, feedback.withdraw),
        PageRoute("GET", "/settings/account", person, people.account),
        PageRoute("POST", "/settings/account/password", person, people.set_password),
        PageRoute("POST", "/settings/account/sign-out-elsewhere", person, people.end_session),
        PageRoute("POST", "/settings/account/sign-out-others", person, people.end_others),
        PageRoute("POST", "/settings/account/clients/end", person, people.end_clients),
        PageRoute("POST", "/settings/account/keys", person, people.make_key),
        PageRoute("POST", "/settings/account/keys/revoke", person, people.revoke_key),
        PageRoute("POST", "/settings/account/passkeys/begin", person, ways_in.begin_adding),
        PageRoute("POST", "/settings/account/passkeys", person, ways_in.add, LARGEST_CREDENTIAL),
        PageRoute("POST", "/settings/account/passkeys/remove", person, ways_in.remove),
        PageRoute("POST", "/settings/views", someone, areas.views.save),
        PageRoute("POST", "/settings/views/delete", someone, areas.views.delete),
        PageRoute("GET", of, RouteRule.MEMBER, organisations.page),
        PageRoute("POST", of + "/members", RouteRule.KEEPER, organisations.set_role),
        PageRoute("POST", of + "/members/remove", RouteRule.KEEPER, organisations.remove),
        PageRoute("POST", of + "/keys/revoke", RouteRule.KEEPER, organisations.revoke_key),
        PageRoute("POST", of + "/keeping", RouteRule.KEEPER, organisations.keeping),
        PageRoute("POST", of + "/provider", operator, organisations.bind_provider),
        PageRoute("POST", of + "/scim", operator, organisations.make_scim_token),
        PageRoute("POST", of + "/scim/remove", operator, organisations.remove_scim_token),
        PageRoute("GET", of + "/policy", RouteRule.MEMBER, areas.own_policies.page),
        PageRoute("POST", of + "/policy", RouteRule.KEEPER, areas.own_policies.change, LARGEST_OWN),
        PageRoute(
            "POST",
            of + "/policy/trial",
            RouteRule.KEEPER,
            areas.own_policies.compare,
            LARGEST_OWN,
        ),
        PageRoute("GET", of + "/partner", RouteRule.ADMIN, organisations.partner_page),
        PageRoute("POST", of + "/partner/join", RouteRule.ADMIN, organisations.join),
        PageRoute("POST", of + "/partner/leave", RouteRule.ADMIN, organisations.leave),
        PageRoute("GET", of + "/usage", RouteRule.KEEPER, areas.usage.organisation),
        PageRoute("POST", of + "/limits", RouteRule.KEEPER, areas.usage.limit_members),
        PageRoute("POST", of + "/limits/remove", RouteRule.KEEPER, areas.usage.unlimit_members),
        PageRoute("POST", of + "/increases/approve", RouteRule.KEEPER, areas.usage.approve),
        PageRoute("POST", of + "/increases/deny", RouteRule.KEEPER, areas.usage.deny),
        PageRoute("GET", "/usage", someone, areas.usage.page),
        PageRoute("POST", "/usage/increases", person, areas.usage.ask_for_more),
        PageRoute("POST", "/usage/limits", operator, areas.usage.limit),
        PageRoute("POST", "/usage/limits/remove", operator, areas.usage.unlimit),
        PageRoute("GET", "/cloud.js", anyone, cloud.script),
        PageRoute("GET", "/cloud", someone, cloud.sessions),
        PageRoute("POST", "/cloud", someone, cloud.start, LARGEST_TASK),
        PageRoute("GET", "/cloud/{session}", someone, cloud.session),
        PageRoute("GET", "/cloud/{session}/events", someone, cloud.events),
        PageRoute("GET", "/cloud/{session}/changes", someone, cloud.changes),
        PageRoute("GET", "/cloud/{session}/connections", someone, cloud.connections),
        PageRoute("POST", "/cloud/{session}/send", someone, cloud.send, LARGEST_TASK),
        PageRoute("POST", "/cloud/{session}/stop", someone, cloud.stop),
        PageRoute("POST", "/cloud/{session}/delete", someone, cloud.delete),
        PageRoute("POST", "/cloud/{session}/read", operator, cloud.read),
        PageRoute("GET", "/admin/people", operator, staff.people),
        PageRoute("POST", "/admin/people", operator, staff.add_person),
        PageRoute("GET", "/admin/people/{person}", operator, staff.person),
        PageRoute("POST", "/admin/people/{person}/export", operator, staff.export),
        PageRoute("POST", "/admin/people/{person}/erase", operator, staff.erase),
        PageRoute("GET", "/admin/bring", operator, areas.bringing.page),
        PageRoute("POST", "/admin/bring", operator, areas.bringing.bring, LARGEST_OWN),
        PageRoute("GET", "/admin/holds", operator, staff.holds),
        PageRoute("POST", "/admin/holds", operator, staff.place_hold),
        PageRoute("POST", "/admin/holds/release", operator, staff.release_hold),
        PageRoute("GET", "/admin/requests", evidence, asked.all),
        PageRoute("POST", "/admin/requests", operator, asked.open),
        PageRoute("GET", request, evidence, asked.one),
        PageRoute("GET", request + "/letter/{language}/{form}", operator, asked.letter),
        PageRoute("POST", request + "/inventory", operator, asked.look),
        PageRoute("POST", request + "/export", operator, asked.export),
        PageRoute("POST", request + "/hold", operator, asked.hold),
        PageRoute("POST", request + "/erase", operator, asked.erase),
        PageRoute("POST", request + "/answer", operator, asked.answer),
        PageRoute("POST", request + "/extend", operator, asked.extend),
        PageRoute("POST", request + "/close", operator, asked.close),
        PageRoute("GET", "/admin/organisations", operator, staff.organisations),
        PageRoute("POST", "/admin/organisations", operator, staff.add_organisation),
        PageRoute("GET", "/admin/feedback", operator, feedback.reports),
        PageRoute("GET", "/admin/feedback/{report}", operator, feedback.report),
        PageRoute("POST", "/admin/feedback/{report}/read", operator, feedback.read),
        PageRoute("POST", "/admin/feedback/{report}/state", operator, feedback.change),
        PageRoute(
            "POST",
            "/admin/feedback/{report}/issue",
            operator,
            feedback.file,
            LARGEST_DOCUMENT,
            outside=True,
        ),
        PageRoute("GET", "/admin/survey", operator, feedback.survey),
        PageRoute("GET", "/admin/sessions", operator, admin.sessions),
        PageRoute("POST", "/admin/search", operator, areas.searching.staff),
        PageRoute("GET", "/admin/sessions/{session}", operator, admin.session),
        PageRoute("POST", "/admin/sessions/{session}/read", operator, admin.read),
        PageRoute("POST", "/admin/sessions/{session}/bytes", operator, admin.raw),
        PageRoute("GET", "/admin/promises", evidence, admin.promises),
        PageRoute("GET", "/admin/status", evidence, admin.status),
        PageRoute("GET", "/admin/retention", evidence, admin.retention),
        PageRoute("GET", "/admin/audit", evidence, admin.audit),
        PageRoute("GET", "/admin/metrics", operator, areas.metrics.page),
        PageRoute("GET", "/admin/metrics/dropped", operator, areas.metrics.dropped),
        PageRoute("GET", "/admin/metrics/{measure}", operator, areas.metrics.measure),
        PageRoute("GET", "/admin/errors", operator, areas.errors.page),
        PageRoute("GET", "/admin/errors/{issue}", operator, areas.errors.issue),
        PageRoute("POST", "/admin/errors/{issue}", operator, areas.errors.change),
        PageRoute("GET", "/policy/difference", operator, admin.difference),
        PageRoute("POST", "/policy/difference", operator, admin.difference, LARGEST_DOCUMENT),
        PageRoute("POST", "/policy/activation", operator, admin.activate, LARGEST_DOCUMENT),
        *_files(areas.files),
        PageRoute("GET", f"{BASE}/openapi.json", anyone, api.describe),
        *(
            PageRoute(
                route.method,
                BASE + route.path,
                RouteRule.API,
                partial(api.operation, name, route),
                _LARGER.get(name, LARGEST_BODY),
                outside=name in _OUTSIDE,
            )
            for name, route in ROUTES.items()
        ),
    )
