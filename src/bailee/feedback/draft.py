"""The draft of a public issue from a report: description and environment, secrets masked. Pure.

Rules kept here:

* What makes a draft takes a description and an environment: there is no way to hand it a
  transcript. Of the environment it takes what is in a list.
* It is scrubbed here, and again after whoever files it has edited it.

Rows: F2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bailee.client.bug_report import IssueDraft, issue
from bailee.vault.packing import JSON

_SAID: Final = ("bailee", "version", "python", "system", "platform", "machine", "provider", "model")
_LONGEST: Final = 100


def draft(repository: str, description: JSON, environment: JSON) -> IssueDraft:
    """The draft for a repository (owner/name).

    Raises:
        InputError: code `configuration`, the repository is not owner/name.
    """
    said: Mapping[str, JSON] = environment if isinstance(environment, dict) else {}
    return issue(
        repository,
        _whole(description) if isinstance(description, str) else "",
        environment={
            name: _whole(" ".join(str(said[name]).split()))[:_LONGEST]
            for name in _SAID
            if isinstance(said.get(name), str | int | float)
        },
    )


def _whole(text: str) -> str:
    """Without what a client left of a character that it cut in two: no address can hold it."""
    return text.encode("utf-8", "replace").decode()
