"""Filing an issue through GitHub's REST API, with a person's own token or an operator's.

Rules kept here:

* What is filed is an `IssueDraft`, which is scrubbed when it is made and has no place for a
  transcript.
* The token goes to the API's address and nowhere else: a redirect is not followed. It is in no
  error.
* An answer that is not GitHub's is an error that says who must act.

Standard: GitHub REST API, version 2022-11-28, "Create an issue".
Rows: F2.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from bailee.client.bug_report import IssueDraft
from bailee.errors import BaileeError, InputError, UpstreamError
from bailee.outbound.network import HttpResponse, Network, NoAnswer

API: Final = "https://api.github.com"
VERSION: Final = "2022-11-28"
LONGEST_TITLE: Final = 256
LONGEST_BODY: Final = 65_536
_CUT: Final = "\n\n(shortened)"


@dataclass(frozen=True, slots=True)
class FiledIssue:
    """An issue that is there now."""

    number: int
    url: str


def path_of(issue: IssueDraft) -> str:
    """Where in the API an issue is filed."""
    return f"/repos/{issue.repository}/issues"


def body_of(issue: IssueDraft) -> bytes:
    """The very bytes that are sent, for who shows or keeps them; what GitHub can't hold is cut."""
    title, body = _cut(issue.title, LONGEST_TITLE, "…"), _cut(issue.body, LONGEST_BODY)
    return json.dumps({"title": title, "body": body}, ensure_ascii=False).encode("utf-8", "replace")


def file_issue(issue: IssueDraft, *, token: str, network: Network, api: str = API) -> FiledIssue:
    """File an issue, once.

    Raises:
        InputError: the token, the repository or the issue is refused, or there were too many.
        UpstreamError: GitHub can't be reached, or does not answer as it should.
    """
    address = f"{api.rstrip('/')}{path_of(issue)}"
    headers = {
        "accept": "application/vnd.github+json",
        "authorization": f"Bearer {token}",
        "content-type": "application/json",
        "x-github-api-version": VERSION,
    }
    if not token.isascii() or not token.isprintable() or " " in token or not token:
        raise InputError("this is not a GitHub token.", code="authentication", hint=_TOKEN)
    try:
        answer = network.ask("POST", address, content=body_of(issue), headers=headers)
    except NoAnswer as error:
        raise UpstreamError(f"GitHub can't be reached ({error}).", hint="try again later") from None
    if answer.status != 201:
        raise _refusal(answer, issue.repository)
    return _filed(answer.content)


_TOKEN: Final = "make a fine-grained token with Issues: write on the repository"  # noqa: S105


def _cut(text: str, most: int, mark: str = _CUT) -> str:
    return text if len(text) <= most else text[: most - len(mark)] + mark


def _filed(content: bytes) -> FiledIssue:
    try:
        value = json.loads(content)
        number, url = value["number"], value["html_url"]
        parts = urlsplit(url)
        if type(number) is int and parts.scheme in ("https", "http") and parts.hostname:
            return FiledIssue(number, url)
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError):
        pass
    raise UpstreamError(
        "GitHub accepted the issue but did not say where it is.", hint="look in the repository"
    )


def _refusal(answer: HttpResponse, repository: str) -> BaileeError:
    status, headers = answer.status, answer.headers
    if status in (403, 429) and (
        headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers
    ):
        wait = headers.get("retry-after", "")
        hint = f"wait {wait} seconds" if wait.isdecimal() and len(wait) < 7 else "wait an hour"
        return InputError(
            "GitHub accepts no more requests for now.", code="too_many_attempts", hint=hint
        )
    if status == 401:
        return InputError("GitHub does not know this token.", code="authentication", hint=_TOKEN)
    if status == 403:
        return InputError(
            f"this token may not file issues in {repository}.", code="forbidden", hint=_TOKEN
        )
    if status == 404:
        return InputError(
            f"there is no repository {repository}, or this token does not see it.",
            code="not_found",
            hint="check the name, and what the token was given",
        )
    if status == 410:
        return InputError(
            f"{repository} does not accept issues.", hint="turn them on in its settings"
        )
    if status in (301, 302, 307, 308):
        return InputError(f"{repository} has another name now.", hint="use its present name")
    if status == 422:
        return InputError(
            "GitHub does not accept the issue as it is.", hint="change its title or text"
        )
    return UpstreamError(f"GitHub answered {status}.", hint="try again later")
