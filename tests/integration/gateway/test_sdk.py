"""The unmodified `anthropic` SDK through the gateway: both clients, streaming, tools."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest

from bailee.apis.reading import interpret
from bailee.testing.upstream import Failure, ScriptedUpstream, Text, ToolUse

pytestmark = pytest.mark.row("D3")

TOOL: Any = {"name": "ls", "description": "lists", "input_schema": {"type": "object"}}
HELLO: Any = [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize("key", ["bl_keep", "bl_zero"])
def test_a_synchronous_client(serve: Any, key: str) -> None:
    """Messages, streams, token counts and models."""
    with ScriptedUpstream([Text("one"), Text("two, streamed")], tools_only=False) as upstream:
        serving = serve(upstream)
        client = anthropic.Anthropic(base_url=serving.url, api_key=key, max_retries=0)
        message = client.messages.create(model="m", max_tokens=9, messages=HELLO)
        assert "one" == message.content[0].text  # type: ignore[union-attr]
        assert "req_scripted" == message._request_id
        with client.messages.stream(model="m", max_tokens=9, messages=HELLO) as stream:
            assert "two, streamed" == "".join(stream.text_stream)
        assert client.messages.count_tokens(model="m", messages=HELLO).input_tokens > 0
        assert ["scripted-model"] == [model.id for model in client.models.list()]
        assert 2 * (key == "bl_keep") == len(serving.recording.exchanges)


def test_an_asynchronous_client_with_a_tool(serve: Any) -> None:
    """A turn that calls a tool, its result, and the end; the record holds what the client saw."""
    script = [ToolUse("ls", {"path": "/tmp", "deep": [1, {"a": None}]}), Text("Two files.")]

    async def session(url: str) -> list[Any]:
        client = anthropic.AsyncAnthropic(base_url=url, auth_token="bl_keep", max_retries=0)
        messages = list(HELLO)
        seen = []
        for _ in range(2):
            async with client.messages.stream(
                model="m", max_tokens=9, messages=messages, tools=[TOOL]
            ) as stream:
                final = await stream.get_final_message()
            seen.append(final)
            messages.append({"role": "assistant", "content": final.content})
            for block in final.content:
                if block.type == "tool_use":
                    result = {"type": "tool_result", "tool_use_id": block.id, "content": "a b"}
                    messages.append({"role": "user", "content": [result]})
        return seen

    with ScriptedUpstream(script) as upstream:
        serving = serve(upstream)
        seen = asyncio.run(session(serving.url))
        assert ["tool_use", "end_turn"] == [message.stop_reason for message in seen]
        found = [interpret(exchange) for exchange in serving.recording.exchanges]
        for exchange, message in zip(found, seen, strict=True):
            assert message.to_dict()["content"] == exchange.answer["content"]  # type: ignore[index,call-overload]
            assert {"input_tokens": 12, "output_tokens": 7} == exchange.usage
        assert [1, 3] == [len(exchange.messages or []) for exchange in found]


def test_errors_are_those_of_the_api(serve: Any) -> None:
    """The SDK raises its own exceptions for the upstream's errors and for ours."""
    with ScriptedUpstream([Failure(429, "rate_limit_error", "slow")], tools_only=False) as upstream:
        serving = serve(upstream)
        client = anthropic.Anthropic(base_url=serving.url, api_key="bl_keep", max_retries=0)
        with pytest.raises(anthropic.RateLimitError, match="slow"):
            client.messages.create(model="m", max_tokens=9, messages=HELLO)
        other = anthropic.Anthropic(base_url=serving.url, api_key="bl_no", max_retries=0)
        with pytest.raises(anthropic.AuthenticationError, match="bailee"):
            other.messages.create(model="m", max_tokens=9, messages=HELLO)


def test_a_stream_that_breaks_off_raises(serve: Any) -> None:
    """The SDK does not take half an answer for a whole one."""
    with ScriptedUpstream([Text("a long answer", cut=4)], tools_only=False) as upstream:
        serving = serve(upstream)
        client = anthropic.Anthropic(base_url=serving.url, api_key="bl_keep", max_retries=0)
        with (
            pytest.raises(anthropic.APIError),
            client.messages.stream(model="m", max_tokens=9, messages=HELLO) as stream,
        ):
            stream.get_final_message()


@pytest.mark.parametrize("key", ["bl_keep", "bl_zero"])
def test_the_bedrock_client(serve: Any, key: str) -> None:
    """InvokeModel, whole and streamed: the client reads what was said, and so does the record."""
    # A key instead of AWS credentials needs no boto3; the stream is decoded by botocore.
    with ScriptedUpstream([Text("one"), Text("two, streamed")], tools_only=False) as upstream:
        serving = serve(upstream)
        client = anthropic.AnthropicBedrock(
            base_url=f"{serving.url}/bedrock", aws_region="eu-west-1", api_key=key, max_retries=0
        )
        message = client.messages.create(model="m", max_tokens=9, messages=HELLO)
        assert "one" == message.content[0].text  # type: ignore[union-attr]
        with client.messages.stream(model="m", max_tokens=9, messages=HELLO) as stream:
            assert "two, streamed" == "".join(stream.text_stream)
            final = stream.get_final_message()
        found = [interpret(exchange) for exchange in serving.recording.exchanges]
        if key == "bl_zero":
            assert [] == found
            return
        for exchange, seen in zip(found, [message, final], strict=True):
            assert seen.to_dict()["content"] == exchange.answer["content"]  # type: ignore[index,call-overload]
            assert (HELLO, None) == (exchange.messages, exchange.raw_answer)
