"""Which machines a service account is for: pure.

Rows: O1.
"""

from __future__ import annotations

import pytest

from bailee.accounts.workloads import check_patterns, matches
from bailee.errors import InputError

MAIN = "repo:acme/app:ref:refs/heads/main"


@pytest.mark.parametrize(
    ("pattern", "value", "is_ours"),
    [
        (MAIN, MAIN, True),
        ("repo:acme/app:ref:refs/heads/*", MAIN, True),
        ("repo:acme/*:ref:refs/heads/main", MAIN, True),
        ("repo:acme/a*:ref:refs/heads/m*n", MAIN, True),
        # a star reaches over no border, so nobody names their own things into ours
        ("repo:acme/*", MAIN, False),
        ("repo:acme/app:*", MAIN, False),
        ("repo:acme/app:ref:refs/heads/*", "repo:acme/app:ref:refs/heads/x/main", False),
        ("repo:acme/app:ref:refs/heads/*", "repo:acme/app:ref:refs/heads/", False),
        ("repo:acme/app:*", "repo:acme/app:pull_request", True),
        # never a part, a beginning, another case, or another spelling
        (MAIN, MAIN + " ", False),
        (MAIN, "x" + MAIN, False),
        ("acme/app", "acme/app2", False),
        ("acme/app", "evil/acme/app", False),
        ("acme/app", "Acme/app", False),
        ("acme/ap*p", "acme/ap", False),
        ("acme/.*", "acme/app", False),
        ("acme/[a-z]*", "acme/app", False),
        ("acme/ap?", "acme/app", False),
        ("acme/app", "acme/app\n", False),
        ("acme/*", "acme/" + "x" * 1024, False),
        ("true", True, False),
        ("7", 7, False),
        ("acme/app", ["acme/app"], False),
        ("acme/app", None, False),
    ],
)
def test_a_pattern_is_compared_whole_and_a_star_stays_in_its_part(
    pattern: str, value: object, is_ours: bool
) -> None:
    """As `fnmatch`, a regular expression or a substring would not."""
    assert is_ours is matches({"claim": pattern}, {"claim": value})


def test_all_patterns_have_to_match() -> None:
    """And no patterns match nothing."""
    patterns = {"repository": "acme/app", "ref": "refs/heads/main"}
    assert matches(patterns, {"repository": "acme/app", "ref": "refs/heads/main"})
    assert not matches(patterns, {"repository": "acme/app"})
    assert not matches(patterns, {"repository": "evil/app", "ref": "refs/heads/main"})
    assert not matches({}, {"repository": "acme/app"})


@pytest.mark.parametrize(
    "patterns",
    [
        {"repository": "acme/app"},
        {"repository": "acme/*"},
        {"sub": "repo:acme/*:ref:refs/heads/main"},
        {"repository_owner_id": "12345", "ref": "refs/heads/*"},
        {"project_path": "group/*"},
        {"namespace_id": "72"},
        {"sub": "system:serviceaccount:ci:runner"},
    ],
)
def test_patterns_that_say_whose_are_taken(patterns: dict[str, str]) -> None:
    """GitHub's, GitLab's, a cluster's."""
    assert patterns == check_patterns(patterns)


@pytest.mark.parametrize(
    "patterns",
    [
        {},
        {"ref": "refs/heads/main"},
        {"event_name": "push", "environment": "production", "ref_protected": "true"},
        {"repository": "*"},
        {"repository": "*/app"},
        {"repository": "ac*/app"},
        {"sub": "repo:*"},
        {"sub": "repo:*/app:ref:refs/heads/main"},
        {"sub": "*:acme/app"},
        {"sub": "repo:acme*/app:pull_request"},
        {"sub": "system:serviceaccount:*:runner"},
        {"sub": "https://*"},
        {"repository_owner": "acme*"},
        {"repository_owner_id": "*"},
        {"workflow": "acme/app/.github/workflows/x.yml"},
        {"repository": "acme/**"},
        {"repository": ""},
        {"repository": "acme/app\n"},
        {"repository": "acme/" + "x" * 200},
        {"": "acme/app"},
        {str(one): "acme/app" for one in range(11)},
    ],
)
def test_patterns_that_are_anybodys_are_refused(patterns: dict[str, str]) -> None:
    """Whoever has an account with the CI provider gets tokens that match these."""
    with pytest.raises(InputError):
        check_patterns(patterns)
