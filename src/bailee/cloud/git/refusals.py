"""How a refusal is said, so that git, or git lfs, prints the reason. Pure.

Git prints `fatal: remote error: ...` for an ERR packet, `! [remote rejected] ref (...)` for a
report, and the body of an error that is plain text with `remote: ` before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from bailee.cloud.git.pktlines import Marker, encode, error
from bailee.cloud.git.pushes import Push
from bailee.cloud.git.reports import refusal
from bailee.cloud.git.routes import FETCH, PUSH, Ask, Route
from bailee.cloud.git.rules import refused


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: status, content type, body."""

    status: int
    kind: str
    body: bytes


def say(way: Route, push: Push | None, branch: str, reason: str) -> Said:
    """The answer to a request of this kind. `push`: what was pushed, if that could be read."""
    said = f"bailee: {reason}"
    if way.ask in (Ask.ADVERTISE_FETCH, Ask.ADVERTISE_PUSH):
        service = FETCH if way.ask is Ask.ADVERTISE_FETCH else PUSH
        opening = encode(f"# service={service}\n".encode()) + encode(Marker.FLUSH)
        return Said(200, f"application/x-{service}-advertisement", opening + error(said))
    if way.ask is Ask.PUSH and push is not None:
        why = refused(push, branch)
        reasons = why[1] if why is not None else {c.ref: reason for c in push.commands}
        return Said(200, f"application/x-{PUSH}-result", refusal(push, reasons, reason))
    if way.ask in (Ask.FETCH, Ask.PUSH):
        service = FETCH if way.ask is Ask.FETCH else PUSH
        return Said(200, f"application/x-{service}-result", error(said))
    if way.lfs:
        return Said(403, "application/vnd.git-lfs+json", orjson.dumps({"message": said}))
    return Said(403, "text/plain; charset=utf-8", f"{said}\n".encode())
