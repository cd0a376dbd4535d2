"""Several upstreams of one API: the policy's clauses choose, a demanded region holds, and which it
was is said in the answer, the record, the counts and the privacy label.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import anthropic
import pytest

from bailee.policy.loading import content
from bailee.testing.upstream import ScriptedUpstream, Text
from support.browsers.browsing import Visitor
from support.clients.programs import Bailee

pytestmark = pytest.mark.row("O4")

FIRST = """retains = true
days = 30
trains = false
region = "us"
"""
FURTHER = """
[upstreams.europe]
channel = "api"
url = "{europe}"
key_env = "EUROPE_KEY"
[upstreams.europe.terms]
retains = false
trains = false
region = "eu-central-1"
"""
MESSAGES: Any = [{"role": "user", "content": "hello"}]


class Place(NamedTuple):
    """A server with an upstream in the United States, which keeps what it gets, and one in Europe,
    which keeps nothing; keys of an organisation, one of them of zero retention.
    """

    bailee: Bailee
    us: ScriptedUpstream
    europe: ScriptedUpstream
    organisation: str
    usual: str
    zero: str

    @property
    def seen(self) -> tuple[int, int]:
        """How many requests each upstream had."""
        return len(self.us.requests), len(self.europe.requests)

    def demand(self, region: str) -> None:
        """Have the organisation answered from there alone."""
        self.bailee.json("account", "residency", self.organisation, region)

    def ask(self, key: str, **more: Any) -> str:
        """Which upstream answers, by the answer's own word."""
        client = anthropic.Anthropic(
            base_url=self.bailee.ready["gateway"], api_key=key, max_retries=0
        )
        raw = client.messages.with_raw_response.create(
            **{"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": MESSAGES, **more}
        )
        return str(raw.headers["x-bailee-upstream"])


OWN_CLAUSE = """[places]
europe = { en = "our service in Europe", zh = "我们在欧洲的服务" }
other = { en = "another", zh = "其他" }

[clients]
anthropic-sdk = { en = "our programs", zh = "我们的程序" }
other = { en = "another program", zh = "其他程序" }

[[reach]]
id = "reach.programs"
heading = "flow"
rows = ["O4"]
when = { client = "anthropic-sdk", model = "claude", place = "other", credential = "operator" }
then = "deny"
en = "What our programs ask of Claude goes to our service in Europe alone."
zh = "我们的程序向 Claude 提出的请求只发往我们在欧洲的服务。"

[[reach]]
id = "reach.residency-us"
"""


def own_document() -> str:
    """The shipped document with a clause that chooses by a program and an upstream's name."""
    text = content().decode()
    reads = '"region", "residency"]'
    text = text.replace(reads, '"region", "residency", "place", "client"]', 1)
    text = text.replace('[[reach]]\nid = "reach.residency-us"\n', "\n" + OWN_CLAUSE, 1)
    for name in (
        "ordinary-keys-reach",
        "zero-retention-can-work",
        "residency-us-can-work",
        "residency-eu-can-work",
    ):
        at = text.index("when = { ", text.index(f'id = "{name}"'))
        text = text[:at] + text[at:].replace("when = { ", 'when = { client = "other", ', 1)
    return text


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for all tests of this file."""
    bailee = Bailee(tmp_path_factory.mktemp("several"))
    with ScriptedUpstream(tools_only=False) as us, ScriptedUpstream(tools_only=False) as europe:
        bailee.declare(us.url, terms=FIRST)
        settings = bailee.home / "bailee.toml"
        settings.write_text(settings.read_text() + FURTHER.format(europe=europe.url))
        bailee.up(env={"EUROPE_KEY": "sk-europe"})
        acme = bailee.json("organisation", "create", "Acme", "--plan", "enterprise")
        of = ("key", "create", "--organisation", acme["organisation"])
        usual = bailee.json(*of)["key"]
        zero = bailee.json(*of, "--zero-retention")["key"]
        yield Place(bailee, us, europe, acme["organisation"], usual, zero)
        bailee.close()


@pytest.mark.row("R2")
def test_clauses_choose_and_it_is_said_which(place: Place) -> None:
    """An ordinary key goes to the first; a zero-retention key to the one that keeps nothing, with
    that one's credential; what was sent is the same bytes.
    """
    place.us.then(Text("from us"))
    place.europe.then(Text("from europe"))

    assert ("upstream", "europe") == (place.ask(place.usual), place.ask(place.zero))
    assert (1, 1) == place.seen
    (there,) = place.europe.requests
    assert "sk-europe" == there.header("x-api-key")
    assert place.us.requests[0].body == there.body


def test_a_demanded_region_holds(place: Place) -> None:
    """An organisation that demands Europe is answered from there; one that demands what no upstream
    can give is refused with the clause's sentence, and nothing is sent, a list of models neither.
    """
    place.demand("eu")
    us, europe = place.seen
    place.europe.then(Text("from europe"))
    assert "europe" == place.ask(place.usual)
    assert (us, europe + 1) == place.seen

    place.demand("us")
    with pytest.raises(anthropic.PermissionDeniedError, match=r"clause reach\.(keeps|residency)"):
        place.ask(place.zero)
    place.us.then(Text("from us"))
    assert "upstream" == place.ask(place.usual)

    refused = place.bailee.run("account", "residency", place.organisation, "mars")
    assert 2 == refused.returncode
    assert "one of: us, eu" in refused.stderr


def test_a_clients_own_credential_goes_nowhere_else(place: Place) -> None:
    """It is for the first upstream: where that is in the wrong region, it is refused."""
    place.demand("eu")
    before = place.seen
    request = urllib.request.Request(
        f"{place.bailee.ready['gateway']}/v1/messages",
        b'{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}',
        {"x-bailee-key": place.usual, "x-api-key": "own", "content-type": "application/json"},
    )

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)

    assert (403, before) == (refused.value.code, place.seen)
    assert "clause reach.residency-eu" in refused.value.read().decode()


def test_which_it_was_is_in_the_record_and_the_counts(place: Place) -> None:
    """The session's record names the upstream, and use can be asked for by it; the settings show
    what each declares.
    """
    place.demand("eu")
    place.europe.then(Text("from europe"))
    place.ask(place.usual)
    counted = place.bailee.json("usage", "--by", "upstream")["rows"]
    by = {one["group"]["upstream"]: one["requests"] for one in counted}
    assert by["upstream"] and by["europe"]

    session = place.bailee.sessions()[0]["id"]
    read = place.bailee.json("sessions", "show", session, "--reason", "which upstream it was")
    assert ["x-bailee-upstream", "europe"] in read["exchange_list"][-1]["request_headers"]

    shown = place.bailee.json("config", "show")
    assert "in eu-central-1" in shown["upstreams.europe"]["value"]


def test_the_privacy_label_says_from_where(place: Place) -> None:
    """The organisation's page names the region and the upstream there, and no other."""
    place.demand("eu")
    page = f"/organisations/{place.organisation}"
    for language, words in (
        ("en", ("answered from the European Union alone", "does not train on it, in eu-central-1")),
        ("zh", ("只由位于欧盟的上游回答", "不用于训练，位于 eu-central-1")),
    ):
        visitor = Visitor(place.bailee.ready["console"], accept_language=language)
        link = re.search(r"http\S+", place.bailee.run("sign-in").stdout)
        assert link is not None
        visitor.get(link[0])
        shown = visitor.get(page).text
        assert [] == [one for one in words if one not in shown]
        assert "in us" not in shown and "位于 us" not in shown


def test_a_document_of_ones_own_chooses_by_program_and_name(place: Place) -> None:
    """Activated, it holds from the next request on. What may be stored at a provider goes to one
    upstream whatever the model, and says so where that refuses it.
    """
    place.bailee.json("account", "residency", place.organisation, "--anywhere")
    file = place.bailee.home.parent / "own.toml"
    file.write_text(own_document())
    activate = ("policy", "activate", str(file), "--reason", "the board's decision", "--yes")
    assert 0 == place.bailee.run(*activate).returncode

    place.europe.then(Text("from europe"))
    assert "europe" == place.ask(place.usual)
    with pytest.raises(anthropic.PermissionDeniedError, match="stays at one upstream") as refused:
        place.ask(place.usual, extra_body={"container": "container_1"})
    assert "(clause reach.programs)" in str(refused.value)
    place.us.then(Text("from us"))
    request = urllib.request.Request(
        f"{place.bailee.ready['gateway']}/v1/messages",
        b'{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}',
        {"x-api-key": place.usual, "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert "upstream" == answer.headers["x-bailee-upstream"]


@pytest.mark.row("P1")
def test_a_document_that_prefers_an_upstream_is_followed_at_once(place: Place) -> None:
    """What goes to the first of the settings else goes there from the next request on."""
    place.bailee.json("account", "residency", place.organisation, "--anywhere")
    place.us.then(Text("from the States"))
    before = place.ask(place.usual, model="gpt-5.5")
    file = place.bailee.home.parent / "prefers.toml"
    head = "\non_limits_unknown"
    file.write_text(own_document().replace(head, f'\nprefers = ["europe"]{head}', 1))
    activate = ("policy", "activate", str(file), "--reason", "the board's decision", "--yes")
    assert 0 == place.bailee.run(*activate).returncode
    place.europe.then(Text("from europe"))

    assert ("upstream", "europe") == (before, place.ask(place.usual, model="gpt-5.5"))


def test_a_further_upstream_needs_a_first(bailee: Bailee) -> None:
    """Settings that contradict one another stop the start, with their place."""
    bailee.home.mkdir(mode=0o700, exist_ok=True)
    settings = bailee.home / "bailee.toml"
    settings.touch(mode=0o600)
    settings.write_text('[upstreams.azure-eu]\nchannel = "azure"\nurl = "https://x.example"\n')

    process = bailee.spawn()
    _, errors = process.communicate(timeout=60)

    assert 2 == process.returncode
    assert "upstreams.azure-eu is a further upstream of azure, which has no first" in errors
