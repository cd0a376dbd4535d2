"""Every page of the console, asked with odd fields: each is answered, and none is a defect.

What is tried is found in the console itself: its routes, the fields that each one's handler reads,
and the parts of its address. So a new page or field is tried without a word here.
"""

from __future__ import annotations

import http.client
import re
import types
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, quote_plus, urlencode, urlsplit

import pytest

import bailee.console
from bailee.console import Parts
from bailee.console.site import Site
from bailee.console.table import PageRoute
from bailee.console.visitor import RouteRule
from bailee.operations.routes import BASE
from bailee.policy import load
from bailee.policy.diagram import Configuration
from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Visitor
from support.clients.programs import SIGN_UP, Bailee, message

pytestmark = pytest.mark.row("G1")
PASSWORD = "seven pear trees in a row"
KEY = re.compile(r"bl_[0-9a-f]{10}_[0-9a-f]{48}")
MARKUP = "<script>pear()</script>"
DEEP = '{"id":' + "[" * 3000
CREDENTIAL = '{"id":1,"rawId":[],"response":{"clientDataJSON":5},"type":"public-key"}'
ODD = [
    "", "\0", "a\nb\r\tc", "\u202e\u2066\u200b", MARKUP, "../../etc/passwd", "²", "-1", "1e400",
    "9" * 19, "9" * 5000, "0000-00-00", "9999-12-31", "[]", CREDENTIAL, DEEP, "é" * 800,
    "%s%n{0}{x}",
]  # fmt: skip
BY_ITSELF = [b"%00", b"%C2%B2", b"9" * 19, b"%ED%A0%80", b"%FE", quote_plus(MARKUP).encode()]
AT_ONCE = 5
IN_AN_ADDRESS = ["%00", "%FE", "%C2%B2", "9" * 19, "a" * 4000, "x%0Ay"]
NO_FORMS = [
    b"&&&=&", b"{}", b"%", b"=x", b"x" * 9999, b"a=1&" * 101, b"form_token=a", b"name=a&name=b",
    b"\xff",
]  # fmt: skip
# What is asked for where it is not the field in question; of what is destroyed it names nothing.
GOOD = {
    "email": "mia@x.example", "password": PASSWORD, "plan": "pro", "choice": "refused",
    "reason": "incident 12, asked by Ada", "name": "laptop", "role": "member", "forbidden": "no",
    "side": "request", "exchange": "0", "state": "open", "title": "one", "body": "two",
    "new": PASSWORD, "old": PASSWORD, "number": "1", "until": "2026-12-01", "task": "pear",
    "text": "pear", "network": "none", "document": "{}", "against": "0" * 64, "do": "approve",
}  # fmt: skip
_READ = re.compile(r'(?:given\(|form\.get\(|form\[|query\.get\()"([a-z_]+)"')
READ_ALIKE = {"/sign-in", "/admin/holds", "/settings/account/keys"}  # by one reader
WHO = {  # who signs in is signed out elsewhere, so that is for a stranger to try
    RouteRule.PUBLIC: "stranger", RouteRule.PERSON: "person", RouteRule.KEEPER: "person",
    RouteRule.ADMIN: "person", RouteRule.MEMBER: "person",
}  # fmt: skip
WITHOUT = {"/sign-out"}  # no fields, and it would end what the others are tried with


def pages() -> Iterator[PageRoute]:
    """The console's routes, but for the HTTP API's."""
    nothing: Any = SimpleNamespace(policy=load(), registry=None)
    running = Configuration("http://127.0.0.1:1", False, (), "folder", "file")
    for entry in Site(Parts(nothing, running, nothing)).entries:
        if not entry.path.startswith(BASE) and entry.path not in WITHOUT:
            yield entry


def names() -> set[str]:
    """The fields that are read anywhere in the console."""
    folder = Path(bailee.console.__file__).parent
    return {name for file in folder.rglob("*.py") for name in _READ.findall(file.read_text())}


def read_by(handler: Callable[..., object], known: set[str]) -> list[str]:
    """Those that a handler reads, or what it calls of its own module or class."""
    owner = getattr(handler, "__self__", None)
    found: set[str] = set()
    seen: set[types.CodeType] = set()
    waiting = [getattr(handler, "__func__", handler)]
    while waiting:
        function = waiting.pop()
        if not isinstance(function, types.FunctionType) or function.__code__ in seen:
            continue
        codes = [function.__code__]
        while codes:
            code = codes.pop()
            seen.add(code)
            found |= {one for one in code.co_consts if isinstance(one, str) and one in known}
            codes += [one for one in code.co_consts if isinstance(one, types.CodeType)]
            waiting += [
                getattr(type(owner), name, None) or function.__globals__.get(name)
                for name in code.co_names
            ]
    return sorted(found)


@dataclass
class Town:
    """A server, and three visitors: the operator, a person who owns an organisation, a stranger."""

    address: tuple[str, int]
    host: str
    visitors: dict[str, Visitor]
    parts: dict[str, str]

    def ask(self, who: str, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
        """Status and text of an answer, which has an end."""
        visitor = self.visitors[who]
        cookies = "; ".join(f"{one.name}={one.value}" for one in visitor.jar)
        given = {"Host": self.host, "Cookie": cookies}
        if body is not None:
            given["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return answer.status, answer.read(1 << 20).decode("utf-8", "replace")
        finally:
            connection.close()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """See `Town`."""
    bailee = Bailee(tmp_path_factory.mktemp("town"))
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.up("--upstream", upstream.url, env=SIGN_UP)
        try:
            yield _built(bailee)
        finally:
            bailee.stop()
            bailee.close()


def _built(bailee: Bailee) -> Town:
    console = bailee.ready["console"]
    operator, person = Visitor(console), Visitor(console)
    operator.get(bailee.ready["sign_in"])
    who = {"email": "ada@x.example", "password": PASSWORD, "plan": "pro", "choice": "refused"}
    person.submit("/sign-up", "/sign-up", who)
    made = person.submit(
        "/settings/account", "/settings/account/keys", {"name": "k", "place": "own"}
    )
    message(bailee.ready, "the orchard gate", key=KEY.findall(made.text)[0])
    here = operator.submit(
        "/admin/organisations", "/admin/organisations",
        {"name": "Acme", "plan": "team", "owner": "ada@x.example"},
    )  # fmt: skip
    person.submit("/settings/privacy", "/settings/requests", {"kind": "access"})
    parts = {
        "organisation": here.url.rpartition("/")[2],
        "session": bailee.json("sessions", "list")[0]["id"],
        "person": bailee.json("person", "list")[0]["person"], "exchange": "0", "side": "request",
        "report": "none", "reference": "none", "measure": "none", "issue": "none",
        "tile": "tile/0/000",
        "request": bailee.json("requests", "list")[0]["request"], "language": "en", "form": "html",
    }  # fmt: skip
    at = urlsplit(console)
    assert at.port is not None
    visitors = {"operator": operator, "person": person, "stranger": Visitor(console)}
    return Town(("127.0.0.1", at.port), at.netloc, visitors, parts)


def asked(
    town: Town, entry: PageRoute, known: set[str], turn: Iterator[int]
) -> Iterator[tuple[str, bytes]]:
    """The addresses and forms that a page is tried with: a part of its address odd; a field by
    itself, with what is asked for in the others; and all of them, each otherwise. What is odd goes
    round by `turn`: everything is tried in many places, and not everything in each.
    """
    path, writes = entry.path.replace(":path", ""), entry.method == "POST"
    for part in re.findall(r"{(\w+)}", path):
        odd = IN_AN_ADDRESS[next(turn) % len(IN_AN_ADDRESS)]
        yield path.format(**town.parts | {part: odd}), urlencode(GOOD).encode()
    there, fields = path.format(**town.parts), read_by(entry.handler, known)
    forms = [
        urlencode({name: ODD[next(turn) % len(ODD)] for name in fields}).encode()
        for _ in range(AT_ONCE if fields else 0)
    ]
    good = {name: town.parts.get(name) or GOOD.get(name, "x") for name in fields}
    for name in fields:
        others = urlencode({one: value for one, value in good.items() if one != name}).encode()
        odd_one = BY_ITSELF[next(turn) % len(BY_ITSELF)]
        forms.append(others + b"&%b=%b" % (name.encode(), odd_one))
    for form in [*forms, *(NO_FORMS if entry.path in READ_ALIKE else ())]:
        yield (there, form) if writes else (f"{there}?{quote(form, safe='%&=+')}", b"")


def test_no_field_of_any_page_is_a_defect(town: Town) -> None:
    """Each page that somebody may open, with each field and each part of its address odd: an answer
    that is whole, says nothing of a defect, and shows as text what was sent.
    """
    tokens = {who: one.token("/sign-in").encode() for who, one in town.visitors.items()}
    known, got, turn = names(), Counter[int](), count()
    defects: list[str] = []
    out: list[str] = []  # who was signed out tries nothing any more
    for entry in pages():
        who = WHO.get(entry.rule, "operator")
        for path, form in asked(town, entry, known, turn):
            body = form + b"&form_token=" + tokens[who] if entry.method == "POST" else None
            status, text = town.ask(who, entry.method, path, body)
            got[status] += 1
            if status >= 500 or "a defect of bailee" in text or MARKUP in text:
                defects.append(f"{status} {entry.method} {path[:80]} {form[:200]!r}")
            if who != "stranger" and "Sign in to open this page" in text:
                out.append(f"{who} {entry.method} {path[:80]} {form[:200]!r}")
    assert ([], []) == (defects, out[:1])
    assert got[200] > 150 and got[400] > 100, got  # they were read, and not refused before
