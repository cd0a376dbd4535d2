"""Filing a public issue with the person's own token, and keeping what was sent in the outbox.

Rules kept here:

* It takes an `IssueDraft`, which holds no transcript and has been scrubbed, and nothing else.
* The token goes to the API's address alone, under TLS (loopback apart), and is in no file.
* What was sent is in the outbox, byte for byte.

Rows: F2.
"""

from __future__ import annotations

from bailee.client.bug_report import IssueDraft
from bailee.client.flows import shown
from bailee.client.issues_api import API, body_of, file_issue, path_of
from bailee.client.machine import ClientMachine
from bailee.client.payloads import Payload
from bailee.client.sender import network
from bailee.outbound.network import checked


def token(machine: ClientMachine) -> str | None:
    """The person's own token, where they have set one."""
    return machine.settings.variable("GITHUB_TOKEN") or machine.settings.variable("GH_TOKEN")


def file(machine: ClientMachine, issue: IssueDraft, secret: str) -> str:
    """Opens the issue; its page's address.

    Raises:
        InputError: GitHub refuses it, or the network's settings can't be.
        UpstreamError: there is no answer, or none that can be understood.
    """
    api = (machine.settings.variable("GITHUB_API_URL") or API).rstrip("/")
    checked(api, "GITHUB_API_URL")
    filed = file_issue(issue, token=secret, network=network(machine.settings), api=api)
    sent = Payload("public_issue", path_of(issue), "application/json", body_of(issue))
    machine.outbox().record(sent, destination=shown(api + path_of(issue)), answer=filed.url)
    return filed.url
