"""What a forward proxy says itself. Pure. A refusal says its rule where the client shows it: in the
status line, the field `x-bailee-rule`, and the body.
"""

from __future__ import annotations

from typing import Final

from bailee.outbound.forwarding.attempts import Attempt, Stopped

CONNECTED: Final = b"HTTP/1.1 200 Connected\r\n\r\n"


def refusal_parts(attempt: Attempt, why: Stopped) -> tuple[list[tuple[str, str]], str, bytes]:
    """The fields, the reason of the status line, and the body of a refusal."""
    where = f" to {attempt.host} port {attempt.port}" if attempt.host else ""
    body = f"bailee: no connection{where}: {why.reason}.\nrule: {why.rule}\n".encode()
    fields = [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", str(len(body))),
        ("x-bailee-rule", why.rule),
        ("connection", "close"),
    ]
    if why.status == 407:
        fields.append(("proxy-authenticate", "Basic realm=bailee"))
    return fields, f"bailee: {why.reason} (rule {why.rule})", body


def refusal(attempt: Attempt, why: Stopped) -> bytes:
    """A refusal as it is sent."""
    fields, reason, body = refusal_parts(attempt, why)
    lines = [f"HTTP/1.1 {why.status} {reason}", *(f"{name}: {value}" for name, value in fields)]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body
