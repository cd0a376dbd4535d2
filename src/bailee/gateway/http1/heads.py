"""What a message's head says, and what of it goes on to the next hop. Pure.

Rules kept here:

* A head is never rebuilt from parsed fields. The fields that end at this hop are cut out of the
  bytes that came; everything else stays as it was, in order and spelling.
* What two readers could understand differently is refused: a bare LF, a folded line, a second
  Content-Length, Content-Length beside Transfer-Encoding, any transfer coding but `chunked`; a
  second Host, one that is not a host and a port, a whole address as the target that names another
  host; a second credential of the same name; a second one of the fields that a record notes; a
  field that gives another method or path than the request line.
"""

from __future__ import annotations

import re
from typing import Final

from bailee.gateway.http1.bodies import Body, ChunkedBody, LengthBody, UntilClose
from bailee.gateway.http1.syntax import FIELD, TOKEN, Malformed

_REQUEST_LINE: Final = re.compile(rb"(" + TOKEN + rb"{1,32}) ([!-~]+) HTTP/1\.([01])\r\n")
_STATUS_LINE: Final = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n"
)
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")

# RFC 9110, 7.2, without what no host that can be reached has: a user, a list, a path.
_HOST: Final = re.compile(rb"(?:[0-9A-Za-z._~%\-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_AUTHORITY: Final = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)

# Fields that end at this hop, whatever Connection names besides.
HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
CREDENTIALS: Final = frozenset(
    {b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key", b"x-bailee-key"}
)
# With these an upstream may take the request for another one than its first line says.
_SAY_IT_TWICE: Final = frozenset(
    {
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-original-method",
        b"x-original-url",
        b"x-rewrite-url",
    }
)
# The client expects its 100 (Continue) from us; Host names us; and cookies are of our name, which
# the console may share.
_ENDS_HERE: Final = HOP_BY_HOP | {b"host", b"expect", b"cookie"}
# What an upstream says of its own name, and a client would take for said of ours, or what sends
# whoever follows it elsewhere with prompt and key (docs/adr/0074).
_OF_ANOTHER_NAME: Final = frozenset(
    {
        b"alt-svc",
        b"clear-site-data",
        b"nel",
        b"refresh",
        b"report-to",
        b"reporting-endpoints",
        b"set-cookie",
        b"strict-transport-security",
        b"x-accel-redirect",
        b"x-lighttpd-send-file",
        b"x-sendfile",
    }
)
# Fields that a record notes: they name a session or an agent, or say how to read the body.
_NOTED_OF_REQUEST: Final = frozenset(
    {
        b"content-type",
        b"content-encoding",
        b"x-claude-code-session-id",
        b"x-claude-code-agent-id",
        b"x-claude-code-parent-agent-id",
        # Codex, today and in earlier versions.
        b"session-id",
        b"session_id",
        b"thread-id",
        b"x-codex-parent-thread-id",
        b"x-openai-subagent",
        # opencode.
        b"x-session-id",
        b"x-parent-session-id",
        # Any client that `bailee run` starts.
        b"x-bailee-session",
    }
)
_OURS: Final = b"x-bailee-session"  # noted, and nobody's else
_NOTED_OF_ANSWER: Final = frozenset(
    {b"content-type", b"content-encoding", b"request-id", b"x-request-id"}
)
_REQUEST_NAMES: Final = (
    _ENDS_HERE | CREDENTIALS | _SAY_IT_TWICE | _NOTED_OF_REQUEST | {b"content-length"}
)
_ANSWER_NAMES: Final = HOP_BY_HOP | _OF_ANOTHER_NAME | _NOTED_OF_ANSWER | {b"content-length"}
_IDLE: Final = re.compile(rb"\btimeout[ \t]*=[ \t]*\"?([0-9]{1,9})", re.IGNORECASE)


class RequestHead:
    """A request's head, read once. The client's connection makes it; whoever decides on the
    request, its exchange and its record read it.

    `kept` is its field lines as they came (each `Name: value CRLF`), without those that end at this
    hop and without credentials; `credentials` are those, by lower-case name. `credential_lines` are
    their lines as they came, that of x-bailee-key left out; `noted` are the fields that a record
    notes, (lower-case name, value). `answer_lines` go into every answer to this request; whoever
    decides on the request sets them. `websocket`: it asks to change to the WebSocket protocol (RFC
    6455, 4.1). `host`: as it names us, empty in HTTP/1.0 without.
    """

    __slots__ = (
        "answer_lines",
        "chunked",
        "credential_lines",
        "credentials",
        "expects_continue",
        "host",
        "keep_alive",
        "kept",
        "length",
        "method",
        "minor",
        "noted",
        "target",
        "websocket",
    )

    def __init__(self, method: bytes, target: bytes, minor: int) -> None:
        self.method = method
        self.target = target
        self.minor = minor
        self.kept = b""
        self.credentials: dict[bytes, bytes] = {}
        self.credential_lines = b""
        self.answer_lines = b""
        self.noted: list[tuple[bytes, bytes]] = []
        self.chunked = False
        self.length: int | None = None
        self.keep_alive = minor == 1
        self.expects_continue = False
        self.host = b""
        self.websocket = False

    def body(self) -> Body:
        """A new reader of this request's body."""
        return ChunkedBody() if self.chunked else LengthBody(self.length or 0)

    @property
    def has_body(self) -> bool:
        """Whether bytes follow the head."""
        return self.chunked or bool(self.length)


class AnswerHead:
    """An answer's head. `kept` and `noted` as in `RequestHead`; `length` is None when none was
    given; `content_type` and `content_encoding` are lower case. `idle` is the time in seconds after
    which its sender closes an idle connection, None when it does not say.
    """

    __slots__ = (
        "bodiless",
        "chunked",
        "content_encoding",
        "content_type",
        "idle",
        "keep_alive",
        "kept",
        "length",
        "noted",
        "reason",
        "status",
    )

    def __init__(self, status: int, reason: bytes, minor: int) -> None:
        self.status = status
        self.reason = reason
        self.kept = b""
        self.chunked = False
        self.length: int | None = None
        self.keep_alive = minor == 1
        self.noted: list[tuple[bytes, bytes]] = []
        self.content_type = b""
        self.content_encoding = b""
        self.bodiless = False
        self.idle: int | None = None

    def body(self) -> Body:
        """A new reader of this answer's body."""
        if self.bodiless:
            return LengthBody(0)
        if self.chunked:
            return ChunkedBody()
        return UntilClose() if self.length is None else LengthBody(self.length)

    @property
    def delimited(self) -> bool:
        """Whether the body's end is known before its sender closes."""
        return self.bodiless or self.chunked or self.length is not None


def find_head_end(data: bytes, scanned: int = 0) -> int:
    """The length of the head that `data` begins with, or -1 when its end has not come yet. In its
    first `scanned` bytes it was looked for before.

    Raises:
        Malformed: it can't become one (bare LF, or it does not begin like one).
    """
    end = data.find(b"\r\n\r\n", max(0, scanned - 3))
    if end >= 0:
        return end + 4
    if _BARE_LF.search(data, max(0, scanned - 1)) is not None:
        raise Malformed("a line does not end in CRLF")
    if data and not 0x21 <= data[0] <= 0x7E:
        raise Malformed("this is not HTTP")
    return -1


def parse_request_head(head: bytes) -> RequestHead:
    """Reads a head that ends in an empty line.

    Raises:
        Malformed: it is not HTTP/1.x, or its framing could be read in two ways.
    """
    line = _REQUEST_LINE.match(head)
    if line is None:
        raise Malformed("the request line is not valid HTTP/1.x")
    method, target, minor = line.groups()
    request = RequestHead(method, target, minor == b"1")
    kept: list[bytes] = []
    named: list[bytes] = []
    noted = request.noted
    host: bytes | None = None
    at = end = line.end()  # what is kept of the lines up to `at` is in `kept`
    for spelled, blanked in FIELD.findall(head, end, len(head) - 2):
        begin = end
        end += len(spelled) + len(blanked) + 3
        name = spelled.lower()
        if name not in _REQUEST_NAMES:
            continue
        value = blanked.strip(b" \t")
        if name in _NOTED_OF_REQUEST:
            if noted and any(name == one for one, _ in noted):
                raise Malformed("a field that has one value is given twice")
            noted.append((name, value))
            if name == _OURS:
                kept.append(head[at:begin])
                at = end
            continue
        if name == b"content-length":
            _length(request, value)
            continue
        if at != begin:
            kept.append(head[at:begin])
        at = end
        if name == b"host":
            if host is not None or _HOST.fullmatch(value) is None:
                raise Malformed("a request needs exactly one Host, a name and a port")
            host = request.host = value
        elif name in CREDENTIALS:
            if name in request.credentials:
                raise Malformed("a credential is given twice")
            request.credentials[name] = value
            if name != b"x-bailee-key":
                request.credential_lines += head[begin:end]
        elif name == b"connection":
            named += _tokens(value)
        elif name == b"upgrade":
            request.websocket = method == b"GET" and b"websocket" in _tokens(value)
        elif name == b"transfer-encoding":
            if request.minor == 0:
                raise Malformed("HTTP/1.0 has no transfer codings")
            _chunked(request, value)
        elif name == b"expect":
            if value.lower() != b"100-continue":
                raise Malformed("an unknown expectation")
            request.expects_continue = request.minor == 1
        elif name in _SAY_IT_TWICE:
            raise Malformed("a field gives another method or path than the request line")
    if end != len(head) - 2:
        raise Malformed("a header field is not valid")
    kept.append(head[at:-2])
    request.kept = b"".join(kept)
    if request.chunked and request.length is not None:
        raise Malformed("Content-Length beside Transfer-Encoding")
    if host is None and request.minor:
        raise Malformed("a request needs exactly one Host, a name and a port")
    if target[0] != 0x2F:  # a whole address, or what is no path: RFC 9112, 3.2
        authority = _AUTHORITY.match(target)
        if authority is not None and host is not None and authority[1].lower() != host.lower():
            raise Malformed("Host and target name different hosts")
    request.websocket = request.websocket and b"upgrade" in named
    if named:
        request.keep_alive = request.keep_alive and b"close" not in named
        request.kept = _without(request.kept, named)
    return request


def parse_answer_head(head: bytes, method: bytes) -> AnswerHead:
    """Reads the head of an answer to `method`, which ends in an empty line.

    Raises:
        Malformed: as for requests.
    """
    line = _STATUS_LINE.match(head)
    if line is None:
        raise Malformed("the status line is not valid HTTP/1.x")
    answer = AnswerHead(int(line[2]), line[3] or b"", line[1] == b"1")
    kept: list[bytes] = []
    named: list[bytes] = []
    at = end = line.end()
    for spelled, blanked in FIELD.findall(head, end, len(head) - 2):
        begin = end
        end += len(spelled) + len(blanked) + 3
        name = spelled.lower()
        if name not in _ANSWER_NAMES:
            continue
        value = blanked.strip(b" \t")
        if name in _NOTED_OF_ANSWER:
            answer.noted.append((name, value))
            if name == b"content-type":
                answer.content_type = value.lower()
            elif name == b"content-encoding":
                answer.content_encoding = value.lower()
            continue
        if name == b"content-length":
            _length(answer, value)
            continue
        if at != begin:
            kept.append(head[at:begin])
        at = end
        if name == b"transfer-encoding":
            _chunked(answer, value)
        elif name == b"connection":
            named += _tokens(value)
        elif name == b"keep-alive" and (idle := _IDLE.search(value)) is not None:
            answer.idle = int(idle[1])
    if end != len(head) - 2:
        raise Malformed("a header field is not valid")
    kept.append(head[at:-2])
    answer.kept = b"".join(kept)
    if answer.chunked and answer.length is not None:
        raise Malformed("Content-Length beside Transfer-Encoding")
    status = answer.status
    answer.bodiless = method == b"HEAD" or status < 200 or status in (204, 304)
    if named:
        answer.keep_alive = answer.keep_alive and b"close" not in named
        answer.kept = _without(answer.kept, named)
    return answer


def without(lines: bytes, names: frozenset[bytes]) -> bytes:
    """Field `lines` without those whose lower-case name is in `names`."""
    return b"".join(
        line
        for line in lines.splitlines(keepends=True)
        if line.partition(b":")[0].lower() not in names
    )


def _tokens(value: bytes) -> list[bytes]:
    return [token.strip(b" \t").lower() for token in value.split(b",")]


def _length(message: RequestHead | AnswerHead, value: bytes) -> None:
    if message.length is not None:
        raise Malformed("Content-Length is given twice")
    if not value.isdigit() or len(value) > 18:
        raise Malformed("Content-Length is not a number")
    message.length = int(value)


def _chunked(message: RequestHead | AnswerHead, value: bytes) -> None:
    if message.chunked or value.lower() != b"chunked":
        raise Malformed("a transfer coding other than chunked")
    message.chunked = True


def _without(lines: bytes, named: list[bytes]) -> bytes:
    """`lines` without the fields that Connection names. Framing is not Connection's to change."""
    drop = frozenset(named) - {b"close", b"keep-alive", b"", b"content-length"}
    return without(lines, drop) if drop else lines
