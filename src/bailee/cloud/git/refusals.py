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
from bailee.cloud.git.routes import FETCH, PUSH, GitRoute, GitService
from bailee.cloud.git.rules import refused


@dataclass(frozen=True, slots=True)
class GitAnswer:
    """An answer: status, content type, body."""

    status: int
    kind: str
    body: bytes


def say(way: GitRoute, push: Push | None, branch: str, reason: str) -> GitAnswer:
    """The answer to a request of this kind. `push`: what was pushed, if that could be read."""
    said = f"bailee: {reason}"
    if way.ask in (GitService.ADVERTISE_FETCH, GitService.ADVERTISE_PUSH):
        service = FETCH if way.ask is GitService.ADVERTISE_FETCH else PUSH
        opening = encode(f"# service={service}\n".encode()) + encode(Marker.FLUSH)
        return GitAnswer(200, f"application/x-{service}-advertisement", opening + error(said))
    if way.ask is GitService.PUSH and push is not None:
        why = refused(push, branch)
        reasons = why[1] if why is not None else {c.ref: reason for c in push.commands}
        return GitAnswer(200, f"application/x-{PUSH}-result", refusal(push, reasons, reason))
    if way.ask in (GitService.FETCH, GitService.PUSH):
        service = FETCH if way.ask is GitService.FETCH else PUSH
        return GitAnswer(200, f"application/x-{service}-result", error(said))
    if way.lfs:
        return GitAnswer(403, "application/vnd.git-lfs+json", orjson.dumps({"message": said}))
    return GitAnswer(403, "text/plain; charset=utf-8", f"{said}\n".encode())
