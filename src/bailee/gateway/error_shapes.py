"""An error of our own in the shape of the API that was asked, as a document and as an event.

Pure. What a client reads of an error is its API's own: another's is shown as nothing, or as
`[object Object]`. Which errors a client repeats a request for follows its status; in a stream it is
the client's own affair.

Shapes: the Messages API's errors; OpenAI's error object and the event `response.failed`; Google's
`google.rpc.Status` (google.aip.dev/193).
"""

from __future__ import annotations

from typing import Final

from bailee.api import Api
from bailee.errors import BaileeError


def document(error: BaileeError, request_id: str, api: Api) -> dict[str, object]:
    """`error` as the body of an answer."""
    if api in (Api.RESPONSES, Api.CHAT):
        return {"error": _openai(error)}
    if api is Api.GEMINI:
        return {"error": _google(error, request_id)}
    return error.api_body(request_id)


def event(error: BaileeError, request_id: str, api: Api) -> tuple[str, dict[str, object]]:
    """`error` as an event of a stream that has begun: its name, empty where the API gives its
    events none, and its data.
    """
    if api is Api.RESPONSES:  # `event: error` is passed over by Codex
        said = _openai(error)
        failed: dict[str, object] = {"id": request_id, "object": "response", "status": "failed"}
        failed |= {"output": [], "error": {"code": said["code"], "message": said["message"]}}
        return "response.failed", {"type": "response.failed", "response": failed}
    return "" if api in (Api.CHAT, Api.GEMINI) else "error", document(error, request_id, api)


def _text(error: BaileeError) -> str:
    hint = "" if error.hint is None else f" hint: {error.hint}"
    return f"bailee: {error.message}{hint}"


def _openai(error: BaileeError) -> dict[str, object]:
    status = error.http_status
    kind = _OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"message": _text(error), "type": kind, "param": None, "code": _openai_code(error)}


def _openai_code(error: BaileeError) -> str:
    if error.code == "authentication":
        return "invalid_api_key"
    if error.code in _LASTING:  # which clients do not repeat a request for
        return "insufficient_quota"
    return "rate_limit_exceeded" if error.http_status == 429 else error.code


def _google(error: BaileeError, request_id: str) -> dict[str, object]:
    status = error.http_status
    name = _GOOGLE_STATUSES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    details: list[dict[str, object]] = [
        {"@type": f"{_RPC}RequestInfo", "requestId": request_id},
        {"@type": f"{_RPC}ErrorInfo", "reason": error.code.upper(), "domain": "bailee"},
    ]
    if status in (429, 503, 529) and error.code not in _LASTING:
        details.append({"@type": f"{_RPC}RetryInfo", "retryDelay": "2s"})
    return {"code": status, "message": _text(error), "status": name, "details": details}


_LASTING: Final = frozenset({"over_quota", "usage_limit", "usage_unknown"})
"""Errors that no repetition helps, although their status is one for which clients repeat."""
_RPC: Final = "type.googleapis.com/google.rpc."
_OPENAI_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_GOOGLE_STATUSES: Final = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
