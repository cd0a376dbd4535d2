"""A home in which nothing has happened: each list says what to do next, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Visitor
from support.clients.programs import SIGN_UP, Bailee

LISTS = {
    "/": 1,
    "/admin/sessions": 1,
    "/admin/sessions?account=acc_0000000000000000": 1,
    "/admin/people": 1,
    "/admin/people?q=nobody": 1,
    "/admin/organisations": 1,
    "/admin/requests": 1,
    "/admin/holds": 1,
    "/admin/retention": 1,
    "/admin/audit?kind=no.such": 1,
    "/admin/feedback": 1,
    "/admin/feedback?state=open": 1,
    "/admin/survey": 1,
    "/admin/metrics": 2,
    "/admin/errors": 1,
    "/admin/errors?state=all": 1,
    "/usage": 1,
    "/cloud": 1,
    "/policy?q=xyzzy": 1,
}
OWN = {"/settings/privacy": 3, "/settings/account": 1, "/usage": 1, "/cloud": 1}
EMPTY = re.compile(r'<p class="empty">(.*?)</p>', re.S)


@pytest.mark.row("P3")
def test_what_is_empty_says_what_to_do_next(tmp_path: Path) -> None:
    """Two sentences, or a sentence and a way that leads somewhere; in Chinese no English."""
    bailee = Bailee(tmp_path)
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.up("--upstream", upstream.url, env=SIGN_UP)
        try:
            operator, person = (Visitor(bailee.ready["console"]) for _ in range(2))
            operator.get(bailee.ready["sign_in"])
            found = {path: EMPTY.findall(operator.get(path).text) for path in LISTS}
            chinese = [
                said
                for path in LISTS
                for said in EMPTY.findall(
                    operator.get(f"{path}{'&' if '?' in path else '?'}lang=zh").text
                )
            ]
            ways = {way for some in found.values() for one in some for way in hrefs(one)}
            answers = {way: operator.get(way).status for way in ways}
            fields = {"email": "ada@x.example", "password": "seven pear trees in a row"}
            choice = {"plan": "pro", "choice": "refused"}
            assert 200 == person.submit("/sign-up", "/sign-up", fields | choice).status
            own = {path: EMPTY.findall(person.get(path).text) for path in OWN}
        finally:
            bailee.close()

    assert LISTS == {path: len(some) for path, some in found.items()}
    assert OWN == {path: len(some) for path, some in own.items()}
    assert {200} == set(answers.values())
    for said in (one for some in (*found.values(), *own.values()) for one in some):
        assert hrefs(said) or 2 <= said.count(". ") + said.count(".\n") + said.endswith("."), said
    assert sum(LISTS.values()) == len(chinese)
    assert not [one for one in chinese if not re.search("[\u4e00-\u9fff]", one)]


def hrefs(said: str) -> list[str]:
    """Where what is said leads."""
    return re.findall(r'href="([^"]+)"', said)
