"""What the service keeps of this session: asked of bailee's console, and else unknown.

The console's HTTP API answers to the person's own key (`GET /api/v1/sessions`). Where it is:
`BAILEE_CONSOLE_URL`; or, when the model's address is the gateway on this machine, the console's
usual port beside it. A key that is not bailee's is never sent there.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

_SECONDS: Final = 3
_GATEWAY_PORT: Final = 8787
_CONSOLE_PORT: Final = 8788
_LARGEST: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known. `recorded` None: not known. Moments are ISO 8601; clauses the policy's."""

    recorded: bool | None = None
    kept_until: str | None = None
    trained_on: bool | None = None
    clause: str | None = None
    plan: str | None = None
    choice: str | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """For the status line."""
        if self.recorded is None:
            return ("recording unknown",)
        if not self.recorded:
            return ("not recorded",)
        until = f"recorded, kept until {(self.kept_until or '?')[:10]}"
        return (until, "trained on" if self.trained_on else "not trained on")


UNKNOWN: Final = Recorded()


def console_of(base_url: str | None, environment: Mapping[str, str]) -> str | None:
    """The console's address, where it can be known. Pure."""
    given = environment.get("BAILEE_CONSOLE_URL")
    if given:
        return given.rstrip("/")
    if base_url is None:
        return None
    parts = urlsplit(base_url)
    try:
        near = parts.hostname in ("127.0.0.1", "localhost", "::1") and parts.port == _GATEWAY_PORT
    except ValueError:
        return None
    return f"http://127.0.0.1:{_CONSOLE_PORT}" if near else None


def ask(console: str | None, key: str | None, session: str) -> Recorded:
    """What the console says of a session; unknown when it can't be asked. Blocks, for seconds."""
    if console is None or key is None or not key.startswith("bl_"):
        return UNKNOWN
    try:
        sessions = _get(f"{console}/api/v1/sessions", key)
        person = _get(f"{console}/api/v1/privacy/training", key)
    except (OSError, ValueError, urllib.error.URLError):
        return UNKNOWN
    return read(sessions, person, session)


def read(sessions: Any, person: Any, session: str) -> Recorded:
    """What the console's answers mean; unknown when they can't be understood. Pure."""
    if not isinstance(sessions, list) or not isinstance(person, dict):
        return UNKNOWN
    plan, choice = (_text(person.get(name)) for name in ("plan", "choice"))
    for found in sessions:
        if isinstance(found, dict) and found.get("id") == session:
            retention, training = found.get("retention"), found.get("training")
            return Recorded(
                True,
                _text(found.get("kept_until")),
                isinstance(training, dict) and training.get("effect") == "allow",
                _text(retention.get("clause")) if isinstance(retention, dict) else None,
                plan,
                choice,
            )
    return Recorded(False, plan=plan, choice=choice)


def _get(address: str, key: str) -> Any:
    request = urllib.request.Request(address, headers={"x-api-key": key})  # noqa: S310
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(request, timeout=_SECONDS) as answer:
        return json.loads(answer.read(_LARGEST))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key goes where it was meant to go and nowhere else."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
