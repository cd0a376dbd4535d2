"""The console: every request is answered here, by the table's handler and under the table's rule.

Rules kept here, for all routes alike:

* Who asks, the rule, and the declared length are looked at before a body is read, and the form's
  token before a handler runs. A route states the largest body that it takes.
* A client that goes away is no defect: it gets no answer, and nobody is told.
* What waits for somebody else's server does so on threads of its own (`outside`). Of the others
  each visitor has a share (`fairness`).
* A form must come from a page of this console (`accounts.csrf`), and a browser that says where a
  request comes from (`Sec-Fetch-Site`) must say: from here.
* Everything a page shows or does goes through the same operations that the command line has.
* Errors are pages for people and JSON for programs; neither holds content, keys or tokens.
"""

from __future__ import annotations

import secrets
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bailee.accounts import Actor, PeopleRegistry, csrf
from bailee.admission.requests import admit
from bailee.console.admin import Admin
from bailee.console.api import ApiHandlers, refusal, who
from bailee.console.arriving import Arriving
from bailee.console.asking import Ask, fields, read_body, within
from bailee.console.bringing import BringingPages
from bailee.console.cloud import CloudPages
from bailee.console.cookies import read_cookie
from bailee.console.device import DevicePages, FreshArrivals
from bailee.console.error_issues import ErrorIssues
from bailee.console.fairness import RETRY_AFTER, Fairness
from bailee.console.feedback import FeedbackPages
from bailee.console.frame import PageTemplates
from bailee.console.guard import Guarded
from bailee.console.home import HomePage
from bailee.console.language import accepted
from bailee.console.ledger import LedgerPages
from bailee.console.listed import ListFiles
from bailee.console.metrics import Metrics
from bailee.console.organisations import OrganisationPages
from bailee.console.outside import Outside
from bailee.console.own_policies import OwnPolicyPages
from bailee.console.parts import Parts
from bailee.console.people import PeoplePages
from bailee.console.privacy import Privacy
from bailee.console.public import LANGUAGE_COOKIE, Public
from bailee.console.receipts import ReceiptPages
from bailee.console.requests import RequestPages
from bailee.console.searching import SearchPages
from bailee.console.staff import StaffPages
from bailee.console.table import Areas, PageRoute, table
from bailee.console.usage import UsagePages
from bailee.console.views import ViewForms
from bailee.console.visitor import (
    Admission,
    RouteRule,
    SignedIn,
    Visitor,
    VisitorMembership,
    admits,
)
from bailee.console.ways_in import WaysIn
from bailee.errors import BaileeError, InputError
from bailee.operations.routes import BASE
from bailee.words import Words, known, words

VISIT_COOKIE = "bailee_visit"


def make_site(parts: Parts) -> ASGIApp:
    """The console as an ASGI application."""
    return Guarded(Site(parts).app, parts.names)


@dataclass(frozen=True, slots=True)
class _Coming:
    """A request that may be answered, its body not read yet. `fresh`: the cookie to set when the
    visitor had none; `known`: they came with a session or a key.
    """

    ask: Ask
    fresh: str | None
    known: bool


class Site:
    """The routes over the parts, and what holds for all of them; `app` is the ASGI side.

    Made once for a console. Requests begin on the event loop's thread; who asks is found out, and a
    handler called, on Starlette's worker threads, or on `outside`'s where the table says so. It
    knows no store: handlers ask operations.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._outside = Outside()
        self._fairness = Fairness()
        self._frame = frame = PageTemplates(
            lambda: parts.node.policy,
            own_of=lambda organisation: parts.node.holding.of(organisation).policy.own,
            sign_up=lambda: bool(parts.node.registry.passwords.sign_up_plans),
        )
        self._arriving = Arriving(parts, frame)
        admin = Admin(parts, frame)
        arrivals = FreshArrivals(parts.node.registry)
        ways_in = WaysIn(parts, frame, self._arriving, arrivals.put)
        self.entries = table(
            Areas(
                home=HomePage(self._arriving, admin),
                ledger=LedgerPages(parts),
                receipts=ReceiptPages(parts, frame),
                requests=RequestPages(parts, frame),
                public=Public(parts, frame),
                people=PeoplePages(parts, frame, self._arriving),
                ways_in=ways_in,
                device=DevicePages(parts, frame, ways_in, arrivals),
                privacy=Privacy(parts, frame),
                searching=SearchPages(parts, frame),
                feedback=FeedbackPages(parts, frame),
                organisations=OrganisationPages(parts, frame),
                own_policies=OwnPolicyPages(parts, frame),
                staff=StaffPages(parts, frame),
                admin=admin,
                metrics=Metrics(parts, frame),
                errors=ErrorIssues(parts, frame),
                cloud=CloudPages(parts, frame),
                usage=UsagePages(parts, frame),
                bringing=BringingPages(parts, frame),
                views=ViewForms(parts),
                files=ListFiles(parts),
                api=ApiHandlers(parts),
            )
        )
        self.app = Starlette(
            routes=[
                Route(entry.path, self._endpoint(entry), methods=[entry.method])
                for entry in self.entries
            ],
            exception_handlers={HTTPException: self._not_found},
        )
        self.app.router.redirect_slashes = False  # who follows would carry their key along

    def _endpoint(self, entry: PageRoute) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                within(request, entry.largest)
                coming = await run_in_threadpool(self._coming, entry, request)
                if isinstance(coming, Response):
                    return coming
                if coming.known:
                    admit(request.scope)
                reads = entry.method == "GET"
                if entry.outside:
                    body = b"" if reads else await read_body(request, entry.largest)
                    return await self._outside.run(partial(self._answer, entry, coming, body))
                with self._fairness.request(coming.ask, changes=coming.known and not reads):
                    body = b"" if reads else await read_body(request, entry.largest)
                    return await run_in_threadpool(partial(self._answer, entry, coming, body))
            except ClientDisconnect:
                return Response(status_code=499)
            except BaileeError as error:
                refused = await run_in_threadpool(self._refused, entry.rule, request, error)
                if error.code == "over_share":
                    refused.headers["retry-after"] = str(RETRY_AFTER)
                return refused
            except Exception as error:
                _report(entry, error)
                await run_in_threadpool(self._parts.defect, error)
                defect = BaileeError("this is a defect of bailee.", code="internal")
                return await run_in_threadpool(self._refused, entry.rule, request, defect)

        return endpoint

    def _coming(self, entry: PageRoute, request: Request) -> _Coming | Response:
        """Who asks, if they may: before anything of a body is read."""
        if entry.rule is RouteRule.API:
            actor = who(self._parts.node, request, self._parts.cookie)
            ask = Ask(request, Visitor(), _words(request), self._parts.node.latest(), actor=actor)
            return _Coming(ask, None, known=True)
        ask, fresh = self._ask(request)
        visitor = ask.visitor
        admission = admits(entry.rule, visitor, ask.path)
        if admission is Admission.UNKNOWN:
            problem = ask.words("sign_in.first")
            return self._arriving.sign_in_page(ask, problem=problem, status=401)
        if admission is Admission.REFUSED:
            raise InputError(ask.words("error.not_yours"), code="forbidden")
        return _Coming(ask, fresh, known=visitor.operator or visitor.person is not None)

    def _answer(self, entry: PageRoute, coming: _Coming, body: bytes) -> Response:
        ask, fresh = coming.ask, coming.fresh
        form = {}
        if entry.method == "POST" and entry.rule is not RouteRule.API:
            form = fields(body)
            self._check(ask, form)
        response = entry.handler(replace(ask, form=form, body=body))
        if fresh is not None and b'name="form_token"' in getattr(response, "body", b""):
            self._remember(response, fresh)  # only a page with a form needs one
        return response

    def _ask(self, request: Request) -> tuple[Ask, str | None]:
        """The request with its visitor, and the cookie to set when the visitor had none."""
        visitor = visitor_of(self._parts.node.registry, read_cookie(request, self._parts.cookie))
        fresh = None
        if not visitor.cookie:
            visit = read_cookie(request, self._parts.cookie_named(VISIT_COOKIE))
            fresh = None if visit else secrets.token_hex(16)
            visitor = Visitor(cookie=visit or fresh or "")
        return Ask(request, visitor, _words(request), self._parts.node.latest()), fresh

    def _check(self, ask: Ask, form: dict[str, str]) -> None:
        """Refuse a form that did not come from a page of ours."""
        token = form.pop("form_token", "")
        said = ask.request.headers.get("sec-fetch-site", "same-origin")
        if said not in ("same-origin", "none") or not csrf.is_good(ask.visitor.cookie, token):
            raise InputError(
                ask.words("error.foreign_form"),
                code="forbidden",
                hint=ask.words("error.foreign_form_hint"),
            )

    def _remember(self, response: Response, visit: str) -> None:
        response.set_cookie(
            self._parts.cookie_named(VISIT_COOKIE),
            visit,
            httponly=True,
            samesite="strict",
            secure=self._parts.secure,
        )

    def _refused(self, rule: RouteRule, request: Request, error: BaileeError) -> Response:
        if rule is RouteRule.API or request.url.path.startswith(f"{BASE}/"):
            return refusal(error)
        ask, _ = self._ask(request)
        return self._frame.page(
            ask,
            "error.html",
            error.http_status,
            message=ask.words.of_error(error),
            hint=None,
        )

    async def _not_found(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if request.url.path.startswith(f"{BASE}/"):
            code = "not_found" if error.status_code == 404 else "method_not_allowed"
            response = refusal(InputError("the API has no such operation.", code=code))
            response.headers.update(error.headers or {})
            return response
        response = await run_in_threadpool(self._no_page, request, error.status_code)
        response.headers.update(error.headers or {})
        return response

    def _no_page(self, request: Request, status: int) -> Response:
        ask, _ = self._ask(request)
        name = "error.no_page" if status == 404 else "error.no_method"
        return self._frame.page(ask, "error.html", status, message=ask.words(name), hint=None)


def _report(entry: PageRoute, error: Exception) -> None:
    """A line about a defect: which kind and where; what the error says may hold content."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    sys.stderr.write(
        f"console: {type(error).__name__} in {entry.method} {entry.path}, "
        f"{place.filename}:{place.lineno}\n"
    )


def _words(request: Request) -> Words:
    header = request.headers.get("accept-language", "")
    language = (
        known(request.query_params.get("lang"))
        or known(read_cookie(request, LANGUAGE_COOKIE))
        or accepted(header)
        or "en"
    )
    return words(language, "console")


def visitor_of(registry: PeopleRegistry, cookie: str | None) -> Visitor:
    """Whose session a cookie is; nobody's, without a cookie to bind forms to, if it is not good."""
    session = registry.web_sessions.find(cookie)
    if session is None or cookie is None:
        return Visitor()
    if session.person_id is None:
        return Visitor(operator=True, cookie=cookie)
    person = registry.people.get(session.person_id)
    organisations = registry.organisations
    places = tuple(
        VisitorMembership(
            one.organisation_id, organisations.get(one.organisation_id).name, one.role
        )
        for one in organisations.of_person(person.person_id)
    )
    account = registry.accounts.of_person(person.person_id)
    signed_in = SignedIn(person.person_id, person.email or "", account, places)
    auditor = registry.authority.is_auditor(Actor(person.person_id, operator=person.operator))
    return Visitor(signed_in, person.operator, auditor, cookie)
