"""Which requests the console and the ingest refuse, because two readers could understand them
differently. Pure.

Where a request begins and ends, uvicorn's parser (llhttp) reads, and refuses a bare LF, two
lengths, or a length beside a transfer coding. It leaves to its user what is refused here, as the
gateway does (`gateway.http1.heads`):

* Every transfer coding but one `chunked`, and each in HTTP/1.0 (RFC 9112, 6.1).
* No Host in HTTP/1.1, or two; a whole address as the target that names another host.
* A second one of the fields that say who asks, from where, or how a body is to be read. A proxy in
  front may look at the first, and we at the last.
* More than `spare` bytes around a body: extensions of its chunks are read and mean nothing.

Fields after a body (trailers) are refused where they come: the parser hands them out as if they
stood in the head, which had been looked at by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_ONCE: Final = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"origin",
        b"sec-fetch-site",
        b"statsig-api-key",
        b"transfer-encoding",
        b"x-api-key",
        b"x-sentry-auth",
    }
)
_SPARE: Final = 64 * 1024
_AROUND: Final = 16  # bytes around one of a body: a chunk of one byte has five


def is_plain(version: str, target: bytes, fields: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a head can be read in one way only. `version`: `1.1` or `1.0`; `fields`: their names
    in lower case.
    """
    once = [name for name, _ in fields if name in _ONCE]
    if len(once) != len(set(once)):
        return False
    said = dict(fields)
    host, coding = said.get(b"host"), said.get(b"transfer-encoding")
    if version not in ("1.0", "1.1") or (host is None and version == "1.1"):
        return False
    if coding is not None and (version == "1.0" or coding.strip().lower() != b"chunked"):
        return False
    return target.startswith(b"/") or target == b"*" or _names(target, host)


def is_padded(came: int, body: int) -> bool:
    """Whether of `came` bytes, of which `body` were a body's, too many were around it."""
    return came > _SPARE + _AROUND * body


def _names(target: bytes, host: bytes | None) -> bool:
    """Whether a whole address is one at `host`."""
    scheme, found, rest = target.partition(b"://")
    if not found or scheme.lower() not in (b"http", b"https") or host is None:
        return False
    return rest.partition(b"/")[0].partition(b"?")[0].lower() == host.strip().lower()
