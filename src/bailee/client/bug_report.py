"""A bug report in parts, and the draft of a public issue.

Rules kept here:

* What the preview shows is what is sent: both are made from the same content, and a test holds
  the two against each other.
* Each part can be left out. Secrets are masked unless the person keeps one on purpose.
* A public issue is made without the transcript: nothing that makes it takes one. What the person
  writes into it is scrubbed again.

Rows: F1, F2.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from urllib.parse import quote, urlencode

from bailee import __version__
from bailee.client.payloads import Payload, report
from bailee.client.scrubbing import FoundSecret, find, masked, masked_text
from bailee.errors import InputError

Part = Literal["description", "transcript", "errors", "environment"]
PARTS: Final[tuple[Part, ...]] = ("description", "transcript", "errors", "environment")
_LONGEST_URL: Final = 7_500
_CUT: Final = "\n\n(shortened)"


@dataclass(frozen=True, slots=True)
class ReportDraft:
    """A report that nobody has sent. `parts` hold everything as it is; `content` what would go."""

    parts: Mapping[Part, object] = field(repr=False)
    secrets: tuple[FoundSecret, ...]
    left_out: frozenset[Part] = frozenset()
    kept: frozenset[int] = frozenset()

    def without(self, *parts: Part) -> ReportDraft:
        """The draft without these parts."""
        return replace(self, left_out=self.left_out | set(parts))

    def with_(self, *parts: Part) -> ReportDraft:
        """The draft with parts that had been left out."""
        return replace(self, left_out=self.left_out - set(parts))

    def keeping(self, *numbers: int) -> ReportDraft:
        """The draft with these secrets left as they are, on purpose."""
        known = {one.number for one in self.secrets}
        if not set(numbers) <= known:
            raise InputError("There is no secret with this number.", hint=_listed(known))
        return replace(self, kept=self.kept | set(numbers))

    def masking(self, *numbers: int) -> ReportDraft:
        """The draft with these secrets masked again."""
        return replace(self, kept=self.kept - set(numbers))

    @property
    def content(self) -> dict[str, object]:
        """What would go, by part."""
        return {
            part: masked(self.parts[part], self.secrets, self.kept)
            for part in PARTS
            if part in self.parts and part not in self.left_out
        }

    @property
    def preview(self) -> str:
        """The exact text that would go, part by part, as a person can read it."""
        pieces = []
        for part, value in self.content.items():
            pieces.append(f"── {part} {'─' * (74 - len(part))}")
            pieces.append(value if isinstance(value, str) else _readable(value))
        return "\n".join(pieces) + "\n"

    @property
    def sizes(self) -> dict[str, int]:
        """How many bytes each part comes to, those left out too."""
        return {
            part: len(json.dumps(value, ensure_ascii=False).encode())
            for part, value in self.parts.items()
        }

    def payload(self) -> Payload:
        """The request. Raises `InputError` when nothing is left in it."""
        content = self.content
        if not content:
            raise InputError("Every part is left out: there is nothing to send.")
        return report(content)


def draft(
    description: str,
    *,
    transcript: Sequence[Mapping[str, object]] = (),
    errors: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> ReportDraft:
    """A report with everything in it and every secret marked. A part with nothing in it is none."""
    parts: dict[Part, object] = {}
    if description.strip():
        parts["description"] = description.strip()
    if transcript:
        parts["transcript"] = [dict(message) for message in transcript]
    if errors:
        parts["errors"] = list(errors)
    if environment:
        parts["environment"] = dict(environment)
    return ReportDraft(parts, find(*parts.values()))


def environment(*, provider: str, model: str, terminal: str = "") -> dict[str, str]:
    """What is said of the machine: versions and kinds, no names and no places."""
    told = {
        "bailee": __version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "provider": provider,
        "model": model,
        "terminal": terminal,
    }
    return {name: value for name, value in told.items() if value}


@dataclass(frozen=True, slots=True)
class IssueDraft:
    """The draft of a public issue, scrubbed. `removed` says what was taken out of it."""

    repository: str
    title: str
    body: str
    removed: tuple[FoundSecret, ...]

    def edited(self, title: str, body: str) -> IssueDraft:
        """What the person made of it, scrubbed again."""
        return _issue(self.repository, title, body)

    @property
    def url(self) -> str:
        """The page on which it is filled in already; a long body is shortened to fit an address."""
        body = self.body
        while True:
            query = urlencode({"title": self.title, "body": body}, quote_via=quote)
            made = f"https://github.com/{self.repository}/issues/new?{query}"
            if len(made) <= _LONGEST_URL:
                return made
            whole = body.removesuffix(_CUT)
            body = whole[: max(0, len(whole) - max(50, (len(made) - _LONGEST_URL) // 9))] + _CUT


def issue(
    repository: str,
    description: str,
    *,
    errors: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> IssueDraft:
    """The draft of an issue. It takes no transcript, so it can't hold one.

    Raises:
        InputError: the repository is not owner/name.
    """
    lines = [description.strip() or "(what happened?)"]
    found = [one for one in errors if one.strip()]
    if found:
        lines += [
            "",
            "### Errors",
            "",
            *(f"    {line}" for one in found for line in one.split("\n")),
        ]
    if environment:
        lines += ["", "### Environment", "", *(f"- {k}: {v}" for k, v in environment.items())]
    first = next((line.strip() for line in description.splitlines() if line.strip()), "")
    return _issue(repository, first[:100] or "Something went wrong", "\n".join(lines))


def _issue(repository: str, title: str, body: str) -> IssueDraft:
    owner, slash, name = repository.partition("/")
    fine = slash and all(
        part and set(part) <= _NAME and part not in (".", "..") for part in (owner, name)
    )
    if not fine:
        raise InputError(
            "The repository for issues must be owner/name.",
            code="configuration",
            hint="set feedbackRepository in your settings",
        )
    secrets = find(title, body)
    one_line = " ".join(masked_text(title, secrets).split())
    return IssueDraft(repository, one_line, masked_text(body, secrets), secrets)


_NAME: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def _readable(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


def _listed(numbers: set[int]) -> str:
    return f"there are: {', '.join(map(str, sorted(numbers)))}" if numbers else "there is none"
