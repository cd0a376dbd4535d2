"""An organisation's own document, as its owner and its people meet it: by commands, at the gateway
of a server that runs, by HTTP and in the console.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import pytest

from bailee.testing.upstream import ScriptedUpstream, Text
from support.browsers.browsing import Visitor
from support.clients.programs import Bailee
from support.own_documents import OF_THEIR_OWN, kept, own

pytestmark = pytest.mark.row("P1", "P2", "R1")
WHY = "the works council asked"
SECRET = "the pears are for Tuesday"
SEARCH: Any = [{"type": "web_search_20250305", "name": "web_search"}]


class Firm(NamedTuple):
    """A server, with an organisation that has an owner, and a key of its own."""

    bailee: Bailee
    upstream: ScriptedUpstream
    organisation: str
    owner: str
    key: str
    folder: Path

    def document(self, text: str) -> str:
        """A document in a file."""
        file = self.folder / "own.toml"
        file.write_text(text)
        return str(file)

    def policy(self, *arguments: str) -> Any:
        """A command of the owner's, whose key is given."""
        return self.bailee.json("organisation", "policy", *arguments, "--key", self.owner)

    def say(self, text: str, **more: Any) -> None:
        """A conversation by the vendor's own client."""
        url = self.bailee.ready["gateway"]
        client = anthropic.Anthropic(base_url=url, api_key=self.key, max_retries=0)
        self.upstream.then(Text("hello"))
        said: Any = [{"role": "user", "content": text}]
        client.messages.create(model="claude-sonnet-4-5", max_tokens=9, messages=said, **more)


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    """One for all tests of this file, which stand in order."""
    folder = tmp_path_factory.mktemp("firm")
    bailee = Bailee(folder)
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.declare(upstream.url, terms='retains = false\ntrains = false\nregion = "eu"')
        bailee.up()
        made = bailee.json("organisation", "create", "Acme", "--plan", "team")
        owner = bailee.json("person", "create", "--email", "owner@x.example", "--plan", "pro")
        bailee.json(
            "organisation", "member", "add", made["organisation"], "owner@x.example",
            "--role", "owner",
        )  # fmt: skip
        key = bailee.json("key", "create", "--organisation", made["organisation"], "--name", "ci")
        yield Firm(bailee, upstream, made["organisation"], owner["key"], key["key"], folder)
        bailee.close()


def test_an_owner_has_sessions_kept_for_a_week(firm: Firm) -> None:
    """By commands, on a server that runs: shown before, for a reason, and in force for the next
    request. What the terms of a key say, the list of sessions and the command that explains say it.
    """
    firm.say("before")
    refused = firm.bailee.run(
        "organisation", "policy", "set", firm.organisation, firm.document(kept(60)),
        "--reason", WHY, "--yes",
    )  # fmt: skip
    assert 1 == refused.returncode
    assert "own.days has P60D where the operator's retain.commercial has P30D" in refused.stderr
    tried = firm.policy("diff", firm.organisation, firm.document(OF_THEIR_OWN))
    assert 1 == tried["trial"]["changed_sessions"]
    done = firm.policy(
        "set", firm.organisation, firm.document(OF_THEIR_OWN), "--reason", WHY, "--yes"
    )
    firm.say("after")

    listed = firm.bailee.sessions(2)
    assert {("P7D", "own.seven-days")} == {
        (one["retention"]["period"], one["retention"]["clause"]) for one in listed
    }
    shown = firm.bailee.json("key", "show", "--key", firm.key)
    assert "kept 7 days" in shown["terms"]["in_words"]
    said = firm.bailee.run("organisation", "policy", "show", firm.organisation)
    assert "own.seven-days  retain: 7 days" in said.stdout and WHY in said.stdout
    assert done["document"] in said.stdout
    text = firm.bailee.run("organisation", "policy", "show", firm.organisation, "--text")
    assert OF_THEIR_OWN == text.stdout
    explained = firm.bailee.run(
        "organisation", "policy", "explain", firm.organisation, "retain", "data_class=transcript",
        "plan=team", "channel=api", "training_choice=none", "zero_retention=false",
        "partner_programme=false",
    )  # fmt: skip
    assert "is kept for 7 days" in explained.stdout
    assert "The operator's document has: 30 days (retain.commercial)" in explained.stdout


@pytest.mark.row("O4")
def test_what_it_refuses_is_refused_with_its_words(firm: Firm) -> None:
    """Before a byte is sent, in the API's own shape; the operator's own key may go on."""
    before = len(firm.upstream.requests)
    with pytest.raises(anthropic.PermissionDeniedError) as refused:
        firm.say("look it up", tools=SEARCH)
    assert "不使用由提供商搜索的网页" in str(refused.value)
    assert "(clause own.no-search)" in str(refused.value)
    assert before == len(firm.upstream.requests)
    url = f"{firm.bailee.ready['gateway']}/v1/files"
    request = urllib.request.Request(url, headers={"x-api-key": firm.key})
    with pytest.raises(urllib.error.HTTPError) as other:
        urllib.request.urlopen(request, timeout=30)
    with other.value as answer:
        assert 403 == answer.code
        assert "Conversations alone. (clause own.no-other)" in answer.read().decode()


@pytest.mark.row("R2")
def test_nothing_is_kept_where_it_says_so(firm: Firm) -> None:
    """As with a key of zero retention: the words are nowhere in the home, and what was there is
    gone. After a new start too; then it is removed by HTTP, and the operator's holds again.
    """
    firm.policy("set", firm.organisation, firm.document(kept(0)), "--reason", WHY, "--yes")
    firm.say(SECRET)
    assert [] == firm.bailee.json("sessions", "list")
    firm.bailee.stop()
    assert [] == firm.bailee.holds(SECRET.encode())
    firm.bailee.up()
    firm.say(SECRET)
    assert [] == firm.bailee.json("sessions", "list")

    api = Visitor(firm.bailee.ready["console"], authorization=f"Bearer {firm.owner}")
    done = api.delete(f"/api/v1/organisations/{firm.organisation}/policy?reason=it+is+over")
    assert (200, None) == (done.status, json.loads(done.text)["document"])
    firm.say("as before")
    (kept_now,) = firm.bailee.sessions(1)
    assert "P30D" == kept_now["retention"]["period"]


def test_an_owner_changes_it_in_the_console_and_it_is_shown_there(firm: Firm) -> None:
    """What it would change, and then the button; a mistake is said with its line; the label of the
    organisation, and "why?", speak of it.
    """
    visitor = Visitor(firm.bailee.ready["console"])
    visitor.get(firm.bailee.run("sign-in").stdout.strip().split("\n")[-1])
    of = f"/organisations/{firm.organisation}"
    page = f"{of}/policy"
    wrong = visitor.submit(page, f"{page}/trial", {"document": kept(99)})
    assert "own.days has P99D where" in wrong.text and "kept(99)" not in wrong.text
    document = own(("P7D", "P9D"))
    tried = visitor.submit(page, f"{page}/trial", {"document": document})
    assert "30 days → 9 days" in tried.text
    held = visitor.submit(page, page, {"document": document, "against": "none", "reason": WHY})
    assert WHY in held.text and "We keep conversations for a week." in held.text
    assert "9 days" in visitor.get(of).text
    why = visitor.get(
        f"/policy/explain?action=retain&organisation={firm.organisation}&data_class=transcript"
        "&plan=team&training_choice=none"
    )
    assert "own.seven-days" in why.text and "30 days" in why.text
    assert (
        "30 days"
        in visitor.get(
            "/policy/explain?action=retain&data_class=transcript&plan=team&training_choice=none"
        ).text
    )
    stale = visitor.submit(page, page, {"document": kept(3), "against": "none", "reason": WHY})
    assert 409 == stale.status or "compared with" in stale.text
    assert "organisation" in visitor.get("/policy?q=own.seven-days").text
