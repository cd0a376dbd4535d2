"""What a request uses at its provider is told by what it says, wherever and however it is said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.api import Api
from bailee.apis.uses import ProviderUse, uses_of_path
from bailee.policy.actions import REQUIRED_VALUES
from bailee.usage.asking import NOBODY, WholeRequest
from bailee.usage.looking import RequestUses, look_at

MESSAGES, CHAT, RESPONSES = Api.MESSAGES, Api.CHAT, Api.RESPONSES
GEMINI, CONVERSE = Api.GEMINI, Api.CONVERSE
_LISTS = {MESSAGES: "messages", CONVERSE: "messages", CHAT: "messages", RESPONSES: "input"}


def looked(
    api: Api, body: object, *, kind: str = "application/json", codings: str = ""
) -> RequestUses:
    """What is seen of a request to that API."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = WholeRequest("req_1", NOBODY, api, "/v1/x", raw, codings, False, kind)
    return look_at("conversation", b"POST", request)


def uses(api: Api, items: list[Any] | None = None, **more: Any) -> set[str]:
    """What a request with these items and members uses. Of Responses, one that is not stored."""
    body = {"model": "m", _LISTS.get(api, "contents"): items or [], **more}
    if api is RESPONSES:
        body.setdefault("store", False)
    return {str(use) for use in looked(api, body).uses}


def user(*parts: object) -> list[Any]:
    """A message of a person's."""
    return [{"role": "user", "content": list(parts)}]


FILE = {"type": "document", "source": {"type": "file", "file_id": "file_1"}}


@pytest.mark.row("O4")
@pytest.mark.parametrize(
    ("api", "items", "more", "expected"),
    [
        (MESSAGES, user(FILE), {}, "files"),
        (MESSAGES, user({"type": "tool_result", "content": [FILE]}), {}, "files"),
        (MESSAGES, user({"type": "container_upload", "file_id": "f"}), {}, "files"),
        (MESSAGES, [], {"system": [FILE]}, "files"),
        (MESSAGES, [], {"mcp_servers": [{"url": "https://x.test"}]}, "mcp_connector"),
        (MESSAGES, [], {"tools": [{"type": "mcp_toolset", "x": 1}]}, "mcp_connector"),
        (MESSAGES, [], {"container": {"skills": []}}, "code_execution"),
        (MESSAGES, [], {"tools": [{"type": "code_execution_20250825"}]}, "code_execution"),
        (
            MESSAGES,
            [],
            {"tools": [{"name": "a", "allowed_callers": ["code_execution_20250825"]}]},
            "code_execution",
        ),
        (MESSAGES, [], {"tools": [{"type": "web_fetch_20250910"}]}, "web_search"),
        (MESSAGES, user({"tools": [{"type": "web_search_20250305"}]}), {}, "web_search"),
        (MESSAGES, [], {"tools": [{"type": "dream_20270101", "name": "bash"}]}, "other"),
        (MESSAGES, [], {"tools": ["web_search"]}, "other"),
        (MESSAGES, [], {"tools": {"type": "custom"}}, "unread"),
        (CONVERSE, [], {"toolConfig": {"tools": [{"systemTool": {"name": "x"}}]}}, "other"),
        (CONVERSE, [], {"additionalModelRequestFields": {"container": "c"}}, "code_execution"),
        (CONVERSE, user({"document": {"source": {"s3Location": {"uri": "s3://x"}}}}), {}, "files"),
        (CHAT, [], {"store": True}, "storage"),
        (CHAT, [], {"store": "false"}, "storage"),
        (CHAT, [], {"web_search_options": {}}, "web_search"),
        (CHAT, [], {"prompt_cache_retention": "24h"}, "storage"),
        (CHAT, [{"role": "assistant", "audio": {"id": "audio_1"}}], {}, "storage"),
        (CHAT, user({"type": "file", "file": {"file_id": "f"}}), {}, "files"),
        (CHAT, [], {"extra_body": {"google": {"cached_content": "c"}}}, "storage"),
        (RESPONSES, [], {"store": None}, "conversation"),
        (RESPONSES, [], {"store": True}, "storage"),
        (RESPONSES, [], {"background": True}, "storage"),
        (RESPONSES, [], {"previous_response_id": "resp_1"}, "storage"),
        (RESPONSES, [], {"prompt": {"id": "pmpt_1"}}, "storage"),
        (RESPONSES, [{"type": "item_reference", "id": "i"}], {}, "storage"),
        (
            RESPONSES,
            [{"type": "additional_tools", "tools": [{"type": "mcp", "server_url": "x"}]}],
            {},
            "mcp_connector",
        ),
        (
            RESPONSES,
            [],
            {"tools": [{"type": "namespace", "tools": [{"type": "file_search"}]}]},
            "files",
        ),
        (
            RESPONSES,
            [],
            {"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]},
            "code_execution",
        ),
        (GEMINI, [], {"tools": [{"functionDeclarations": [], "googleSearch": {}}]}, "web_search"),
        (GEMINI, [], {"tools": [{"code_execution": {}}]}, "code_execution"),
        (GEMINI, [], {"request": {"cachedContent": "c"}}, "storage"),
        (GEMINI, [{"parts": [{"file_data": {"file_uri": "https://x"}}]}], {}, "files"),
    ],
)
def test_a_use_is_found_where_it_stands(
    api: Api, items: list[Any], more: dict[str, Any], expected: str
) -> None:
    """In the body, in a list of it, within a tool's result, in a vendor's own wrapper."""
    found = uses(api, items, **more)

    assert (found or {"conversation"}) == {expected}


@pytest.mark.row("O4")
def test_what_was_said_is_no_use() -> None:
    """A tool's input, its schema and text may say anything; a client's own tools are its own."""
    schema = {"properties": {"file_id": {"type": "mcp"}, "tools": {"type": "web_search"}}}
    own = [
        {"name": "read", "input_schema": schema},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "custom", "name": "x", "input_schema": schema},
    ]
    call = {"type": "tool_use", "id": "t", "name": "read", "input": {"file_id": "f"}}
    hers = [{"role": "assistant", "content": [call]}, *user({"type": "text", "text": '"file_id"'})]

    assert set() == uses(MESSAGES, hers, tools=own, metadata={"file_id": "f"})
    function = {"type": "function", "function": {"name": "f", "parameters": schema}}
    assert set() == uses(CHAT, [], tools=[function], store=False)
    declared = {"functionDeclarations": [{"name": "f", "parameters": schema}]}
    called = [{"parts": [{"functionCall": {"name": "f", "args": {"fileUri": "u"}}}]}]
    assert set() == uses(GEMINI, called, tools=[declared])


@pytest.mark.row("O4")
@pytest.mark.parametrize("name", ["Store", "STORE", "s_t_o_r_e", "\u017ftore", "st-ore"])
def test_a_name_is_the_same_in_every_spelling(name: str) -> None:
    """Some readers take them for one; beside the plain one it is not read at all."""
    assert {"storage"} == uses(CHAT, [], **{name: True})
    assert {"unread"} == uses(CHAT, [], **{"store": False, name: True})


@pytest.mark.row("O4", "R2")
@pytest.mark.parametrize(
    ("body", "kind", "codings"),
    [
        (b'{"model":"m","store":false,"store":true}', "application/json", ""),
        (b'{"model":"m","x":{"a":1,"a":2}}', "application/json", ""),
        (b"[]", "application/json", ""),
        (b"{", "application/json", ""),
        (b'{"model":"m"} {}', "application/json", ""),
        (b'{"model":"\xff"}', "application/json", ""),
        (b'{"model":"m"}', "application/json; charset=utf-7", ""),
        (b'{"model":"m"}', 'application/json; Charset = "UTF-16"', ""),
        (b'{"model":"m"}', "application/json", "gzip"),
        (b'{"model":"m"}', "application/json", "unheard"),
        (b"[" * 100_000, "application/json", ""),
        (b'{"fallbacks":[' + b",".join(b'"m%d"' % n for n in range(30)) + b'],"model":"m"}',
         "application/json", ""),
    ],
)  # fmt: skip
def test_what_could_be_read_otherwise_is_not_read(body: bytes, kind: str, codings: str) -> None:
    """Twice, cut off, trailing, in another encoding, too deep, of too many models."""
    assert RequestUses((), frozenset({ProviderUse.UNREAD})) == looked(
        CHAT, body, kind=kind, codings=codings
    )


@given(st.binary(max_size=200), st.sampled_from(list(Api)))
def test_any_bytes_are_looked_at(body: bytes, api: Api) -> None:
    """It never raises; what is no JSON object is unread."""
    found = looked(api, body)
    if body and not body.lstrip().startswith((b"{", b"\xef\xbb\xbf")):
        assert frozenset({ProviderUse.UNREAD}) == found.uses


def test_paths_say_what_is_no_conversation() -> None:
    """Files, batches (whose requests are not read), what is stored; all else is not known."""
    assert {ProviderUse.FILES} == uses_of_path("/v1/files?limit=1")
    assert {ProviderUse.BATCHES, ProviderUse.UNREAD} == uses_of_path("/v1/messages/batches")
    assert {ProviderUse.BATCHES, ProviderUse.UNREAD} == uses_of_path(
        "/v1beta/models/g:batchGenerateContent"
    )
    assert {ProviderUse.STORAGE} == uses_of_path("/v1/conversations/c_1")
    assert {ProviderUse.OTHER} == uses_of_path("/v1/organizations/x")


def test_the_names_are_the_documents() -> None:
    """Each use can be decided, and there is none besides."""
    assert {str(one) for one in ProviderUse} | {"conversation"} == REQUIRED_VALUES["uses"]
