"""What a person is told who mistyped: what is wrong, what they perhaps meant, in two languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.clients import processes
from support.clients.programs import clean_environment


@pytest.mark.parametrize(
    ("typed", "error", "hint"),
    [
        ("key create --pla", "there is no option --pla here.", "did you mean --plan?"),
        ("key create --xyz", "there is no option --xyz here.", "bailee key create -h"),
        ("flows off", "FLOW is missing.", "bailee flows off -h"),
        ("person export ann", "the option --output is missing.", "bailee person export -h"),
        ("key crate", "there is no command crate here.", "did you mean create?"),
        ("privcy show", "there is no command privcy here.", "did you mean privacy?"),
        ("key create --days x", "--days can't be that", "bailee key create -h"),
        ("key create --plan", "--plan takes a value", "-h says"),
        ("key create --own=1", "--own takes no value.", "-h says"),
        ("key list more", "this was not expected here: more", "bailee key list -h"),
    ],
)
def test_each_slip_is_an_error_like_any_other(
    tmp_path: Path, typed: str, error: str, hint: str
) -> None:
    """Two lines on standard error, status 2, and nothing on standard output; in Chinese too."""
    done = processes.run(*typed.split(), env=clean_environment(tmp_path), folder=tmp_path)
    first, second = done.stderr.splitlines()
    chinese = processes.run(
        *typed.split(), env=clean_environment(tmp_path, LANG="zh_CN.UTF-8"), folder=tmp_path
    )

    assert (2, "") == (done.returncode, done.stdout)
    assert first.startswith(f"error: {error}")
    assert second.startswith("hint: ") and hint in second
    assert (2, "") == (chinese.returncode, chinese.stdout)
    wrong, do = chinese.stderr.splitlines()
    assert not wrong.isascii() and not do.isascii()


def test_what_was_typed_moves_no_cursor(tmp_path: Path) -> None:
    """An option or a command of control characters is shown as their numbers, and cut."""
    for words in (("key", "--\x1b[2J"), ("\x1b[2J" + "x" * 500,), ("flows", "--lang", "\x1b[2J")):
        done = processes.run(*words, env=clean_environment(tmp_path), folder=tmp_path)
        assert 2 == done.returncode
        assert "\x1b" not in done.stderr
        assert len(done.stderr) < 400


def test_a_group_alone_shows_its_help(tmp_path: Path) -> None:
    """Nothing is wrong with it, and nothing was done: status 2, the help on standard error."""
    done = processes.run("key", env=clean_environment(tmp_path), folder=tmp_path)
    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("Usage: bailee key ")
    assert "error:" not in done.stderr
