"""Every action of the console, carried out: what was done is answered, with a page that is whole.

An action that is done and then breaks is worse than one that is refused: the person is there and
their key is never shown. Routes are counted from the console itself; a new one fails here until it
is carried out, or says where it is.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from bailee.console import Parts
from bailee.console.site import Site
from bailee.operations.routes import BASE
from bailee.policy import load
from bailee.policy.diagram import Configuration
from bailee.policy.loading import content
from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Answer, Visitor
from support.clients.programs import SIGN_UP, Bailee, message

PASSWORD = "seven pear trees in a row"
NEW_PASSWORD = PASSWORD + ", and a plum"
KEY = re.compile(r"bl_[0-9a-f]{10}_[0-9a-f]{48}")
OF = "/organisations/{organisation}"
ELSEWHERE = {
    "/admin/requests": "a person who is an operator: tests/acceptance/test_requests.py",
    **{
        f"/admin/requests/{{request}}/{step}": "tests/acceptance/test_requests.py"
        for step in ("inventory", "export", "hold", "erase", "answer", "extend", "close")
    },
    "/settings/requests": "tests/acceptance/test_requests.py",
    "/usage/increases": "a limit: tests/acceptance/test_spend_limits.py",
    f"{OF}/increases/approve": "a request: tests/acceptance/test_spend_limits.py",
    f"{OF}/increases/deny": "a request: tests/acceptance/test_spend_limits.py",
    f"{OF}/policy": "a document: tests/acceptance/test_own_policy.py",
    f"{OF}/policy/trial": "a document: tests/acceptance/test_own_policy.py",
    "/sign-in/passkey/begin": "a passkey: tests/browser",
    "/sign-in/passkey": "a passkey: tests/browser",
    "/sign-in/organisation": "a provider: tests/acceptance/test_key_terms.py",
    "/device": "a client that waits: tests/acceptance/test_sign_in.py",
    "/settings/account/clients/end": "a client: tests/acceptance/test_sign_in.py",
    "/settings/account/passkeys/begin": "a passkey: tests/browser",
    "/settings/account/passkeys": "a passkey: tests/browser",
    "/settings/account/passkeys/remove": "a passkey: tests/browser",
    "/cloud": "a machine: tests/browser/test_cloud.py",
    "/cloud/{session}/send": "a machine: tests/browser/test_cloud.py",
    "/cloud/{session}/stop": "a machine: tests/browser/test_cloud.py",
    "/cloud/{session}/delete": "a machine: tests/browser/test_cloud.py",
    "/cloud/{session}/read": "a machine: tests/browser/test_cloud.py",
    "/admin/feedback/{report}/issue": "GitHub's API: tests/browser/test_feedback.py",
    "/admin/errors/{issue}": "an SDK's error: tests/acceptance/test_telemetry_pages.py",
}


@dataclass
class Stage:
    """A server, the operator, a person who administers an organisation, and what there is."""

    bailee: Bailee
    operator: Visitor
    person: Visitor
    names: dict[str, str] = field(default_factory=dict)

    def session(self) -> str:
        """A session of the person's own account, made now."""
        before = {one["id"] for one in self.bailee.json("sessions", "list")}
        message(self.bailee.ready, "the orchard gate", key=self.names["key"])
        after = {one["id"] for one in self.bailee.json("sessions", "list")}
        return (after - before).pop()

    def report(self) -> str:
        """A report of the person's."""
        request = urllib.request.Request(
            self.bailee.ready["ingest"]["otlp"] + "/api/claude_cli_feedback",
            json.dumps({"content": json.dumps({"description": "medlar"})}).encode(),
            {"content-type": "application/json", "x-api-key": self.names["key"]},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return str(json.loads(response.read())["feedback_id"])


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """See `Stage`."""
    bailee = Bailee(tmp_path_factory.mktemp("actions"))
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.up("--upstream", upstream.url, env=SIGN_UP)
        try:
            console = bailee.ready["console"]
            made = Stage(bailee, Visitor(console), Visitor(console))
            made.operator.get(bailee.ready["sign_in"])
            yield made
        finally:
            bailee.close()


def of_person(page: str, **fields: str) -> Callable[[Stage, str], Answer]:
    """The person sends a page's form."""
    return lambda s, path: s.person.submit(
        page.format(**s.names), path, {k: v.format(**s.names) for k, v in fields.items()}
    )


def of_operator(page: str, **fields: str) -> Callable[[Stage, str], Answer]:
    """The operator does."""
    return lambda s, path: s.operator.submit(
        page.format(**s.names), path, {k: v.format(**s.names) for k, v in fields.items()}
    )


def sign_up(stage: Stage, path: str) -> Answer:
    """The first thing that is done; afterwards there is an organisation that they own."""
    return stage.person.submit(
        "/sign-up", path,
        {"email": "ada@x.example", "password": PASSWORD, "plan": "pro", "choice": "refused"},
    )  # fmt: skip


def make_key(stage: Stage, path: str) -> Answer:
    """A key of the person's own account."""
    answer = stage.person.submit("/settings/account", path, {"name": "laptop", "place": "own"})
    stage.names["key"] = KEY.findall(answer.text)[0]
    stage.names["key_id"] = "key_" + stage.names["key"].split("_")[1]
    return answer


def make_organisation(stage: Stage, path: str) -> Answer:
    """One that the person owns."""
    answer = stage.operator.submit(
        "/admin/organisations", path, {"name": "Acme", "plan": "team", "owner": "ada@x.example"}
    )
    stage.names["organisation"] = answer.url.rpartition("/")[2]
    return answer


def add_person(stage: Stage, path: str) -> Answer:
    """A person whom the operator makes: their key is shown, and made for them."""
    answer = stage.operator.submit("/admin/people", path, {"email": "new@x.example", "plan": "pro"})
    found = stage.bailee.json("person", "show", "new@x.example")
    stage.names["new"], stage.names["new_key"] = found["person"], found["keys"][0]["key_id"]
    return answer


def delete_session(stage: Stage, path: str) -> Answer:
    """One of the person's own."""
    session = stage.session()
    return stage.person.submit("/settings/privacy", path.replace("{session}", session))


def search_own(stage: Stage, path: str) -> Answer:
    """The person's own by their words: with its title and where the words stand, and a link."""
    session = stage.session()
    answer = stage.person.submit("/settings/privacy", path, {"words": "ORCHARD"})
    assert f"/settings/sessions/{session}" in answer.text
    assert "the orchard gate" in answer.text
    nothing = stage.person.submit("/settings/privacy", path, {"words": "quagga .* %"})
    assert "/settings/sessions/" + session not in nothing.text
    return answer


def search_theirs(stage: Stage, path: str) -> Answer:
    """Another's, for a reason; without one nothing is searched."""
    session = stage.session()
    account = stage.bailee.json("sessions", "list")[0]["account"]
    words = {"account": account, "words": "orchard gate"}
    assert 400 == stage.operator.submit("/admin/sessions", path, words).status
    why = {"reason": "incident 12, asked by Ada"}
    answer = stage.operator.submit("/admin/sessions", path, {**words, **why})
    assert f"/admin/sessions/{session}" in answer.text
    return answer


def keep_session(stage: Stage, path: str) -> Answer:
    """One of the person's own, through a day; the page says until when, and that it is by them."""
    session = stage.names["kept"] = stage.session()
    page = stage.person.get(f"/settings/sessions/{session}").text
    (most,) = re.findall(r'type="date"[^>]* max="([^"]+)"', page)
    answer = stage.person.submit(
        f"/settings/sessions/{session}", path.replace("{session}", session), {"until": most}
    )
    assert "You keep it" in answer.text
    assert "/release" in answer.text
    return answer


def release_session(stage: Stage, path: str) -> Answer:
    """The same; it goes by its own time again."""
    session = stage.names["kept"]
    answer = stage.person.submit(
        f"/settings/sessions/{session}", path.replace("{session}", session)
    )
    assert "You keep it" not in answer.text
    return answer


def withdraw(stage: Stage, path: str) -> Answer:
    """A report of the person's own."""
    return stage.person.submit("/settings/privacy", path.replace("{report}", stage.report()))


def read_session(stage: Stage, path: str) -> Answer:
    """Another's session, for a reason."""
    session = stage.names["session"] = stage.session()
    return stage.operator.submit(
        f"/admin/sessions/{session}", path.replace("{session}", session),
        {"reason": "incident 12, asked by Ada"},
    )  # fmt: skip


def read_bytes(stage: Stage, path: str) -> Answer:
    """Of another's session, what came as bytes, for a reason."""
    session = "0d7c3d1c-32a5-4d0c-8f0b-0d7c3d1c1a99"
    twice = b'{"model":"m","messages":[{"role":"user","content":"plum","content":"pear"}]}'
    headers = {"x-api-key": stage.names["key"], "x-claude-code-session-id": session}
    urllib.request.urlopen(
        urllib.request.Request(stage.bailee.ready["gateway"] + "/v1/messages", twice, headers),
        timeout=30,
    ).close()
    stage.bailee.json("sessions", "list")
    return stage.operator.submit(
        f"/admin/sessions/{session}", path.replace(stage.names["session"], session),
        {"reason": "incident 12, asked by Ada", "exchange": "0", "side": "request"},
    )  # fmt: skip


def release(stage: Stage, path: str) -> Answer:
    """The hold that was placed."""
    hold = stage.bailee.json("hold", "list")[0]["hold"]
    return stage.operator.submit("/admin/holds", path, {"hold": hold})


def on_report(**fields: str) -> Callable[[Stage, str], Answer]:
    """The operator acts on a report."""

    def act(stage: Stage, path: str) -> Answer:
        report = stage.report()
        page = f"/admin/feedback/{report}"
        return stage.operator.submit(page, path.replace("{report}", report), fields)

    return act


def revoke_there(stage: Stage, path: str) -> Answer:
    """A key of the organisation."""
    page = OF.format(**stage.names)
    made = stage.person.submit(
        "/settings/account", "/settings/account/keys",
        {"name": "k", "place": stage.names["organisation"]},
    )  # fmt: skip
    key_id = "key_" + KEY.findall(made.text)[0].split("_")[1]
    return stage.person.submit(page, path, {"key_id": key_id})


def remove_scim_token(stage: Stage, path: str) -> Answer:
    """A token of the organisation's provider."""
    made = stage.bailee.json("organisation", "scim", "add", stage.names["organisation"])
    return stage.operator.submit(OF.format(**stage.names), path, {"token": made["id"]})


def sign_out_elsewhere(stage: Stage, path: str) -> Answer:
    """Another browser of the person's."""
    other = Visitor(stage.bailee.ready["console"])
    other.submit("/sign-in", "/sign-in", {"email": "ada@x.example", "password": NEW_PASSWORD})
    page = stage.person.get("/settings/account").text
    (session,) = re.findall(r'name="session" value="([^"]+)"', page)
    return stage.person.submit("/settings/account", path, {"session": session})


def activate(s: Stage, path: str) -> Answer:
    """Let a document hold that was compared with the one that does, by the page's own form: what a
    consumer allowed is kept six years.
    """
    document = content(None).decode().replace("P5Y", "P6Y")
    fields = {"document": document.replace("\n", "\r\n")}  # as browsers send it
    shown = s.operator.submit("/policy/difference", "/policy/difference", fields).text
    assert "<code>accounts.sign_up_plans</code>" in shown  # what becomes of the settings
    against = re.findall(r'name="against" value="([0-9a-f]{64})"', shown)
    fields |= {"against": against[0], "reason": "the board decided it"}
    return s.operator.submit("/policy/difference", path, fields)


def see_terms(s: Stage, path: str) -> Answer:
    """Say that one has seen what changed, which the privacy page tells until then."""
    told = s.person.get("/settings/privacy").text
    number = re.findall(r'name="number" value="(\d+)"', told)
    assert "5 years → 6 years" in told
    seen = s.person.submit("/settings/privacy", path, {"number": number[0]})
    assert "5 years → 6 years" not in seen.text
    return seen


def bring(s: Stage, path: str) -> Answer:
    """A list, looked at first: nobody is there by that; then done, with a row that can't be."""
    rows = "\ufeffemail,plan,role\r\nzoe@x.example,team,\r\nno-address,,\r\n"
    tried = s.operator.submit("/admin/bring", path, {"list": rows, "act": "try"})
    assert "nothing is done yet" in tried.text
    assert "zoe@x.example" not in s.operator.get("/admin/people").text
    wrong = s.operator.submit("/admin/bring", path, {"list": "who\r\nzoe", "act": "do"})
    assert 400 == wrong.status
    done = s.operator.submit("/admin/bring", path, {"list": rows, "act": "do"})
    assert "zoe@x.example" in s.operator.get("/admin/people").text
    return done


def save_view(s: Stage, path: str) -> Answer:
    """Of the person's own sessions, turned round: a link above the list from then on."""
    fields = {"list": "own-sessions", "name": "from the start", "asked": "order=oldest"}
    answer = s.person.submit("/settings/privacy", path, fields)
    assert answer.url.endswith("/settings/privacy?order=oldest#sessions")
    assert '<a href="/settings/privacy?order=oldest#sessions" aria-current="true">' in answer.text
    return answer


def delete_view(s: Stage, path: str) -> Answer:
    """The same."""
    page = s.person.get("/settings/privacy").text
    (view,) = re.findall(r'name="view" value="([^"]+)"', page)
    fields = {"list": "own-sessions", "view": view}
    answer = s.person.submit("/settings/privacy", path, fields)
    assert "from the start" not in answer.text
    return answer


def limit(s: Stage, path: str) -> Answer:
    """On what everybody costs; what is no amount is refused, with what was typed still there."""
    fields = {"measure": "money", "per": "month", "of": ""}
    wrong = s.operator.submit("/usage", path, {**fields, "amount": "1e9"})
    assert (400, True) == (wrong.status, 'value="1e9"' in wrong.text)
    answer = s.operator.submit("/usage", path, {**fields, "amount": "20.50"})
    assert "$20.50" in answer.text
    return answer


def unlimit(s: Stage, path: str) -> Answer:
    """The same."""
    (found,) = s.bailee.json("limits", "list")
    answer = s.operator.submit("/usage", path, {"limit": found["id"]})
    assert "$20.50" not in answer.text
    return answer


def bind_provider(s: Stage, path: str) -> Answer:
    """One that speaks for a domain; the page says so from then on."""
    page = OF.format(**s.names)
    fields = {"domain": "orchard.example", "issuer": "https://op.example", "client_id": "bailee"}
    wrong = s.operator.submit(page, path, {**fields, "issuer": "http://op.example"})
    assert 400 == wrong.status
    answer = s.operator.submit(page, path, fields)
    assert "https://op.example speaks for orchard.example" in answer.text
    return answer


def limit_members(s: Stage, path: str) -> Answer:
    """Of what each member may cost, of a team and one for whom that is lifted, and of what a team
    shares: unlimited is a word in both languages and no amount, there and on the page of the
    organisation's own document.
    """
    page = OF.format(**s.names) + "/usage"
    fields = {"measure": "money", "per": "month", "of": ""}
    wrong = s.person.submit(page, path, {**fields, "of": "nobody@x.example", "amount": "7"})
    assert (404, True) == (wrong.status, 'value="nobody@x.example"' in wrong.text)
    assert 400 == s.person.submit(page, path, {**fields, "amount": ""}).status
    each = s.person.submit(page, path, {**fields, "amount": "31.50"})
    assert "$31.50" in each.text
    lifted = {**fields, "amount": "", "unlimited": "yes"}
    s.person.submit(page, path, {**lifted, "of": "pilots"})
    answer = s.person.submit(page, path, {**lifted, "of": "ada@x.example"})
    assert "Acme/pilots" in answer.text
    assert "Acme/ada@x.example" in answer.text
    for shown in (answer.text, s.person.get(OF.format(**s.names) + "/policy").text):
        assert "unlimited" in shown
        assert "$31.50" in shown
        assert "$1,000,000,000" not in shown
    s.person.headers["accept-language"] = "zh"
    assert "不限" in s.person.get(page).text
    del s.person.headers["accept-language"]
    assert 400 == s.person.submit(page, path, {**fields, "amount": "9", "pool": "yes"}).status
    shared = {**fields, "amount": "9", "pool": "yes", "of": "pilots"}
    answer = s.person.submit(page, path, shared)
    assert re.search(r"pool of\s+<span[^>]*>Acme/pilots", answer.text)
    assert {
        "members": 31_500_000,
        "team_members": 10**15,
        "member": 10**15,
        "pool": 9_000_000,
    } == {one["scope"]: one["amount"] for one in s.bailee.json("limits", "list")}
    return answer


def unlimit_members(s: Stage, path: str) -> Answer:
    """All of them; the sums, which are the operator's, have no button there."""
    page = OF.format(**s.names) + "/usage"
    s.bailee.run(
        "limits", "set", "--requests", "9000", "--per", "day", "--of", s.names["organisation"]
    )
    shown = s.person.get(page).text
    assert "9000" in shown
    found = re.findall(r'name="limit" value="([^"]+)"', shown)
    assert 4 == len(found)
    for one in found:
        answer = s.person.submit(page, path, {"limit": one})
    assert "$31.50" not in answer.text
    (left,) = s.bailee.json("limits", "list")
    s.bailee.run("limits", "remove", left["id"])
    return answer


ACTIONS: dict[str, Callable[[Stage, str], Answer]] = {
    "/sign-up": sign_up,
    "/admin/organisations": make_organisation,
    "/settings/account/keys": make_key,
    "/admin/people": add_person,
    "/settings/choice": of_person("/settings/choice", choice="allowed"),
    "/settings/sessions/search": search_own,
    "/admin/search": search_theirs,
    "/settings/sessions/{session}/delete": delete_session,
    "/settings/sessions/{session}/keep": keep_session,
    "/settings/sessions/{session}/release": release_session,
    "/settings/views": save_view,
    "/settings/views/delete": delete_view,
    "/settings/feedback/{report}/withdraw": withdraw,
    "/admin/sessions/{session}/read": read_session,
    "/admin/sessions/{session}/bytes": read_bytes,
    "/admin/holds": of_operator("/admin/holds", session="{session}", reason="court order 7"),
    "/admin/holds/release": release,
    "/admin/feedback/{report}/read": on_report(reason="triage of the week"),
    "/admin/feedback/{report}/state": on_report(state="closed"),
    OF + "/members": of_person(OF, person="{new}", role="member"),
    OF + "/keys/revoke": revoke_there,
    OF + "/members/remove": of_person(OF, person="{new}"),
    OF + "/keeping": of_person(OF, forbidden="yes"),
    OF + "/provider": bind_provider,
    OF + "/scim": of_operator(OF),
    OF + "/scim/remove": remove_scim_token,
    OF + "/partner/join": of_person(OF + "/partner", confirmation="Acme"),
    OF + "/partner/leave": of_person(OF),
    "/admin/bring": bring,
    OF + "/limits": limit_members,
    OF + "/limits/remove": unlimit_members,
    "/usage/limits": limit,
    "/usage/limits/remove": unlimit,
    "/policy/difference": lambda s, path: s.operator.submit(
        "/policy/difference", path, {"document": content(None).decode()}
    ),
    "/policy/activation": activate,
    "/settings/terms": see_terms,
    "/settings/account/password": of_person("/settings/account", old=PASSWORD, new=NEW_PASSWORD),
    "/settings/account/sign-out-elsewhere": sign_out_elsewhere,
    "/settings/account/sign-out-others": of_person("/settings/account"),
    "/settings/account/keys/revoke": of_person("/settings/account", key_id="{key_id}"),
    "/settings/export": of_person("/settings/privacy"),
    "/admin/people/{person}/export": lambda s, path: s.operator.submit(
        f"/admin/people/{s.names['new']}", path.replace("{person}", s.names["new"])
    ),
    "/admin/people/{person}/erase": lambda s, path: s.operator.submit(
        f"/admin/people/{s.names['new']}",
        path.replace("{person}", s.names["new"]),
        {"confirmation": s.names["new"]},
    ),
    "/sign-out": of_person("/settings/privacy"),
    "/sign-in": lambda s, path: s.person.submit(
        "/sign-in", path, {"email": "ada@x.example", "password": NEW_PASSWORD}
    ),
    "/settings/erase": of_person("/settings/erase", confirmation="ada@x.example"),
}
"""In the order in which they are carried out."""


def test_every_action_is_carried_out_here_or_elsewhere() -> None:
    """A new route is in one of the tables."""
    nothing: Any = SimpleNamespace(policy=load(), registry=None)
    running = Configuration("http://127.0.0.1:1", False, (), "folder", "file")
    site = Site(Parts(nothing, running, nothing))

    assert {*ACTIONS, *ELSEWHERE} == {
        entry.path
        for entry in site.entries
        if entry.method == "POST" and not entry.path.startswith(f"{BASE}/")  # test_api.py
    }


@pytest.mark.row("T1")
def test_what_was_done_is_answered_by_a_whole_page(stage: Stage) -> None:
    """None breaks after it has acted; a key is shown by the action that made it, once, and by no
    page afterwards.
    """
    broken, shown = {}, {}
    for path, act in ACTIONS.items():
        answer = act(stage, path.format(**{"session": "{session}", "report": "{report}",
                                           "person": "{person}", **stage.names}))  # fmt: skip
        wanted = 401 if path == "/sign-out" else 200  # it leads to the form for signing in
        if answer.status != wanted or "a defect of bailee" in answer.text:
            broken[path] = (answer.status, re.findall(r'role="alert">(.*?)</div>', answer.text))
        if KEY.search(answer.text):
            shown[path] = len(set(KEY.findall(answer.text)))

    assert {} == broken
    assert {"/settings/account/keys": 1, "/admin/people": 1} == shown
    assert not KEY.search(stage.operator.get("/admin/people").text)
    made = stage.bailee.json("audit", "list", "--kind", "person.created", "--limit", "500")
    assert 3 == len(made)
