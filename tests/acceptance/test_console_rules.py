"""Every route of the console tried by everybody: who gets in is what this table says.

The table is written by hand and knows nothing of the console's own. A route that is not in it, or
that the console does not have, fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bailee.console import Parts
from bailee.console.site import Site
from bailee.operations import routes
from bailee.operations.routes import BASE
from bailee.policy import load
from bailee.policy.diagram import Configuration
from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Visitor
from support.clients.programs import SIGN_UP, Bailee

PASSWORD = "seven pear trees in a row"
EVERYBODY = {
    *("nobody", "person", "member", "admin", "owner", "outsider", "operator", "auditor"),
}
PEOPLE = {"person", "member", "admin", "owner", "outsider", "auditor"}
EVIDENCE = {"operator", "auditor"}
OF = "/organisations/{organisation}"

# address → method → who gets in
EXPECTED: dict[str, dict[str, set[str]]] = {
    "/": {"GET": {"operator", *PEOPLE}},  # nobody is asked to sign in
    "/data-usage": {"GET": EVERYBODY},
    "/policy": {"GET": EVERYBODY},
    "/policy/explain": {"GET": EVERYBODY},
    "/policy/difference": {"GET": {"operator"}, "POST": {"operator"}},
    "/policy/activation": {"POST": {"operator"}},
    "/language": {"GET": EVERYBODY},
    "/style.css": {"GET": EVERYBODY},
    "/passkey.js": {"GET": EVERYBODY},
    "/sign-in": {"GET": EVERYBODY, "POST": EVERYBODY},
    "/sign-up": {"GET": EVERYBODY, "POST": EVERYBODY},
    "/sign-out": {"POST": EVERYBODY},
    "/sign-in/passkey/begin": {"POST": EVERYBODY},
    "/sign-in/passkey": {"POST": EVERYBODY},
    "/sign-in/organisation": {"POST": EVERYBODY},
    "/sign-in/organisation/return": {"GET": EVERYBODY},
    "/device": {"GET": EVERYBODY, "POST": PEOPLE},
    "/settings/account/clients/end": {"POST": PEOPLE},
    "/settings/privacy": {"GET": PEOPLE},
    "/settings/choice": {"GET": PEOPLE, "POST": PEOPLE},
    "/settings/terms": {"POST": PEOPLE},
    "/settings/export": {"POST": PEOPLE},
    "/settings/erase": {"GET": PEOPLE, "POST": PEOPLE},
    "/settings/sessions/search": {"GET": PEOPLE, "POST": PEOPLE},
    "/settings/sessions/{session}": {"GET": PEOPLE},
    "/settings/sessions/{session}/bytes/{exchange}/{side}": {"GET": PEOPLE},
    "/settings/sessions/{session}/delete": {"POST": PEOPLE},
    "/settings/sessions/{session}/keep": {"POST": PEOPLE},
    "/settings/sessions/{session}/release": {"POST": PEOPLE},
    "/settings/feedback/{report}": {"GET": PEOPLE},
    "/settings/feedback/{report}/withdraw": {"POST": PEOPLE},
    "/settings/account": {"GET": PEOPLE},
    "/settings/account/password": {"POST": PEOPLE},
    "/settings/account/sign-out-elsewhere": {"POST": PEOPLE},
    "/settings/account/sign-out-others": {"POST": PEOPLE},
    "/settings/account/keys": {"POST": PEOPLE},
    "/settings/account/keys/revoke": {"POST": PEOPLE},
    "/settings/account/passkeys/begin": {"POST": PEOPLE},
    "/settings/account/passkeys": {"POST": PEOPLE},
    "/settings/account/passkeys/remove": {"POST": PEOPLE},
    "/settings/views": {"POST": {"operator", *PEOPLE}},
    "/settings/views/delete": {"POST": {"operator", *PEOPLE}},
    OF: {"GET": {"member", "admin", "owner", "operator"}},
    f"{OF}/members": {"POST": {"admin", "owner", "operator"}},
    f"{OF}/provider": {"POST": {"operator"}},
    f"{OF}/scim": {"POST": {"operator"}},
    f"{OF}/scim/remove": {"POST": {"operator"}},
    f"{OF}/members/remove": {"POST": {"admin", "owner", "operator"}},
    f"{OF}/keys/revoke": {"POST": {"admin", "owner", "operator"}},
    f"{OF}/keeping": {"POST": {"admin", "owner", "operator"}},
    f"{OF}/policy": {
        "GET": {"member", "admin", "owner", "operator"},
        "POST": {"owner", "operator"},  # an admin is refused by the operation
    },
    f"{OF}/policy/trial": {"POST": {"owner", "operator"}},
    f"{OF}/partner": {"GET": {"admin", "owner"}},
    f"{OF}/partner/join": {"POST": {"admin", "owner"}},
    f"{OF}/partner/leave": {"POST": {"admin", "owner"}},
    "/ledger/checkpoint": {"GET": EVERYBODY},
    "/ledger/checkpoint.witnessed": {"GET": EVERYBODY},
    "/ledger/{tile:path}": {"GET": EVERYBODY},
    "/receipts/{reference}": {"GET": EVERYBODY},
    "/receipts/{reference}/receipt.tlog-proof": {"GET": EVERYBODY},
    "/receipts/{reference}/receipt.json": {"GET": EVERYBODY},
    "/usage": {"GET": {"operator", *PEOPLE}},
    "/usage/increases": {"POST": PEOPLE},
    "/usage/limits": {"POST": {"operator"}},
    "/usage/limits/remove": {"POST": {"operator"}},
    f"{OF}/usage": {"GET": {"admin", "owner", "operator"}},
    f"{OF}/increases/approve": {"POST": {"admin", "owner", "operator"}},
    f"{OF}/increases/deny": {"POST": {"admin", "owner", "operator"}},
    f"{OF}/limits": {"POST": {"admin", "owner", "operator"}},
    f"{OF}/limits/remove": {"POST": {"admin", "owner", "operator"}},
    "/cloud.js": {"GET": EVERYBODY},
    "/cloud": {"GET": {"operator", *PEOPLE}, "POST": {"operator", *PEOPLE}},
    "/cloud/{session}": {"GET": {"operator", *PEOPLE}},
    "/cloud/{session}/events": {"GET": {"operator", *PEOPLE}},
    "/cloud/{session}/changes": {"GET": {"operator", *PEOPLE}},
    "/cloud/{session}/connections": {"GET": {"operator", *PEOPLE}},
    "/cloud/{session}/send": {"POST": {"operator", *PEOPLE}},
    "/cloud/{session}/stop": {"POST": {"operator", *PEOPLE}},
    "/cloud/{session}/delete": {"POST": {"operator", *PEOPLE}},
    "/cloud/{session}/read": {"POST": {"operator"}},
    "/admin/people": {"GET": {"operator"}, "POST": {"operator"}},
    "/admin/people/{person}": {"GET": {"operator"}},
    "/admin/people/{person}/export": {"POST": {"operator"}},
    "/admin/people/{person}/erase": {"POST": {"operator"}},
    "/admin/requests": {"GET": EVIDENCE, "POST": {"operator"}},
    "/admin/requests/{request}": {"GET": EVIDENCE},
    "/admin/requests/{request}/letter/{language}/{form}": {"GET": {"operator"}},
    **{
        f"/admin/requests/{{request}}/{step}": {"POST": {"operator"}}
        for step in ("inventory", "export", "hold", "erase", "answer", "extend", "close")
    },
    "/settings/requests": {"POST": PEOPLE},
    "/settings/requests/{request}/letter/{language}/{form}": {"GET": PEOPLE},
    "/admin/bring": {"GET": {"operator"}, "POST": {"operator"}},
    "/admin/holds": {"GET": {"operator"}, "POST": {"operator"}},
    "/admin/holds/release": {"POST": {"operator"}},
    "/admin/organisations": {"GET": {"operator"}, "POST": {"operator"}},
    "/admin/sessions": {"GET": {"operator"}},
    "/admin/search": {"POST": {"operator"}},
    "/admin/sessions/{session}": {"GET": {"operator"}},
    "/admin/sessions/{session}/read": {"POST": {"operator"}},
    "/admin/sessions/{session}/bytes": {"POST": {"operator"}},
    "/admin/feedback": {"GET": {"operator"}},
    "/admin/feedback/{report}": {"GET": {"operator"}},
    "/admin/feedback/{report}/read": {"POST": {"operator"}},
    "/admin/feedback/{report}/state": {"POST": {"operator"}},
    "/admin/feedback/{report}/issue": {"POST": {"operator"}},
    "/admin/survey": {"GET": {"operator"}},
    "/admin/promises": {"GET": EVIDENCE},
    "/admin/status": {"GET": EVIDENCE},
    "/admin/retention": {"GET": EVIDENCE},
    "/admin/audit": {"GET": EVIDENCE},
    "/admin/metrics": {"GET": {"operator"}},
    "/admin/metrics/dropped": {"GET": {"operator"}},
    "/admin/metrics/{measure}": {"GET": {"operator"}},
    "/admin/errors": {"GET": {"operator"}},
    "/admin/errors/{issue}": {"GET": {"operator"}, "POST": {"operator"}},
    f"{BASE}/openapi.json": {"GET": EVERYBODY},
    **{
        f"/settings/{name}.csv": {"GET": PEOPLE}
        for name in ("sessions", "receipts", "reports", "consent")
    },
    "/cloud.csv": {"GET": {"operator", *PEOPLE}},
    "/usage.csv": {"GET": {"operator", *PEOPLE}},
    f"{OF}/members.csv": {"GET": {"member", "admin", "owner", "operator"}},
    f"{OF}/usage.csv": {"GET": {"admin", "owner", "operator"}},
    **{
        f"/admin/{name}.csv": {"GET": {"operator"}}
        for name in (
            *("people", "organisations", "keys", "accounts", "sessions", "holds"),
            *("feedback", "errors"),
        )
    },
    **{
        f"/admin/{name}.csv": {"GET": EVIDENCE}
        for name in ("requests", "audit", "receipts", "retention")
    },
}
ROUTES = [(method, path) for path, methods in EXPECTED.items() for method in methods]
# What of these may be asked by whom is tried in test_api.py and test_who_asks.py.
API = {(route.method, BASE + route.path) for route in routes.ROUTES.values()}


def test_the_table_is_of_the_routes_that_there_are() -> None:
    """Each route has a rule and is tried below; nothing is served that no rule speaks of."""
    nothing: Any = SimpleNamespace(policy=load(), registry=None)
    running = Configuration("http://127.0.0.1:1", False, (), "folder", "file")
    site = Site(Parts(nothing, running, nothing))

    served = {
        (method, getattr(route, "path", "?"))
        for route in site.app.routes
        for method in getattr(route, "methods", {"?"}) - {"HEAD"}
    }

    assert {*ROUTES, *API} == served == {(entry.method, entry.path) for entry in site.entries}
    assert all(entry.rule for entry in site.entries)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A server with one of each kind of visitor, and what stands for the parts of an address."""
    bailee = Bailee(tmp_path_factory.mktemp("town"))
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.up("--upstream", upstream.url, env=SIGN_UP)
        console = bailee.ready["console"]
        try:
            visitors = {"nobody": Visitor(console), "operator": Visitor(console)}
            operator = visitors["operator"]
            operator.get(bailee.ready["sign_in"])
            for name in sorted(PEOPLE):
                visitors[name] = Visitor(console)
                visitors[name].submit(
                    "/sign-up",
                    "/sign-up",
                    {
                        "email": f"{name}@example.org",
                        "password": PASSWORD,
                        "plan": "pro",
                        "choice": "refused",
                    },
                )
            ids = {}
            for name, owner in (("Here", "owner"), ("Elsewhere", "outsider")):
                made = operator.submit(
                    "/admin/organisations",
                    "/admin/organisations",
                    {"name": name, "plan": "team", "owner": f"{owner}@example.org"},
                )
                ids[name] = made.url.rpartition("/")[2]
            for role in ("member", "admin"):
                operator.submit(
                    f"/organisations/{ids['Here']}",
                    f"/organisations/{ids['Here']}/members",
                    {"person": f"{role}@example.org", "role": role},
                )
            person = bailee.json("person", "list")[0]["person"]
            parts = {
                "organisation": ids["Here"],
                "person": person,
                "tile": "tile/0/000",
                "session": "no-such-session",
                "exchange": "0",
                "side": "request",
                "report": "no-such-report",
                "reference": "no-such-receipt",
                "measure": "no.such.measure",
                "issue": "no-such-issue",
                "request": "no-such-request",
                "language": "zh",
                "form": "text",
            }
            assert 0 == bailee.run("person", "auditor", "auditor@example.org").returncode
            yield {"visitors": visitors, "parts": parts, "tokens": {}}
        finally:
            bailee.stop()
            bailee.close()


def form_token(visitor: Visitor, given: dict[str, str]) -> str:
    """A form token of the visitor's. It is good for as long as their cookie is the same: for each
    cookie one page is asked for it.
    """
    cookie = "; ".join(sorted(f"{one.name}={one.value}" for one in visitor.jar))
    if not cookie or cookie not in given:
        token = visitor.token("/sign-in")
        cookie = "; ".join(sorted(f"{one.name}={one.value}" for one in visitor.jar))
        given[cookie] = token
    return given[cookie]


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=str)
def test_a_route_opens_to_whom_it_should(method: str, path: str, town: dict[str, Any]) -> None:
    """Whoever has no business there is turned away before anything is done."""
    found = set()
    for name, visitor in town["visitors"].items():
        address = path.replace(":path", "").format(**town["parts"])
        if path == "/sign-out":
            # It would end the session that the other routes are tried with.
            found.add(name)
            continue
        if method == "POST":
            answer = visitor.post(address, {}, form_token(visitor, town["tokens"]))
        elif method == "PUT":
            answer = visitor.put(address, b"{}")
        else:
            answer = visitor.get(address + ("?back=/policy" if path == "/language" else ""))
        assert answer.status < 500, f"{name} breaks it"
        # A 401 may also say that a password was wrong; then the door is not closed to them.
        first = path == "/" or path.startswith("/api") or "Sign in to open this page" in answer.text
        if answer.status != 403 and (answer.status != 401 or not first):
            found.add(name)

    assert EXPECTED[path][method] == found
