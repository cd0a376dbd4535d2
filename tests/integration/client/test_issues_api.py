"""Filing an issue through GitHub's API, against one that answers as the real one does."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bailee.client.bug_report import issue
from bailee.client.issues_api import LONGEST_BODY, body_of, file_issue
from bailee.errors import BaileeError
from bailee.outbound.network import Network
from bailee.testing.github import GitHub

TOKEN = "ghp_good"


@pytest.fixture
def github() -> Iterator[GitHub]:
    """GitHub, on a port of its own."""
    tokens = {TOKEN: True, "ghp_reads": False}
    with GitHub(
        tokens,
        repositories={"orchard/public", "orchard/quiet", "orchard/old"},
        moved={"orchard/old": "orchard/public"},
        closed={"orchard/quiet"},
    ) as made:
        yield made


@pytest.mark.row("F2")
def test_an_issue_is_filed_as_it_was_drafted(github: GitHub) -> None:
    """Title and text, once; its number and its address for people come back."""
    made = issue("orchard/public", "It stops\nafter a while", environment={"system": "Linux"})

    filed = file_issue(made, token=TOKEN, network=Network({}), api=github.url)

    assert (1, "https://github.com/orchard/public/issues/1") == (filed.number, filed.url)
    (there,) = github.issues
    assert (made.title, made.body) == (there["title"], there["body"])
    assert {"title": made.title, "body": made.body} == json.loads(body_of(made))
    (headers,) = github.requests
    assert "2022-11-28" == headers["x-github-api-version"]
    assert "application/vnd.github+json" == headers["accept"]


@pytest.mark.row("F2")
def test_what_is_too_long_for_github_is_cut(github: GitHub) -> None:
    """A text over what an issue holds is shortened, and says so."""
    made = issue("orchard/public", "x" * 100_000)

    file_issue(made, token=TOKEN, network=Network({}), api=github.url)

    assert LONGEST_BODY == len(github.issues[0]["body"])
    assert github.issues[0]["body"].endswith("(shortened)")


@pytest.mark.row("F2")
@pytest.mark.parametrize(
    ("repository", "token", "code"),
    [
        ("orchard/public", "ghp_bad", "authentication"),
        ("orchard/public", "ghp with a space", "authentication"),
        ("orchard/public", "ghp\r\nX: y", "authentication"),
        ("orchard/public", "ghp_reads", "forbidden"),
        ("orchard/none", TOKEN, "not_found"),
        ("orchard/quiet", TOKEN, "invalid_request"),
        ("orchard/old", TOKEN, "invalid_request"),
    ],
)
def test_a_refusal_says_who_must_act_and_holds_no_token(
    github: GitHub, repository: str, token: str, code: str
) -> None:
    """Each by its own code; a redirect is not followed, so the token goes nowhere else."""
    made = issue(repository, "It stops")

    with pytest.raises(BaileeError) as refused:
        file_issue(made, token=token, network=Network({}), api=github.url)

    assert code == refused.value.code
    assert token not in f"{refused.value.message} {refused.value.hint}"
    assert [] == github.issues
    assert len(github.requests) <= 1


@pytest.mark.row("F2")
def test_too_many_and_nobody_there(github: GitHub) -> None:
    """A limit that is reached is the caller's to wait for; no answer is GitHub's."""
    made = issue("orchard/public", "It stops")
    github.left = 0
    with pytest.raises(BaileeError) as refused:
        file_issue(made, token=TOKEN, network=Network({}), api=github.url)
    assert "too_many_attempts" == refused.value.code

    with pytest.raises(BaileeError) as refused:
        file_issue(made, token=TOKEN, network=Network({}), api="http://127.0.0.1:9")
    assert "upstream_unreachable" == refused.value.code
    with pytest.raises(BaileeError):
        file_issue(made, token=TOKEN, network=Network({}), api="http://github.example")
