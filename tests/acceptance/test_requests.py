"""An officer's pages: a person asks on theirs, the officer works on it, an auditor looks on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Visitor
from support.clients.programs import SIGN_UP, Bailee, message

pytestmark = pytest.mark.row("R6", "P4")
PASSWORD = "seven pear trees in a row"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bailee, dict[str, Visitor]]]:
    """A server with Ada, an officer who is an operator by name, and an auditor, all signed in."""
    bailee = Bailee(tmp_path_factory.mktemp("officer"))
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.up("--upstream", upstream.url, env=SIGN_UP)
        try:
            people = {}
            for name in ("ada", "auditor"):
                people[name] = Visitor(bailee.ready["console"])
                fields = {"email": f"{name}@x.example", "password": PASSWORD}
                choice = {"plan": "pro", "choice": "refused"}
                assert 200 == people[name].submit("/sign-up", "/sign-up", fields | choice).status
            assert 0 == bailee.run("person", "auditor", "auditor@x.example").returncode
            key = bailee.json(
                "person", "create", "--email", "dana@x.example", "--operator", "--plan", "team"
            )["key"]
            typed = f"{PASSWORD}\n{PASSWORD}\n"
            assert 0 == bailee.run("person", "password", "--key", key, given=typed).returncode
            people["dana"] = Visitor(bailee.ready["console"])
            signed = {"email": "dana@x.example", "password": PASSWORD}
            assert 200 == people["dana"].submit("/sign-in", "/sign-in", signed).status
            ada = bailee.json("key", "create", "--person", "ada@x.example")
            message(bailee.ready, "medlar jelly", key=ada["key"])
            yield bailee, people
        finally:
            bailee.close()


def test_an_erasure_in_the_console(served: tuple[Bailee, dict[str, Visitor]]) -> None:
    """Ada asks, Dana answers; the letter is a file; what the auditor sees names nobody."""
    bailee, people = served
    ada, dana, auditor = people["ada"], people["dana"], people["auditor"]
    asked = ada.submit(
        "/settings/privacy", "/settings/requests", {"kind": "erasure", "said": "all of it"}
    )
    (request,) = set(re.findall(r"req_[0-9a-z]{12}", asked.text))
    assert (200, True) == (asked.status, "open" in asked.text)
    page = f"/admin/requests/{request}"
    assert request in dana.get("/admin/requests").text and "all of it" in dana.get(page).text
    held = dana.submit(page, f"{page}/inventory")
    assert "Sessions of your own" in held.text and "retain.consumer" in held.text

    opened = dana.submit(
        "/admin/requests", "/admin/requests", {"kind": "access", "email": "ada@x.example"}
    )
    other = opened.url.rpartition("/")[2]
    refused = dana.submit(f"/admin/requests/{other}", f"/admin/requests/{other}/answer")
    assert (400, True) == (refused.status, "no copy has been made" in refused.text)
    later = dana.submit(
        f"/admin/requests/{other}", f"/admin/requests/{other}/extend",
        {"reason": "there are many archives"},
    )  # fmt: skip
    assert "there are many archives" in later.text
    session = bailee.json("sessions", "list")[0]["id"]
    wrong = dana.submit(page, f"{page}/hold", {"session": "cs-none", "reason": "matter 7"})
    assert (404, True) == (wrong.status, "nothing of who asks" in wrong.text)
    dana.submit(page, f"{page}/hold", {"session": session, "reason": "matter 7"})

    typed = dana.submit(page, f"{page}/erase", {"confirmation": "yes"})
    assert (400, True) == (typed.status, "Nothing was erased" in typed.text)
    erased = dana.submit(page, f"{page}/erase", {"confirmation": request})
    assert "on hold" in erased.text and session in erased.text
    answered = dana.submit(page, f"{page}/answer")
    assert "answered" in answered.text
    steps = answered.text.partition("What was done")[2]
    assert "dana@x.example" in steps and "dana@" not in auditor.get(page).text
    for language, words in (("en", "except for what stands below"), ("zh", "法律保全")):
        letter = dana.get(f"{page}/letter/{language}/html")
        assert (200, True) == (letter.status, words in letter.text)
        assert "ada@x.example" in letter.text
    for address in ("/admin/requests?all=1", page, "/admin/audit", "/admin/promises"):
        seen = auditor.get(address)
        assert (200, False) == (seen.status, "ada@" in seen.text or "all of it" in seen.text)
    assert 403 == auditor.get("/admin/people").status == auditor.get("/admin/sessions").status
    closed = dana.submit(page, f"{page}/close")
    assert "ada@" not in closed.text and 404 == dana.get(f"{page}/letter/en/html").status
    assert request in dana.get("/admin/requests?email=ada@x.example").text


def test_a_copy_in_the_console(served: tuple[Bailee, dict[str, Visitor]]) -> None:
    """Of who asks; the nameless operator looks and takes no step."""
    bailee, people = served
    dana, nameless = people["dana"], Visitor(bailee.ready["console"])
    nameless.get(bailee.ready["sign_in"])
    opened = dana.submit(
        "/admin/requests", "/admin/requests", {"kind": "access", "email": "auditor@x.example"}
    )
    page = opened.url[opened.url.index("/admin") :]
    assert "Sign in as yourself" in nameless.get(page).text
    refused = nameless.post(f"{page}/answer", {}, nameless.token("/admin/requests"))
    assert (403, True) == (refused.status, "with a name" in refused.text)
    copy = dana.submit(page, f"{page}/export")
    assert ("application/zip", "PK") == (copy.headers["content-type"], copy.text[:2])
    assert "answered" in dana.submit(page, f"{page}/answer").text


def test_the_same_over_http(served: tuple[Bailee, dict[str, Visitor]]) -> None:
    """A person with their key asks, and sees how it stands."""
    bailee, _ = served
    made = bailee.json("person", "create", "--email", "eve@x.example", "--plan", "pro")
    there = ("--json", "--server", bailee.ready["console"])
    key = {"BAILEE_API_KEY": made["key"]}
    asked = json.loads(bailee.run("requests", "open", "objection", *there, env=key).stdout)
    (mine,) = json.loads(bailee.run("requests", "list", *there, env=key).stdout)
    assert (asked["request"], "open") == (mine["request"], mine["state"])


def test_an_officer_reads_it_in_chinese(tmp_path: Path) -> None:
    """By the locale, each sentence and head of a column; asked for English, English."""
    bailee = Bailee(tmp_path)
    bailee.json("person", "create", "--email", "ada@x.example", "--plan", "pro")
    bailee.json("person", "create", "--email", "dana@x.example", "--operator", "--plan", "team")
    env = {"LANG": "zh_CN.UTF-8", "BAILEE_AS": "dana@x.example"}

    opened = bailee.run("requests", "open", "erasure", "--email", "ada@x.example", env=env)
    held = bailee.run("requests", "inventory", "ada@x.example", env=env)
    shown = bailee.run("requests", "show", "ada@x.example", env=env)
    english = bailee.run("requests", "show", "ada@x.example", "--lang", "en", env=env)

    assert re.fullmatch(r"req_\w+：删除，待处理，期限 \d{4}-\d\d-\d\d。\n", opened.stdout)
    assert "由谁决定" in held.stdout and "账户" in held.stdout
    assert "查询所持数据" in shown.stdout
    assert "looked up what is held" in english.stdout
    assert ("", "", "") == (opened.stderr, held.stderr, shown.stderr)
