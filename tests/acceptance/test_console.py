"""The console over HTTP: signing in, its first page, the public page, the API."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.browsers.browsing import Visitor, opener
from support.clients.programs import Bailee, message


def browser() -> urllib.request.OpenerDirector:
    """Something that follows redirects and keeps cookies, as a browser does."""
    return opener()


def status(opened: Callable[[], Any]) -> int:
    """The status that a request is answered with."""
    try:
        with opened() as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def link(shared: Bailee) -> str:
    """A new link that signs in."""
    return shared.run("sign-in").stdout.strip()


def test_the_printed_link_signs_in_once_and_shows_what_is_kept(shared: Bailee) -> None:
    """One click, no password; the second click, and a visitor without a cookie, see nothing."""
    message(shared.ready, "hello")
    person = browser()

    with person.open(shared.ready["sign_in"]) as response:
        page = response.read().decode()

    (session,) = shared.json("sessions", "list")
    assert session["id"] in page
    assert "retain.commercial" in page
    console = shared.ready["console"]
    assert 200 == status(lambda: person.open(console))
    assert 401 == status(lambda: browser().open(shared.ready["sign_in"]))
    assert 401 == status(lambda: browser().open(console))


def test_a_new_link_comes_from_the_terminal(shared: Bailee) -> None:
    """`bailee sign-in` prints one for the running server."""
    assert 200 == status(lambda: browser().open(link(shared)))


def test_signing_out_ends_it(shared: Bailee) -> None:
    """The cookie is worthless afterwards."""
    operator = Visitor(shared.ready["console"])
    operator.get(link(shared))
    cookies = list(operator.jar)

    signed_out = operator.submit("/", "/sign-out")
    for cookie in cookies:
        operator.jar.set_cookie(cookie)

    assert 401 == signed_out.status  # it leads to the first page, which asks to sign in
    assert 401 == operator.get("/").status


def test_a_form_from_elsewhere_is_refused(shared: Bailee) -> None:
    """Without the token of a page, with another visitor's, or sent by another site's page."""
    operator, stranger = Visitor(shared.ready["console"]), Visitor(shared.ready["console"])
    operator.get(link(shared))
    stranger.get(link(shared))
    own, theirs = operator.token("/"), stranger.token("/")

    bare = operator.post("/sign-out", {})
    borrowed = operator.post("/sign-out", {}, theirs)
    operator.headers["Sec-Fetch-Site"] = "cross-site"
    foreign = operator.post("/sign-out", {}, own)

    assert [403, 403, 403] == [bare.status, borrowed.status, foreign.status]
    assert 200 == operator.get("/").status


@pytest.mark.row("D5", "P3")
def test_the_public_page_has_the_picture_of_what_runs(shared: Bailee) -> None:
    """The data-flow diagram names the gateway's address and the model that this server has."""
    page = Visitor(shared.ready["console"]).get("/data-usage?lang=en").text

    assert 2 == page.count('<svg class="flow-diagram')
    assert f">{shared.ready['gateway']}</text>" in page.replace("&#x27;", "'")
    assert "SHA-256" in page


def test_the_language_follows_the_browser_until_it_is_switched(shared: Bailee) -> None:
    """By `Accept-Language` first; after the switch by choice, on every page."""
    visitor = Visitor(shared.ready["console"], Accept_Language="fr, zh-CN;q=0.8, en;q=0.5")

    first = visitor.get("/policy")
    switched = visitor.get("/language?to=en&back=/policy")
    elsewhere = visitor.get("/language?to=zh&back=//evil.example/")

    assert 'lang="zh-Hans"' in first.text
    assert (shared.ready["console"] + "/policy", True) == (
        switched.url,
        '<html lang="en">' in switched.text,
    )
    assert shared.ready["console"] + "/" == elsewhere.url


@pytest.mark.row("P3")
@pytest.mark.parametrize(("language", "word"), [("en", "Training"), ("zh", "训练")])
def test_the_public_page_needs_no_account(shared: Bailee, language: str, word: str) -> None:
    """Anyone may read what happens to data here, in both languages."""
    with browser().open(f"{shared.ready['console']}/data-usage?lang={language}") as response:
        page = response.read().decode()

    assert word in page
    assert f'lang="{language}' in page


def test_another_host_name_is_refused(shared: Bailee) -> None:
    """A foreign name pointed at the console's address gets nothing (DNS rebinding)."""
    request = urllib.request.Request(
        shared.ready["console_api"] + "/data-usage", headers={"Host": "evil.example"}
    )

    assert 421 == status(lambda: urllib.request.urlopen(request))


def test_pages_load_nothing_from_elsewhere(shared: Bailee) -> None:
    """The headers forbid it, framing and caching too."""
    with browser().open(link(shared)) as response:
        headers = dict(response.headers.items())

    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "no-store" == headers["cache-control"]


def _api(bailee: Bailee, path: str, key: str, body: object = None) -> Any:
    request = urllib.request.Request(
        bailee.ready["console_api"] + path,
        None if body is None else json.dumps(body).encode(),
        {"x-api-key": key},
        method="GET" if body is None else "PUT",
    )
    with urllib.request.urlopen(request) as response:
        return json.loads(response.read())


@pytest.mark.row("T2")
def test_a_person_chooses_and_sees_only_their_own(shared: Bailee) -> None:
    """Over HTTP with their key; the next request is kept on the new terms."""
    ada = shared.json("key", "create", "--plan", "pro")
    message(shared.ready, "somebody else's")
    message(shared.ready, "before", key=ada["key"])

    before = _api(shared, "/api/v1/privacy/training", ada["key"])
    after = _api(shared, "/api/v1/privacy/training", ada["key"], {"choice": "allowed"})
    message(shared.ready, "afterwards", key=ada["key"])
    sessions = _api(shared, "/api/v1/sessions", ada["key"])["items"]

    assert ("none", "allowed") == (before["choice"], after["choice"])
    assert {ada["account"]} == {s["account"] for s in sessions}
    assert ["retain.consumer-allowed", "retain.consumer-undecided"] == [
        s["retention"]["clause"] for s in sorted(sessions, key=lambda s: s["started"], reverse=True)
    ]


@pytest.mark.row("T4")
def test_what_was_done_before_the_choice_is_not_trained_on(shared: Bailee) -> None:
    """Allowing reaches new sessions, never back to those without activity since."""
    ada = shared.json("key", "create", "--plan", "pro")
    message(shared.ready, "before", key=ada["key"])
    _api(shared, "/api/v1/privacy/training", ada["key"], {"choice": "allowed"})
    message(shared.ready, "afterwards", key=ada["key"])

    listed = (s for s in shared.json("sessions", "list") if s["account"] == ada["account"])
    sessions = sorted(listed, key=lambda s: s["started"])

    assert [("deny", "train.inactive"), ("allow", "train.consumer-allowed")] == [
        (s["training"]["effect"], s["training"]["clause"]) for s in sessions
    ]


@pytest.mark.parametrize(
    ("body", "expected"), [({"choice": "maybe"}, 400), ([1], 400), ({}, 400), ("x" * 20_000, 413)]
)
def test_a_choice_that_is_none_is_refused(shared: Bailee, body: object, expected: int) -> None:
    """In the API's error shape; nothing is recorded."""
    ada = shared.json("key", "create", "--plan", "pro")

    with pytest.raises(urllib.error.HTTPError) as refused:
        _api(shared, "/api/v1/privacy/training", ada["key"], body)

    assert expected == refused.value.code
    assert "error" == json.loads(refused.value.read())["type"]
    assert "none" == _api(shared, "/api/v1/privacy/training", ada["key"])["choice"]


def test_no_key_and_a_wrong_key_are_refused(shared: Bailee) -> None:
    """401, and the address is not used to find out who exists."""
    url = shared.ready["console_api"] + "/api/v1/sessions"

    assert 401 == status(lambda: urllib.request.urlopen(url))
    assert 401 == status(
        lambda: _api(shared, "/api/v1/sessions", "bl_" + "0" * 10 + "_" + "0" * 48)
    )


def test_the_console_names_itself(shared: Bailee) -> None:
    """Browsers are given a name that is its own; programs, the address where it listens."""
    host = urlsplit(shared.ready["console"]).hostname or ""

    assert re.fullmatch(r"bailee-[0-9a-f]{16}\.localhost", host)
    assert "127.0.0.1" == urlsplit(shared.ready["console_api"]).hostname
