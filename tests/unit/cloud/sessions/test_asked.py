"""What may be asked of a cloud session."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.cloud.sessions import asked as asking
from bailee.cloud.sessions.asked import Asked, WantedSession
from bailee.errors import InputError

GOOD = {"task": " mend it ", "repository": "https://github.com/acme/orchard"}


def read(**arguments: Any) -> Asked:
    """What is asked for with these arguments besides the good ones."""
    wanted = WantedSession(**{**GOOD, **arguments})
    return asking.read(wanted, "cs-1", network="trusted", linger=600.0, plain=False)


def test_what_is_not_said_is_as_the_settings_have_it() -> None:
    """Network, time to wait, agent, and a branch of the session's own name."""
    repository = "https://github.com/acme/orchard"
    assert Asked("mend it", repository, None, "bailee/cs-1", "trusted", "bailee", 600.0) == read()


@pytest.mark.row("C2")
@given(st.text(max_size=60))
def test_whatever_branch_is_asked_for_is_below_bailee(name: str) -> None:
    """It is refused, or begins with `bailee/` and is one plain name of git's."""
    try:
        branch = read(push_branch=name).push_branch
    except InputError:
        return
    assert branch.startswith("bailee/")
    assert not set(branch) & set(" ~^:?*[\\\x7f\n") and ".." not in branch and "@{" not in branch


@pytest.mark.parametrize(
    "wrong",
    [
        {"task": "  "}, {"task": "x" * 100_001}, {"repository": ""},
        {"repository": "git@github.com:a/b"}, {"repository": "http://github.com/a/b"},
        {"repository": "https://user:word@github.com/a/b"}, {"repository": "file:///etc"},
        {"network": "most"}, {"agent": "gpt"}, {"linger": -1}, {"linger": float("nan")},
        {"branch": "-x"}, {"branch": "a..b"}, {"push_branch": "a.lock"}, {"model": "two words"},
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_without_repeating_it(wrong: dict[str, Any]) -> None:
    """An input error, and no password in it."""
    with pytest.raises(InputError) as refused:
        read(**wrong)
    assert "word" not in str(refused.value).replace("password", "").replace("words", "")
