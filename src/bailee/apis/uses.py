"""What a request has its provider do or keep, besides answering: files, batches, tools that the
provider runs, what it stores. Pure.

| use | told by |
|---|---|
| files | `file_id`, `file_uri`, an S3 location, `container_upload`, file search, vector stores |
| batches | the path |
| storage | `store`, `background`, an earlier response or conversation, a cached context or prompt |
| code_execution | a code tool, `container`, code as a tool's caller |
| mcp_connector | `mcp_servers`, a tool of type `mcp` |
| web_search | a search or fetch tool, `web_search_options` |
| other | a tool that is not known here and is not the client's own; a path that is not |
| unread | what is past a bound, is no JSON, or has a name twice |

Rules kept here:

* A request is read and never changed, and what it costs to read is bounded (`vault.bounds`).
* Names are compared without case, underscores and hyphens: providers read them so, some in two
  spellings. A name that is told by and stands twice in one object, in any spelling, is not read.
* What a person or a tool said is no use: texts, a tool's input and schema are not looked into.
* A tool of a kind that is not known counts as the provider's.

Rows: O4.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

from bailee.api import Api
from bailee.apis.requests import AskedParts
from bailee.json_values import JsonObject, elements, members, text
from bailee.vault.listing import WRAPPER
from bailee.vault.packing import JSON


class ProviderUse(StrEnum):
    """A use, by the name that the policy's documents give it."""

    FILES = "files"
    BATCHES = "batches"
    STORAGE = "storage"
    CODE_EXECUTION = "code_execution"
    MCP_CONNECTOR = "mcp_connector"
    WEB_SEARCH = "web_search"
    OTHER = "other"
    UNREAD = "unread"


def uses_of_path(target: str) -> frozenset[ProviderUse]:
    """What a request uses that is no conversation, by its path. What is in a batch is not read."""
    segments = re.split(r"[/:]", target.partition("?")[0].lower())
    found = {use for one in segments if (use := _PATHS.get(one)) is not None}
    if ProviderUse.BATCHES in found:
        found.add(ProviderUse.UNREAD)
    return frozenset(found or {ProviderUse.OTHER})


def uses_of(
    api: Api, target: str, request: AskedParts, *, counting: bool = False
) -> frozenset[ProviderUse]:
    """What a conversation's request uses; none: the conversation and nothing else. `counting`: it
    only has its tokens counted, of which nothing is stored. Never raises.
    """
    if request.raw is not None or request.beyond is not None:
        return frozenset({ProviderUse.UNREAD})
    found: set[ProviderUse] = set()
    kept = counting or _COMPACTS.search(target) is not None
    for number, fields in enumerate(_outermost(api, request.fields)):
        found |= _of_fields(api, fields, inner=number > 0, kept=kept)
        found |= _walk([value for name, value in fields.items() if _plain(name) not in _SAID])
    return frozenset(found | _walk(request.items or []))


def _outermost(api: Api, fields: JsonObject) -> Iterator[JsonObject]:
    """The objects whose members a provider reads as the request's own."""
    yield fields
    for name, value in fields.items():
        plain = _plain(name)
        wraps = api is Api.GEMINI and plain == WRAPPER
        if (wraps or plain == "additionalmodelrequestfields") and isinstance(value, dict):
            yield value


def _of_fields(api: Api, fields: JsonObject, *, inner: bool, kept: bool) -> set[ProviderUse]:
    """What the outermost members say. `kept`: the request is none that is stored."""
    told = _told(fields)
    if told is None:
        return {ProviderUse.UNREAD}
    found = _of_object(told)
    found |= {use for name, use in _OUTERMOST.items() if _says(told.get(name))}
    if _says(told.get("promptcacheretention")) and told["promptcacheretention"] not in _IN_MEMORY:
        found.add(ProviderUse.STORAGE)
    stored = told.get("store", api is Api.RESPONSES and not inner and not kept)
    if stored is not False and stored is not None:
        found.add(ProviderUse.STORAGE)
    if api is Api.RESPONSES and isinstance(told.get("prompt"), dict):
        found.add(ProviderUse.STORAGE)
    tools = told.get("tools")
    if tools is not None and not isinstance(tools, list):
        found.add(ProviderUse.UNREAD)
    return found


def _walk(values: list[JSON]) -> set[ProviderUse]:
    """What stands anywhere in these values, but for what was said."""
    found: set[ProviderUse] = set()
    waiting = list(values)
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            told = _told(one)
            if told is None:
                return {ProviderUse.UNREAD}
            found |= _of_object(told)
            said = _SAID_BY.get(text(told.get("type")).lower(), _SAID)
            waiting += [value for name, value in one.items() if _plain(name) not in said]
    return found


def _of_object(told: Mapping[str, JSON]) -> set[ProviderUse]:
    found = {_ANYWHERE[name] for name in told.keys() & _ANYWHERE.keys() if _says(told[name])}
    if (use := _of_kind(told.get("type"))) is not None:
        found.add(use)
    if _says(members(told.get("audio")).get("id")):
        found.add(ProviderUse.STORAGE)
    if any(text(one).startswith("code_execution") for one in elements(told.get("allowedcallers"))):
        found.add(ProviderUse.CODE_EXECUTION)
    for tool in elements(told.get("tools")):
        found |= _of_tool(tool)
    return found


def _of_kind(kind: JSON) -> ProviderUse | None:
    """What an object of this type is, if its type says so."""
    if kind is None or kind in _USUAL_KINDS:
        return None
    name = text(kind).lower().replace("-", "_")
    return next((use for pattern, use in _KINDS if pattern.fullmatch(name)), None)


def _of_tool(tool: JSON) -> set[ProviderUse]:
    """What a tool is, unless it is the client's own."""
    told = _told(members(tool))
    if told is None:
        return {ProviderUse.UNREAD}
    kind = text(told.get("type")).lower().replace("-", "_")
    if kind:
        own = _OWN_KINDS.fullmatch(kind) is not None or _of_kind(kind) is not None
        return set() if own else {ProviderUse.OTHER}
    found = {_GEMINI_TOOLS[name] for name in told if name in _GEMINI_TOOLS}
    if not found and not any(name in told for name in _OWN_MEMBERS):
        found.add(ProviderUse.OTHER)
    return found


def _told(value: Mapping[str, JSON]) -> dict[str, JSON] | None:
    """An object's members by their plain names; None: one that is told by stands there twice."""
    found: dict[str, JSON] = {}
    for name, member in value.items():
        plain = _plain(name)
        if plain in found and plain in _TELLING:
            return None
        found[plain] = member
    return found


def _plain(name: str) -> str:
    if not name.isascii():  # some readers take ſ for s
        name = unicodedata.normalize("NFKC", name).casefold()
    return name.replace("_", "").replace("-", "").lower()


def _says(value: JSON) -> bool:
    """Whether a member has a value that means something, as an object without members can."""
    return value is not None and value is not False and value not in ("", [])


_PATHS: Final = {
    "files": ProviderUse.FILES,
    "uploads": ProviderUse.FILES,
    "upload": ProviderUse.FILES,
    "vector_stores": ProviderUse.FILES,
    "filesearchstores": ProviderUse.FILES,
    "batches": ProviderUse.BATCHES,
    "batchgeneratecontent": ProviderUse.BATCHES,
    "batchpredictionjobs": ProviderUse.BATCHES,
    "model-invocation-job": ProviderUse.BATCHES,
    "model-invocation-jobs": ProviderUse.BATCHES,
    "responses": ProviderUse.STORAGE,
    "conversations": ProviderUse.STORAGE,
    "assistants": ProviderUse.STORAGE,
    "threads": ProviderUse.STORAGE,
    "cachedcontents": ProviderUse.STORAGE,
    "containers": ProviderUse.CODE_EXECUTION,
}
_COMPACTS: Final = re.compile(r"/responses/compact(?:\?|$)")
_IN_MEMORY: Final = ("in_memory", "in-memory")
_OUTERMOST: Final = {
    "container": ProviderUse.CODE_EXECUTION,
    "background": ProviderUse.STORAGE,
    "previousresponseid": ProviderUse.STORAGE,
    "conversation": ProviderUse.STORAGE,
    "promptvariables": ProviderUse.STORAGE,
    "websearchoptions": ProviderUse.WEB_SEARCH,
}
_ANYWHERE: Final = {
    "fileid": ProviderUse.FILES,
    "fileids": ProviderUse.FILES,
    "fileuri": ProviderUse.FILES,
    "s3location": ProviderUse.FILES,
    "vectorstoreids": ProviderUse.FILES,
    "mcpservers": ProviderUse.MCP_CONNECTOR,
    "cachedcontent": ProviderUse.STORAGE,
    "containerid": ProviderUse.CODE_EXECUTION,
}
_GEMINI_TOOLS: Final = {
    "googlesearch": ProviderUse.WEB_SEARCH,
    "googlesearchretrieval": ProviderUse.WEB_SEARCH,
    "enterprisewebsearch": ProviderUse.WEB_SEARCH,
    "googlemaps": ProviderUse.WEB_SEARCH,
    "urlcontext": ProviderUse.WEB_SEARCH,
    "codeexecution": ProviderUse.CODE_EXECUTION,
    "filesearch": ProviderUse.FILES,
    "retrieval": ProviderUse.FILES,
    "mcpservers": ProviderUse.MCP_CONNECTOR,
    "systemtool": ProviderUse.OTHER,
}
_KINDS: Final = tuple(
    (re.compile(pattern), use)
    for pattern, use in (
        (r"web_(?:search|fetch)(?:_preview)?(?:_[0-9_]+)?", ProviderUse.WEB_SEARCH),
        (r"code_(?:interpreter|execution)(?:_[0-9_]+)?", ProviderUse.CODE_EXECUTION),
        (r"container_(?:auto|reference)", ProviderUse.CODE_EXECUTION),
        (r"mcp(?:_toolset)?(?:_[0-9_]+)?", ProviderUse.MCP_CONNECTOR),
        (r"file_search(?:_[0-9_]+)?|container_upload", ProviderUse.FILES),
        (r"item_reference", ProviderUse.STORAGE),
    )
)
_USUAL_KINDS: Final = ("text", "tool_use", "tool_result", "custom", "function", "message")
_OWN_KINDS: Final = re.compile(
    r"custom|function|namespace|local_shell|shell|apply_patch|computer_use_preview|computer"
    r"|(?:bash|text_editor|computer|memory)_[0-9]+|tool_search(?:_tool_[a-z0-9_]+)?"
)
"""Kinds of tools that the client runs, or that search among its own."""
_OWN_MEMBERS: Final = (
    "name",
    "inputschema",
    "function",
    "toolspec",
    "cachepoint",
    "functiondeclarations",
    "computeruse",
)
"""By which a tool without a type is the client's own."""
_SAID: Final = frozenset(
    {
        "metadata",
        "clientmetadata",
        "inputschema",
        "inputexamples",
        "outputschema",
        "parameters",
        "parametersjsonschema",
        "schema",
        "jsonschema",
        "responseschema",
        "responsejsonschema",
        "args",
        "arguments",
    }
)
"""Members that hold what is said, or the form of it."""
_SAID_BY: Final = dict.fromkeys(("tool_use", "server_tool_use", "mcp_tool_use"), _SAID | {"input"})
"""Likewise, of objects of these types."""
_TELLING: Final = frozenset(
    {
        *_OUTERMOST,
        *_ANYWHERE,
        *_GEMINI_TOOLS,
        *_OWN_MEMBERS,
        "type",
        "tools",
        "store",
        "prompt",
        "promptcacheretention",
        "allowedcallers",
        "audio",
        "input",
        "messages",
        "contents",
        "model",
    }
)
