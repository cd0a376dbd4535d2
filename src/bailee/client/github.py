"""Filing a public issue with the person's own token, through GitHub's API.

Rules kept here:

* It takes an `Issue`, which holds no transcript and has been scrubbed, and nothing else.
* The token goes to the API's address alone, under TLS (loopback apart), and is in no file, no error
  and no redirect.
* What was sent is in the outbox, byte for byte.

Standard: GitHub REST API, version 2022-11-28, "Create an issue".
Rows: F2.
"""

from __future__ import annotations

import json
from typing import Any, Final

from bailee import __version__
from bailee.client.bug_report import Issue
from bailee.client.flows import shown
from bailee.client.machine import Machine
from bailee.client.network import checked
from bailee.client.payloads import Payload
from bailee.client.sender import network
from bailee.errors import InputError, UpstreamError

_API: Final = "https://api.github.com"
_WHY: Final = {
    401: ("GitHub refuses the token.", "set GITHUB_TOKEN to one that is valid"),
    403: (
        "GitHub does not let this token open issues there.",
        "it needs the right to write issues",
    ),
    404: ("GitHub knows no such repository for this token.", "is feedbackRepository right?"),
    410: ("Issues are switched off in that repository.", "is feedbackRepository right?"),
    422: ("GitHub takes the issue to be invalid.", "change its title or text"),
}


def token(machine: Machine) -> str | None:
    """The person's own token, where they have set one."""
    return machine.settings.variable("GITHUB_TOKEN") or machine.settings.variable("GH_TOKEN")


def file(machine: Machine, issue: Issue, secret: str) -> str:
    """Opens the issue; its page's address.

    Raises:
        InputError: GitHub refuses it, or the network's settings can't be.
        UpstreamError: there is no answer, or none that can be understood.
    """
    import httpx2

    api = (machine.settings.variable("GITHUB_API_URL") or _API).rstrip("/")
    path = f"/repos/{issue.repository}/issues"
    checked(api, "GITHUB_API_URL")
    body = json.dumps({"title": issue.title, "body": issue.body}, ensure_ascii=False).encode()
    headers = {
        "authorization": f"Bearer {secret}",
        "accept": "application/vnd.github+json",
        "content-type": "application/json",
        "x-github-api-version": "2022-11-28",
        "user-agent": f"bailee/{__version__}",
    }
    try:
        with network(machine.settings).client(api) as client:
            answer = client.post(api + path, content=body, headers=headers)
    except httpx2.HTTPError:
        raise UpstreamError("GitHub can't be reached.", hint="is a proxy needed?") from None
    if answer.status_code in _WHY:
        message, hint = _WHY[answer.status_code]
        raise InputError(message, code="forbidden", hint=hint)
    address = _address(answer.content)
    if answer.status_code != 201 or address is None:
        raise UpstreamError(
            f"GitHub answered with status {answer.status_code}.", code="upstream_protocol"
        )
    sent = Payload("public_issue", path, "application/json", body)
    machine.outbox().record(sent, destination=shown(api + path), answer=address)
    return address


def _address(content: bytes) -> str | None:
    try:
        value: Any = json.loads(content[:1_000_000])["html_url"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    fine = isinstance(value, str) and value.startswith(("https://", "http://"))
    return value if fine and value.isprintable() and len(value) < 1000 else None
