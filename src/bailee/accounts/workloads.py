"""Which machines a service account is for: patterns for the claims of their tokens. Pure.

A CI provider signs a token for each job, which says whose job it is. Everybody in the world gets
tokens of the large ones, for any audience: what tells ours from theirs is the claims alone.

Rules kept here:

* All patterns have to match. A claim that is not there, or is no text, matches none.
* A pattern is compared whole. `*` stands for a part between `/` and `:`, or for an end or a
  beginning of one, and reaches over neither: `repo:acme/*` is no `repo:acme/app:ref:refs/heads/x`.
* At least one pattern says whose machines they are: an identifying claim, without `*` before the
  owner's name has ended. A branch or an event alone is anybody's.

Formats: GitHub Actions' and GitLab's ID tokens; a Kubernetes service account's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bailee.errors import InputError

MOST_PATTERNS: Final = 10
LONGEST_PATTERN: Final = 200
LONGEST_TOGETHER: Final = 280
_LONGEST_VALUE: Final = 1024
_NAME: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,60}")
_SEPARATORS: Final = re.compile(r"([/:])")
_OWNED: Final = re.compile(r"(?:^|[/:])[^/:*]+/")
_EXACT: Final = frozenset(
    {
        *("repository_id", "repository_owner", "repository_owner_id"),
        *("project_id", "namespace_id", "namespace_path", "user_id"),
    }
)
_PATHS: Final = frozenset({"sub", "repository", "project_path"})


def check_patterns(patterns: Mapping[str, str]) -> Mapping[str, str]:
    """The same patterns, if they are such and say whose machines are meant.

    Raises:
        InputError: they are not, or do not.
    """
    if not 0 < len(patterns) <= MOST_PATTERNS:
        raise InputError(f"there are 1 to {MOST_PATTERNS} claims.")
    for name, pattern in patterns.items():
        if not _NAME.fullmatch(name):
            raise InputError("that is no claim's name.")
        if not 0 < len(pattern) <= LONGEST_PATTERN or not pattern.isprintable():
            raise InputError(f"a pattern has 1 to {LONGEST_PATTERN} characters.")
        if any(part.count("*") > 1 for part in _SEPARATORS.split(pattern)):
            raise InputError("a pattern has one * in a part at the most.")
    if not any(_says_whose(name, pattern) for name, pattern in patterns.items()):
        raise InputError(
            "these claims do not say whose machines are meant: everybody's would match.",
            hint="name sub, repository or project_path as owner/…, or an owner's id",
        )
    return patterns


def matches(patterns: Mapping[str, str], claims: Mapping[str, object]) -> bool:
    """Whether all patterns match these claims."""
    return bool(patterns) and all(
        _matches(pattern, claims.get(name)) for name, pattern in patterns.items()
    )


def _matches(pattern: str, value: object) -> bool:
    if not isinstance(value, str) or len(value) > _LONGEST_VALUE:
        return False
    wanted, parts = _SEPARATORS.split(pattern), _SEPARATORS.split(value)
    return len(wanted) == len(parts) and all(
        _part_matches(one, part) for one, part in zip(wanted, parts, strict=True)
    )


def _part_matches(pattern: str, part: str) -> bool:
    before, star, behind = pattern.partition("*")
    if not star:
        return pattern == part
    long_enough = len(part) >= max(1, len(before) + len(behind))
    return long_enough and part.startswith(before) and part.endswith(behind)


def _says_whose(name: str, pattern: str) -> bool:
    if name in _EXACT or name in _PATHS:
        if "*" not in pattern:
            return True
        return name in _PATHS and _OWNED.search(pattern.partition("*")[0]) is not None
    return False
