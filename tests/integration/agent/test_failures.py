"""Every way in which a request fails, over real sockets, with `-p` and at the terminal."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import anthropic
import pytest

from bailee.agent import events, headless
from bailee.agent.endpoint import Endpoint
from bailee.agent.messages_api import MessagesApi
from bailee.agent.ports import Answer, Message, ModelRequest
from bailee.agent.session import AgentSession, Options, start
from bailee.agent.terminal.showing import Showing
from bailee.errors import BaileeError
from bailee.plain_console import PlainConsole
from bailee.testing.agent import ScriptedModel, call, calls, says
from bailee.testing.screen import ScriptedScreen
from bailee.testing.upstream import (
    AssistantMessage,
    Exactly,
    Failure,
    Part,
    Received,
    Reply,
    ScriptedUpstream,
    Text,
    Turn,
    frame,
    sse,
)
from bailee.words import words

from .conftest import NOW, Work, results, take

REQUEST = Received("POST", "/v1/messages", b"", b"", b'{"stream":true}', (), 0)
EVENTS = [sse(event) for event in Text("Seven quinces.").events(REQUEST)]
WHOLE = b"".join(EVENTS)
PACKED = gzip.compress(WHOLE)
SSE = ("content-type", "text/event-stream")


def streams(*parts: Part) -> Turn:
    """A stream of these parts."""
    return Exactly(Reply(200, (SSE,), parts, "chunked"))


def raw(*headers: tuple[str, str], body: bytes, status: int = 200) -> Turn:
    """These bytes under these headers, to the connection's end."""
    return Exactly(Reply(status, headers, (body,), "close"))


def fails(kind: str) -> Turn:
    """A stream that has begun, and then says that it fails."""
    error = {"type": "error", "error": {"type": kind, "message": f"no {kind}"}}
    return streams(*EVENTS[:4], sse(error))


def later(status: int, **headers: str) -> Turn:
    """A refusal with these headers."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Failure(status, "rate_limit_error", headers=named)


class Gone:
    """Ends the connection without a word, as who refuses a client's certificate does."""

    def reply(self, request: Received) -> Reply:
        """See `Turn.reply`."""
        raise ConnectionError


@dataclass(frozen=True)
class Row:
    """A fault, and what becomes of it when it stays: requests in all, exit status, what is said."""

    turn: Turn
    tries: int
    status: int
    says: str
    waits: tuple[float, ...] = field(default=())


TABLE = {
    "no answer at all": Row(Gone(), 4, 4, "can't be reached: Server disconnected"),
    "reset before the answer": Row(streams("abort"), 4, 4, "broke off"),
    "reset within it": Row(streams(*EVENTS[:5], "abort"), 4, 4, "broke off"),
    "a short body": Row(raw(SSE, ("content-length", "9999"), body=WHOLE[:300]), 4, 4, "broke off"),
    "a whole body without its end": Row(streams(*EVENTS[:-1]), 4, 4, "broke off"),
    "no body": Row(streams(), 4, 4, "broke off"),
    "a damaged chunk": Row(
        raw(SSE, ("transfer-encoding", "chunked"), body=b"5\r\nevent\r\nzz\r\n"), 4, 4, "broke off"
    ),
    "a damaged gzip": Row(
        raw(SSE, ("content-encoding", "gzip"), body=PACKED[:30] + b"\0\0" + PACKED[30:]),
        4, 4, "broke off",
    ),
    "a page in its place": Row(
        raw(("content-type", "text/html"), body=b"<html>Sign in"), 2, 4, "it sends text/html"
    ),
    "an event that is no JSON": Row(
        streams(EVENTS[0], b"event: x\ndata: {nope\n\n"), 2, 4, "makes no sense"
    ),
    "an event out of order": Row(streams(*EVENTS[2:]), 2, 4, "makes no sense"),
    "overloaded within it": Row(fails("overloaded_error"), 6, 4, "overloaded: no overloaded_error"),
    "limited within it": Row(fails("rate_limit_error"), 6, 4, "takes no more for now"),
    "failing within it": Row(fails("api_error"), 4, 4, "no api_error"),
    "overloaded": Row(later(529), 6, 4, "overloaded"),
    "limited, and when not": Row(
        later(429, retry_after="7"), 6, 4, "takes no more for now", (7.0,) * 5
    ),
    "limited for hours": Row(later(429, retry_after="7200"), 1, 4, "takes no more for now"),
    "limited, for good": Row(later(429, x_should_retry="false"), 1, 4, "the model's service fails"),
    "failing": Row(Failure(500, "api_error"), 4, 4, "the model's service fails"),
    "a redirect": Row(
        raw(("location", "https://example.org"), body=b"", status=302), 1, 4, "another address"
    ),
    "a key that is none": Row(Failure(401, "authentication_error"), 1, 2, "refuses the key"),
    "refused within it": Row(fails("invalid_request_error"), 1, 2, "refuses the request"),
}  # fmt: skip


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    """A model over a socket."""
    with ScriptedUpstream(tools_only=False) as made:
        yield made


class Waits:
    """Sleeps that take no time; `seconds` are those that were asked for."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """A sleep."""
        self.seconds.append(seconds)


def opened(work: Work, upstream: ScriptedUpstream, waits: Waits) -> AgentSession:
    """A session whose model is behind the socket."""
    environment = {
        **work.environment, "ANTHROPIC_BASE_URL": upstream.url, "ANTHROPIC_AUTH_TOKEN": "bl_test",
    }  # fmt: skip
    session = start(Options(folder=work.root), environment, now=NOW, transcripts=work.store)
    session.agent.sleep = waits
    return session


def printed(session: AgentSession) -> tuple[int, str, str]:
    """A prompt with `-p`: exit status, standard output, standard error."""
    out: list[str] = []
    errors: list[str] = []

    async def run() -> int:
        try:
            return await headless.run(session, "how many?", "text", out=out.append, complain=errors.append)  # noqa: E501  # fmt: skip
        except BaileeError as error:
            errors.append(f"error: {error.message}")
            return error.exit_status
        finally:
            await session.close()

    return asyncio.run(run()), "\n".join(out), "\n".join(errors)


def shown(session: AgentSession) -> tuple[list[events.Event], str, list[str]]:
    """A prompt at the terminal: what happened, what was drawn of it, what was said to be wrong."""
    screen, drawn = ScriptedScreen(), io.StringIO()
    showing = Showing(PlainConsole(file=drawn, width=500), words("en", "terminal"))

    async def run() -> None:
        await screen.watch(session.turn("how many?"), session.agent.interrupt)
        await session.close()

    asyncio.run(run())
    for event in screen.events:
        showing.take(event)
    return screen.events, drawn.getvalue(), screen.errors


@pytest.mark.row("D1")
@pytest.mark.parametrize("name", TABLE)
def test_a_fault_that_stays_ends_the_turn_as_the_table_says(
    work: Work, upstream: ScriptedUpstream, name: str
) -> None:
    """With `-p`: so many requests, the service's own delays, what happened, the exit status; what
    was shown of half an answer is not kept.
    """
    row, waits = TABLE[name], Waits()
    upstream.then(*[row.turn] * 9)
    session = opened(work, upstream, waits)
    status, out, errors = printed(session)

    assert (row.status, "") == (status, out), errors
    assert row.tries == len(upstream.conversations)
    assert row.tries - 1 == len(waits.seconds)
    assert row.says in errors
    assert row.waits == tuple(waits.seconds) or not row.waits
    kept = [record["type"] for record in work.store.load(session.id)]
    assert ["session", "prompt"] == kept


@pytest.mark.row("D1")
@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.tries > 1])
def test_a_fault_that_passes_costs_nothing(
    work: Work, upstream: ScriptedUpstream, name: str
) -> None:
    """At the terminal: it is said and waited for, and the answer is the one that came whole."""
    row = TABLE[name]
    upstream.then(row.turn, Text("Eight."))
    seen, drawn, wrong = shown(opened(work, upstream, Waits()))

    assert [] == wrong
    assert events.TurnEnded("done", "Eight.", 1) == seen[-1]
    assert f"Trying again, 2 of {row.tries}." in drawn
    assert row.says in drawn


@pytest.mark.row("D1")
@pytest.mark.parametrize("name", TABLE)
def test_after_a_fault_the_session_goes_on(
    work: Work, upstream: ScriptedUpstream, name: str
) -> None:
    """At the terminal the error is said, and the next prompt is answered."""
    row = TABLE[name]
    upstream.then(*[row.turn] * row.tries, Text("Eight."))
    session = opened(work, upstream, Waits())
    screen = ScriptedScreen()

    async def run() -> None:
        for prompt in ("how many?", "and now?"):
            await screen.watch(session.turn(prompt), session.agent.interrupt)
        await session.close()

    asyncio.run(run())
    (wrong,) = screen.errors
    assert row.says in wrong
    assert events.TurnEnded("done", "Eight.", 1) == screen.events[-1]
    (message,) = upstream.conversations[-1].json["messages"]
    assert ["how many?", "and now?"] == [block["text"] for block in message["content"]]


def test_a_wait_is_left_when_the_person_says_so(work: Work, upstream: ScriptedUpstream) -> None:
    """An interrupt ends a wait of minutes at once, with the session whole."""
    upstream.then(later(429, retry_after="290"))
    session = opened(work, upstream, Waits())
    session.agent.sleep = asyncio.sleep
    seen = []

    async def run() -> None:
        async for event in session.turn("how many?"):
            seen.append(event)
            if isinstance(event, events.Retrying):
                asyncio.get_running_loop().call_soon(session.agent.interrupt)
        await session.close()

    asyncio.run(run())
    assert events.TurnEnded("interrupted", "", 1) == seen[-1]


FRAMES = [frame(event) for event in Text("Seven quinces.").events(REQUEST)]
FRAMED = (("content-type", "application/vnd.amazon.eventstream"),)
CLOUD = {
    "bedrock: reset within it": Row(
        Exactly(Reply(200, FRAMED, (*FRAMES[:4], "abort"), "chunked")), 4, 4, "broke off"
    ),
    "bedrock: no end": Row(
        Exactly(Reply(200, FRAMED, tuple(FRAMES[:-1]), "chunked")), 4, 4, "broke off"
    ),
    "bedrock: damaged frames": Row(
        Exactly(Reply(200, FRAMED, (FRAMES[0], b"\0" * 64), "chunked")), 2, 4, "makes no sense"
    ),
    "bedrock: overloaded": Row(later(529), 6, 4, "overloaded"),
    "bedrock: too long": Row(
        Failure(400, "", "Input is too long for requested model."), 5, 2, "too long"
    ),
    "vertex: reset within it": Row(streams(*EVENTS[:5], "abort"), 4, 4, "broke off"),
    "vertex: an event that is no JSON": Row(
        streams(EVENTS[0], b"event: content_block_start\ndata: {nope\n\n"), 2, 4, "makes no sense"
    ),
    "vertex: limited within it": Row(fails("rate_limit_error"), 6, 4, "takes no more for now"),
}


@pytest.mark.row("D3")
@pytest.mark.parametrize("name", CLOUD)
def test_a_clouds_faults_are_the_same(work: Work, upstream: ScriptedUpstream, name: str) -> None:
    """What the SDK raises of a cloud's answers goes by the same table."""
    row, waits = CLOUD[name], Waits()
    upstream.then(*[row.turn] * 9)
    provider: Any = name.partition(":")[0]
    at = Endpoint(provider, upstream.url, None, "bl_test", True, "us-east-1", "p")
    session = start(
        Options(folder=work.root), work.environment, now=NOW, transcripts=work.store,
        model=MessagesApi(at, session="s1"),
    )  # fmt: skip
    session.agent.sleep = waits
    status, out, errors = printed(session)

    assert (row.status, "") == (status, out), errors
    assert row.tries == len(upstream.conversations)
    assert row.says in errors


def test_a_cloud_without_a_credential_is_the_persons_to_mend(
    work: Work, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent; it says what is missing."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(work.home))
    at = Endpoint("bedrock", upstream.url, None, None, False, "us-east-1")
    session = start(
        Options(folder=work.root), work.environment, now=NOW, model=MessagesApi(at, session="s1")
    )
    status, _, errors = printed(session)

    assert (2, []) == (status, upstream.requests)
    assert "can't be signed" in errors


# -- calls that mean nothing ----------------------------------------------------------------------


def written(tool: str, given: str, call_id: str = "t") -> Turn:
    """An answer that calls a tool with an input written out."""
    block = {"type": "tool_use", "id": call_id, "name": tool, "input": {}}
    delta = {"type": "input_json_delta", "partial_json": given}
    return streams(
        EVENTS[0],
        sse({"type": "content_block_start", "index": 0, "content_block": block}),
        sse({"type": "content_block_delta", "index": 0, "delta": delta}),
        sse({"type": "content_block_stop", "index": 0}),
        sse({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        EVENTS[-1],
    )


@pytest.mark.parametrize(
    ("tool", "given", "said"),
    [
        ("Glob", "[1]", "not a JSON object"),
        ("Glob", '"*"', "not a JSON object"),
        ("Glob", "null", "not a JSON object"),
        ("Glob", '{"pattern":', "not a JSON object"),
        ("Fly", "{}", "There is no tool Fly"),
        ("", "{}", "names no tool"),
    ],
)
def test_a_call_that_means_nothing_is_answered_once(
    work: Work, upstream: ScriptedUpstream, tool: str, given: str, said: str
) -> None:
    """The model is told what was wrong; when it does the same again the turn ends, unpaid."""
    upstream.then(*[written(tool, given)] * 50)
    session = opened(work, upstream, Waits())
    status, _, errors = printed(session)

    assert (7, 2) == (status, len(upstream.conversations))
    assert "in circles" in errors
    told = upstream.conversations[1].json["messages"][-1]["content"]
    assert [True] == [block["is_error"] for block in told]
    assert said in told[0]["content"]
    sent = upstream.conversations[1].json["messages"][1]["content"][0]
    assert {} == sent["input"]


def test_the_same_call_for_ever_has_an_end(work: Work, upstream: ScriptedUpstream) -> None:
    """A call under the id of an earlier one runs, under an id of its own; repeated, it ends."""
    upstream.then(*[written("Glob", '{"pattern":"*.pear"}', "same")] * 50)
    session = opened(work, upstream, Waits())
    status, _, _ = printed(session)

    assert (7, 21) == (status, len(upstream.conversations))
    ids = [
        block["id"]
        for message in upstream.conversations[-1].json["messages"]
        for block in message["content"]
        if block["type"] == "tool_use"
    ]
    assert 20 == len(set(ids))


# -- going on without what is refused -------------------------------------------------------------


class Picky:
    """Refuses a request in which `wrong` stands, in these words; else answers."""

    def __init__(self, wrong: str, said: str, status: int = 400) -> None:
        self._wrong = wrong
        self._no = Failure(status, "invalid_request_error", said)

    def reply(self, request: Received) -> Reply:
        """See `Turn.reply`."""
        held = self._wrong in json.dumps(request.json)
        return (self._no if held else Text("Seen.")).reply(request)


IMAGE = {"type": "base64", "media_type": "image/png", "data": "ZGFtYWdlZA=="}
SIGNED = {"type": "thinking", "thinking": "hm", "signature": "elsewhere"}


def goes_on(work: Work, upstream: ScriptedUpstream, content: Any, picky: Picky) -> list[Any]:
    """A prompt that is refused in part, and another; what was said, and that both are answered."""
    upstream.then(*[picky] * 6)
    session = opened(work, upstream, Waits())
    seen: list[Any] = []

    async def run() -> None:
        for prompt in (content, "and now?"):
            async for event in session.turn(prompt):
                seen.append(event)
        await session.close()

    asyncio.run(run())
    endings = [event for event in seen if isinstance(event, events.TurnEnded)]
    assert ["Seen.", "Seen."] == [ending.text for ending in endings]
    assert 3 == len(upstream.conversations), "taken out once, and for good"
    return [event.why for event in seen if isinstance(event, events.Warned)]


def test_a_damaged_image_does_not_end_a_session(work: Work, upstream: ScriptedUpstream) -> None:
    """It is left out with a word, in a result of a tool too, and stays in the transcript; a
    resumed session leaves it out as well.
    """
    said = "messages.0.content.0.image.source.base64.data: Could not process image"
    block = {"type": "image", "source": IMAGE}
    (warned,) = goes_on(work, upstream, [block, {"type": "text", "text": "?"}], Picky(IMAGE["data"], said))  # noqa: E501  # fmt: skip

    assert "Could not process image. Going on without images" in warned
    assert "refused it (image)" in json.dumps(upstream.conversations[-1].json)
    ((session, records),) = work.store.records.items()
    assert IMAGE["data"] in json.dumps(records)
    resumed = work.session(ScriptedModel(), session=session)
    assert IMAGE["data"] not in json.dumps(resumed.agent.conversation.messages)


def test_thinking_of_another_model_does_not_end_a_session(
    work: Work, upstream: ScriptedUpstream
) -> None:
    """A signature that is refused goes, with the thinking that it signs."""
    upstream.then(AssistantMessage((SIGNED, {"type": "text", "text": "Yes."})))
    picky = Picky("elsewhere", "messages.1.content.0: Invalid `signature` in `thinking` block")
    upstream.then(*[picky] * 4)
    session = opened(work, upstream, Waits())

    async def run() -> list[str]:
        said = []
        for prompt in ("one", "two"):
            async for event in session.turn(prompt):
                if isinstance(event, events.TurnEnded | events.Warned):
                    said.append(event.why if isinstance(event, events.Warned) else event.text)
        await session.close()
        return said

    first, warned, second = asyncio.run(run())
    assert ("Yes.", "Seen.") == (first, second)
    assert "Going on without thinking" in warned


def test_a_tool_that_is_refused_does_not_end_a_session(
    work: Work, upstream: ScriptedUpstream
) -> None:
    """A definition that the service does not take is left out, by its place in the list."""
    said = "tools.3.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf"
    (warned,) = goes_on(work, upstream, "hi", Picky('"Glob"', said))

    assert "Going on without the tool Glob." in warned
    names = [tool["name"] for tool in upstream.conversations[-1].json["tools"]]
    assert ("Glob" in names, "Grep" in names) == (False, True)


@pytest.mark.parametrize(
    "said",
    ["prompt is too long: 213462 tokens > 200000 maximum", "Input is too long for requested model.",
     "input length and `max_tokens` exceed context limit: 190000 + 16000 > 200000"],
)  # fmt: skip
def test_too_long_a_conversation_is_summarized_whatever_made_it_long(
    work: Work, upstream: ScriptedUpstream, said: str
) -> None:
    """A prompt of the person's own too: the summary is asked for of less and less."""

    class Short:
        def reply(self, request: Received) -> Reply:
            no = Failure(400, "invalid_request_error", said)
            return (no if len(request.body) > 20_000 else Text("Seen.")).reply(request)

    upstream.then(*[Short()] * 9)
    session = opened(work, upstream, Waits())
    status, out, errors = printed_of(session, "quince " * 20_000)

    assert (0, "Seen.", "") == (status, out, errors)


def printed_of(session: AgentSession, prompt: str) -> tuple[int, str, str]:
    """As `printed`, of another prompt."""
    out: list[str] = []
    errors: list[str] = []

    async def run() -> int:
        status = await headless.run(session, prompt, "text", out=out.append, complain=errors.append)
        await session.close()
        return status

    return asyncio.run(run()), "\n".join(out), "\n".join(errors)


# -- half characters ------------------------------------------------------------------------------


def test_what_is_no_character_is_sent_and_kept_as_one(work: Work) -> None:
    """A prompt, a tool's output, a call's arguments: each is U+FFFD, and can be sent."""
    (work.root / "n\udcff.txt").write_text("x")
    model = ScriptedModel([calls("Glob", pattern="n*.txt"), says("ok")])
    session = work.session(model)
    take(session, "caf\udce9?")

    assert "n\ufffd.txt" == results(session)[0][0]
    json.dumps(session.agent.conversation.messages, ensure_ascii=False).encode()
    json.dumps(work.store.load(session.id), ensure_ascii=False).encode()


# -- what the vendor's SDK would do ---------------------------------------------------------------


@pytest.mark.parametrize(
    "turn",
    [
        Text("Seven quinces, 七."),
        AssistantMessage((SIGNED, {"type": "text", "text": "Yes."})),
        AssistantMessage(
            (call("Read", path="a.py", n=[1, None, 2.5]), call("Glob", pattern="*")),
            stop_reason="tool_use",
        ),
        AssistantMessage(({"type": "redacted_thinking", "data": "eA=="},)),
    ],
)
@pytest.mark.row("D1")
def test_request_and_answer_are_those_of_the_vendors_sdk(
    work: Work, upstream: ScriptedUpstream, turn: Turn
) -> None:
    """The same body and the same answer; of the headers, those that say something of the session
    and nothing of the machine.
    """
    upstream.then(turn, turn)
    address = f"{upstream.url}/prefix/"
    prompt: Message = {"role": "user", "content": [{"type": "text", "text": "hi — 木"}]}
    tools = work.session(ScriptedModel()).agent.tools.definitions()

    async def ours() -> Answer:
        model = MessagesApi(Endpoint("api", address, None, "bl_test"), session="s1")
        *_, answer = [item async for item in model.stream(ModelRequest("Be.", [prompt], tools))]
        await model.close()
        assert isinstance(answer, Answer)
        return answer

    async def theirs(body: dict[str, Any]) -> Any:
        client = anthropic.AsyncAnthropic(auth_token="bl_test", base_url=address)
        async with client.messages.stream(**body) as stream:
            message = await stream.get_final_message()
        await client.close()
        return message

    answer = asyncio.run(ours())
    first = upstream.requests[0]
    body = {name: value for name, value in first.json.items() if name != "stream"}
    message = asyncio.run(theirs(body))
    second = upstream.requests[1]

    assert second.json == first.json
    assert second.target == first.target
    for name in ("authorization", "anthropic-version", "content-type"):
        assert second.header(name) == first.header(name)
    assert [] == [n for n, _ in first.headers if n.lower().startswith("x-stainless")]
    assert message.to_dict(mode="json")["content"] == answer.content
    assert (message.stop_reason, message.model) == (answer.stop_reason, answer.model)
    usage = {k: v for k, v in message.usage.to_dict().items() if isinstance(v, int)}
    assert usage == answer.usage
