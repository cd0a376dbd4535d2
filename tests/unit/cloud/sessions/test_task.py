"""What a session's guest is given to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.cloud.sessions import task
from bailee.cloud.sessions.asked import Asked

WORDS = "rm -rf / ; $(touch x) `id` 'quoted' \"twice\"\n--help"


def asked(agent: str = "bailee", branch: str | None = None) -> Asked:
    """A session as it was asked for."""
    return Asked(WORDS, "https://git.example/a", branch, "bailee/cs-1", "none", agent, 0.0)


@pytest.mark.row("C2")
@pytest.mark.parametrize("agent", ["bailee", "claude"])
def test_a_persons_words_are_never_part_of_a_command_line(agent: str) -> None:
    """Task and follow-up go in by standard input; so does what a commit is called."""
    for command in (task.work(asked(agent), "token", WORDS, None), task.commit(WORDS)):
        assert not any("rm -rf" in word for word in command.argv)
        assert b"rm -rf" in command.stdin


@pytest.mark.row("C2")
def test_secrets_are_on_no_command_line() -> None:
    """The session's key and what git shows are in the environment."""
    commands = (
        task.clone(asked(), "http://127.0.0.1:8418/git.example/a", "Bearer git-secret"),
        task.work(asked(), "model-secret", "x", "conversation-1"),
    )
    for command in commands:
        assert not any("secret" in word for word in command.argv)
        assert any("secret" in value for value in command.environment.values())


def test_only_the_sessions_branch_is_pushed() -> None:
    """By its full name, without force."""
    argv = task.push(asked()).argv
    assert "HEAD:refs/heads/bailee/cs-1" == argv[-1]
    assert not any(word.startswith(("--force", "-f", "+")) for word in argv)


@given(st.lists(st.binary(max_size=12), max_size=12))
def test_lines_are_the_same_however_they_are_cut(pieces: list[bytes]) -> None:
    """All of the output comes out, in lines, and nothing twice."""
    lines = task.Lines()
    found = [line for piece in pieces for line in lines.feed(piece)] + lines.end()
    whole = b"".join(pieces).split(b"\n")
    assert (whole if whole[-1] else whole[:-1]) == found


def test_a_line_without_an_end_is_cut() -> None:
    """However much of it comes, so much is held."""
    lines = task.Lines(10)
    for _ in range(100):
        assert [] == lines.feed(b"0123456789")
    assert [b"0123456789"] == lines.feed(b"\n")


@given(st.text(max_size=300).filter(lambda text: text.strip()))
def test_a_subject_is_one_short_line(prompt: str) -> None:
    """Whatever was asked for."""
    found = task.subject(prompt)
    assert 0 < len(found) <= 72 and found.isprintable()


@pytest.mark.parametrize("line", [b"", b"no json", b"[]", b'{"type": 7}', b'{"a": 1}', b"\xff"])
def test_what_is_no_event_is_output(line: bytes) -> None:
    """An agent's line is taken as an event only if it is one."""
    assert None is task.read_line(line)
