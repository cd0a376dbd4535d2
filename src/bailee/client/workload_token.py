"""The token by which a job proves to be one: of its CI provider, from where that puts it.

| where | how |
|---|---|
| a file | `--token-file` (GitLab's `file` variables, a Kubernetes projected volume) |
| `BAILEE_WORKLOAD_TOKEN` | GitLab's `id_tokens`, or whatever else makes one |
| GitHub Actions | asked for where the job is told to, with `permissions: id-token: write` |

Rules kept here: the token is in no argument, no output and no error; what GitHub gives a job to ask
with goes to the address that GitHub gave, by TLS, and to no other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from bailee.errors import InputError, UpstreamError
from bailee.json_values import members, text
from bailee.loopback import is_loopback
from bailee.outbound.network import Network, NoAnswer

VARIABLE: Final = "BAILEE_WORKLOAD_TOKEN"
_ADDRESS: Final = "ACTIONS_ID_TOKEN_REQUEST_URL"
_PROOF: Final = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
_LARGEST: Final = 6000


def workload_token(
    file: Path | None, audience: str | None, variable: Callable[[str], str | None], network: Network
) -> str:
    """The token of the job that this runs in. Blocks.

    Raises:
        InputError: there is none; UpstreamError: the CI provider gives none.
    """
    if file is not None:
        try:
            with file.open(encoding="ascii") as opened:
                return _of(opened.read(_LARGEST + 1))
        except (OSError, UnicodeDecodeError):
            raise InputError("the token's file can't be read.") from None
    if given := variable(VARIABLE):
        return _of(given)
    address, proof = variable(_ADDRESS), variable(_PROOF)
    if not (address and proof):
        raise InputError(
            "this job has no token of its CI provider.",
            code="authentication",
            hint=f"GitHub: permissions: id-token: write; else {VARIABLE}, or --token-file",
        )
    if audience is None:
        raise InputError("for whom is the token?", hint="--audience, as the service account has it")
    return _of(_asked(address, proof, audience, network))


def _asked(address: str, proof: str, audience: str, network: Network) -> str:
    parts = urlsplit(address)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise InputError(f"{_ADDRESS} is not reached by https.")
    joint = "&" if parts.query else "?"
    try:
        answer = network.ask(
            "GET", f"{address}{joint}audience={quote(audience, safe='')}",
            headers={"authorization": f"Bearer {proof}", "accept": "application/json"},
            what="the CI provider's address",
        )  # fmt: skip
    except NoAnswer as error:
        raise UpstreamError(f"the CI provider can't be reached ({error}).") from None
    try:
        found = text(members(json.loads(answer.content)).get("value"))
    except (ValueError, RecursionError):
        found = ""
    if not (answer.good and found):
        raise UpstreamError(f"the CI provider gives no token (status {answer.status}).")
    return found


def _of(said: str) -> str:
    token = said.strip()
    if not 0 < len(token) <= _LARGEST or not token.isascii() or " " in token:
        raise InputError("what is there is no token.")
    return token
