"""Every route of the console, with the rule that says who may use it. One table, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from bailee.console.admin import Admin
from bailee.console.api import Api
from bailee.console.asking import LARGEST_BODY, LARGEST_DOCUMENT, Ask
from bailee.console.home import Home
from bailee.console.public import Public
from bailee.console.visitor import Rule


@dataclass(frozen=True, slots=True)
class Entry:
    """A route: method, address, who may use it, what answers, and how much it takes."""

    method: str
    path: str
    rule: Rule
    handler: Callable[[Ask], Response]
    largest: int = LARGEST_BODY


def table(home: Home, public: Public, admin: Admin, api: Api) -> tuple[Entry, ...]:
    """The routes. A path's `{organisation}` is what `Rule.MEMBER` and `Rule.ADMIN` look at."""
    everyone, operator, key = Rule.PUBLIC, Rule.OPERATOR, Rule.API_KEY
    return (
        Entry("GET", "/", everyone, home.first),
        Entry("GET", "/sign-in", everyone, home.sign_in),
        Entry("POST", "/sign-out", everyone, home.sign_out),
        Entry("GET", "/data-usage", everyone, public.data_usage),
        Entry("GET", "/policy", everyone, public.policy),
        Entry("GET", "/policy/explain", everyone, public.explain),
        Entry("GET", "/language", everyone, public.language),
        Entry("GET", "/style.css", everyone, public.style),
        Entry("GET", "/passkey.js", everyone, public.script),
        Entry("GET", "/admin/sessions", operator, admin.sessions),
        Entry("GET", "/admin/sessions/{session}", operator, admin.session),
        Entry("POST", "/admin/sessions/{session}/read", operator, admin.read),
        Entry("GET", "/admin/retention", operator, admin.retention),
        Entry("GET", "/admin/audit", operator, admin.audit),
        Entry("GET", "/policy/difference", operator, admin.difference),
        Entry("POST", "/policy/difference", operator, admin.difference, LARGEST_DOCUMENT),
        Entry("GET", "/api/v1/privacy/training", key, api.training),
        Entry("PUT", "/api/v1/privacy/training", key, api.choose),
        Entry("GET", "/api/v1/sessions", key, api.sessions),
    )
