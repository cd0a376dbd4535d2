"""What a key may use at its upstream: declared in the home, refused by a clause, told in the API's
own shape before a byte is sent.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as google_errors

from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import Bailee

TERMS = """retains = true
days = 30
trains = false
region = "us"
zero_retention = true

[[upstream.terms.models]]
model = "claude-keeps-*"
zero_retention = false
"""
MESSAGES: Any = [{"role": "user", "content": "hello"}]


class Place(NamedTuple):
    """A server whose upstream keeps nothing of most models' conversations; a key of zero retention
    and an ordinary one.
    """

    bailee: Bailee
    upstream: ScriptedUpstream
    zero: str
    usual: str

    def post(self, path: str, body: bytes, **headers: str) -> tuple[int, str]:
        """What is answered to the zero-retention key."""
        request = urllib.request.Request(
            self.bailee.ready["gateway"] + path,
            body,
            {"x-api-key": self.zero, "content-type": "application/json", **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for all tests of this file."""
    bailee = Bailee(tmp_path_factory.mktemp("terms"))
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.declare(upstream.url, terms=TERMS)
        bailee.up()
        zero = bailee.json("key", "create", "--plan", "enterprise", "--zero-retention")["key"]
        yield Place(bailee, upstream, zero, bailee.ready["key"])
        bailee.close()


@pytest.mark.row("O4", "R2")
def test_the_messages_sdk_shows_the_clause(place: Place) -> None:
    """The vendor's own client raises its error for 403 with the clause's text; the upstream has
    had nothing; without the tool, and with an ordinary key, the same goes.
    """
    search: Any = [{"type": "web_search_20250305", "name": "web_search"}]
    url = place.bailee.ready["gateway"]
    client = anthropic.Anthropic(base_url=url, api_key=place.zero, max_retries=2)
    usual = anthropic.Anthropic(base_url=url, api_key=place.usual, max_retries=0)
    before = len(place.upstream.requests)

    with pytest.raises(anthropic.PermissionDeniedError) as refused:
        client.messages.create(
            model="claude-sonnet-4-5", max_tokens=9, messages=MESSAGES, tools=search
        )

    assert before == len(place.upstream.requests)
    assert "A zero-retention key uses no tool that the provider runs" in str(refused.value)
    assert "(clause reach.provider-tools)" in str(refused.value)
    place.upstream.then(Text("hello"), Text("found"))
    client.messages.create(model="claude-sonnet-4-5", max_tokens=9, messages=MESSAGES)
    usual.messages.create(model="claude-sonnet-4-5", max_tokens=9, messages=MESSAGES, tools=search)
    assert before + 2 == len(place.upstream.requests)


@pytest.mark.row("O4", "R2")
def test_a_model_with_other_terms_is_refused(place: Place) -> None:
    """Where zero retention does not hold for a model, its date or an ending of its name changes
    nothing; as a fallback it counts too.
    """
    client = anthropic.Anthropic(
        base_url=place.bailee.ready["gateway"], api_key=place.zero, max_retries=0
    )
    before = len(place.upstream.requests)

    for named in ({"model": "claude-keeps-1-20260101"}, {"model": "Claude-Keeps-2"}):
        with pytest.raises(anthropic.PermissionDeniedError, match=r"clause reach\.keeps"):
            client.messages.create(**named, max_tokens=9, messages=MESSAGES)
    with pytest.raises(anthropic.PermissionDeniedError, match=r"clause reach\.keeps"):
        client.messages.create(
            model="claude-sonnet-4-5",
            max_tokens=9,
            messages=MESSAGES,
            extra_body={"fallbacks": [{"model": "claude-keeps-1"}]},
        )
    assert before == len(place.upstream.requests)


@pytest.mark.row("O4", "R2")
def test_the_other_vendors_sdks_show_the_clause(place: Place) -> None:
    """OpenAI's client in both of its APIs, and Google's, each by its own error."""
    url = place.bailee.ready["gateway"]
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=place.zero, max_retries=2)
    before = len(place.upstream.requests)

    with pytest.raises(openai.PermissionDeniedError, match=r"reach\.stored.*\"store\": false"):
        client.responses.create(model="gpt-5.5", input="hello")  # stored, unless it says no
    with pytest.raises(openai.PermissionDeniedError, match=r"clause reach\.provider-tools"):
        client.chat.completions.create(model="gpt-5.5", messages=MESSAGES, web_search_options={})
    google = genai.Client(api_key=place.zero, http_options={"base_url": f"{url}/gemini"})
    with pytest.raises(google_errors.ClientError, match=r"clause reach\.provider-tools"):
        google.models.generate_content(
            model="gemini-2.5-pro",
            contents="hello",
            config={"tools": [{"code_execution": {}}]},
        )
    assert before == len(place.upstream.requests)


@pytest.mark.row("O4", "R2")
@pytest.mark.parametrize(
    ("path", "body", "clause"),
    [
        ("", b'{"model":"a","messages":[],"tools":[],"tools":[{"type":"mcp"}]}', "unread"),
        ("", b'{"model":"a","messages":' + b"[" * 5000 + b"]" * 5000 + b"}", "unread"),
        ("", b"model=a&store=true", "unread"),
        ("", b'{"model":"a","messages":[],"x":[' + b"1," * 300_000 + b"1]}", "unread"),
        ("/count_tokens", b'{"model":"a","container":"c_1","messages":[]}', "provider-tools"),
        ("", b'{"model":"a","messages":[],"Store":true}', "stored"),
        ("", b'{"messages":[]}', "keeps"),
    ],
    ids=["twice", "deep", "form", "many", "counting", "capital", "no model"],
)
def test_what_is_hidden_does_not_pass(place: Place, path: str, body: bytes, clause: str) -> None:
    """In two readings, too deep, too much, in another form or spelling: nothing is sent."""
    before = len(place.upstream.requests)

    status, said = place.post(f"/v1/messages{path}", body)

    assert (403, before) == (status, len(place.upstream.requests)), said
    assert f"clause reach.{clause}" in said
    assert len(said) < 1000


@pytest.mark.row("O4")
def test_terms_that_say_nothing_are_the_worst(bailee: Bailee, upstream: ScriptedUpstream) -> None:
    """With no terms a zero-retention key reaches nothing, and is told who can change that; terms
    in the file are none of an address that was given elsewhere; `config show` says which hold.
    """
    bailee.declare("https://models.example.org")
    bailee.up("--upstream", upstream.url)
    zero = bailee.json("key", "create", "--plan", "enterprise", "--zero-retention")["key"]
    client = anthropic.Anthropic(base_url=bailee.ready["gateway"], api_key=zero, max_retries=0)

    with pytest.raises(
        anthropic.PermissionDeniedError, match=r"reach\.undeclared.*upstream\.terms"
    ):
        client.messages.create(model="claude-sonnet-4-5", max_tokens=9, messages=MESSAGES)

    assert [] == upstream.requests
    shown = bailee.json("config", "show")["upstream.terms"]
    assert ("keeps nothing of what is sent, does not train on it", True) == (
        shown["value"],
        shown["in_force"],
    )  # of the file alone, without what was given at the start


def test_a_half_declaration_stops_the_start(bailee: Bailee, upstream: ScriptedUpstream) -> None:
    """What would be guessed is refused, with its place."""
    bailee.declare(upstream.url, terms="retains = false")

    process = bailee.spawn()
    _, errors = process.communicate(timeout=30)

    assert (2, True) == (process.returncode, "upstream.terms.trains is not true or false" in errors)
