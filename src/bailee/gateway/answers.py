"""The answers that the gateway gives itself, as bytes.

Pure. Errors have the shape of the API that was asked (`error_shapes`), as a document or as an event
of a stream, so that clients show them as they show their upstream's.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import orjson

from bailee.api import Api
from bailee.errors import BaileeError
from bailee.gateway.error_shapes import document, event

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'
LAST_CHUNK: Final = b"0\r\n\r\n"


def chunk(payload: bytes) -> bytes:
    """`payload` (not empty) as one chunk."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def error_answer(
    error: BaileeError,
    request_id: str,
    api: Api = Api.MESSAGES,
    *,
    close: bool,
    bodiless: bool = False,
    allow: str = "",
    lines: bytes = b"",
) -> bytes:
    """A whole answer that says `error`. `bodiless` for an answer to HEAD; `lines` are header lines
    besides.
    """
    body = orjson.dumps(document(error, request_id, api))
    extra = f"allow: {allow}\r\n" if allow else ""
    if error.code == "over_quota":  # somebody has to act first: SDKs heed this, and show the error
        extra += "retry-after: 300\r\nx-should-retry: false\r\n"
    elif b"retry" in lines:  # it is said there
        pass
    elif error.http_status in (429, 503, 529):
        extra += "retry-after: 2\r\n"
    elif error.code == "authentication":  # a key does not become good by being sent again
        extra += "x-should-retry: false\r\n"
    elif error.code == "upgrade_required":  # RFC 9110, 15.5.22
        extra += "upgrade: HTTP/1.1\r\nconnection: upgrade\r\n"
    if api in _READS_X_REQUEST_ID:
        extra += f"x-request-id: {request_id}\r\n"
    extra += lines.decode("ascii")
    return _answer(error.http_status, body, request_id, extra, close=close, bodiless=bodiless)


_READS_X_REQUEST_ID: Final = frozenset({Api.RESPONSES, Api.CHAT})


def error_event(error: BaileeError, request_id: str, api: Api = Api.MESSAGES) -> bytes:
    """`error` as an event of a stream that has begun."""
    name, said = event(error, request_id, api)
    first = b"event: " + name.encode("ascii") + b"\n" if name else b""
    return first + b"data: " + orjson.dumps(said) + b"\n\n"


def hello(
    request_id: str,
    *,
    close: bool,
    bodiless: bool,
    status: int = 200,
    body: bytes = b'{"message":"hello"}',
) -> bytes:
    """The answer to a client that asks whether anyone is there; or how the server stands."""
    return _answer(status, body, request_id, "", close=close, bodiless=bodiless)


def preflight(lines: bytes, request_id: str, *, close: bool) -> bytes:
    """The answer that lets a browser make its request; `lines` are its header lines."""
    connection = b"connection: close\r\n" if close else b""
    return b"HTTP/1.1 204 No Content\r\nrequest-id: %b\r\n%b%b\r\n" % (
        request_id.encode("ascii"),
        lines,
        connection,
    )


def application_answer(
    status: int,
    fields: Sequence[tuple[bytes, bytes]],
    body: bytes,
    request_id: str,
    *,
    close: bool,
    bodiless: bool = False,
    lines: bytes = b"",
) -> bytes:
    """The answer of an application beside the gateway; `fields` have no framing."""
    reason = HTTPStatus(status).phrase if status in _KNOWN else "Unknown"
    head = [f"HTTP/1.1 {status} {reason}".encode("ascii")]
    head += [name + b": " + value for name, value in fields]
    if status not in (204, 304):
        head.append(b"content-length: %d" % len(body))
    head.append(b"request-id: " + request_id.encode("ascii"))
    if close:
        head.append(b"connection: close")
    return b"\r\n".join(head) + b"\r\n" + lines + b"\r\n" + (b"" if bodiless else body)


def _answer(
    status: int, body: bytes, request_id: str, extra: str, *, close: bool, bodiless: bool
) -> bytes:
    reason = HTTPStatus(status).phrase if status in _KNOWN else "Overloaded"
    connection = "connection: close\r\n" if close else ""
    head = (
        f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nrequest-id: {request_id}\r\n{extra}{connection}\r\n"
    )
    return head.encode("ascii") + (b"" if bodiless else body)


_KNOWN: Final = frozenset(int(status) for status in HTTPStatus)
