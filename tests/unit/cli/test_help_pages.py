"""Helps that are prepared say what the commands themselves say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bailee.cli import listed, whole
from bailee.cli.help_page import PREPARED, HelpPage, columns, page_of, set_in_lines
from bailee.cli.helping import HelpedCommand, HelpedGroup, commands, page_from

COMMANDS: list[tuple[Any, Any]] = [*commands(whole())]
PAGES: list[HelpPage] = [page_from(command, context) for command, context in COMMANDS]


def test_every_command_has_its_help_prepared_and_nothing_else_has() -> None:
    """In the order of the commands. `make docs` makes the file anew."""
    said = [json.loads(line) for line in PREPARED.read_text("utf-8").splitlines()]

    assert json.loads(json.dumps(PAGES)) == said
    assert {*listed()} == {page["words"][0] for page in said}


def test_no_command_shows_a_help_of_another_form() -> None:
    """Nor is there one whose help is asked for by other words than `-h` and `--help`."""
    for command, context in COMMANDS:
        assert isinstance(command, HelpedCommand | HelpedGroup), context.command_path
        assert {"-h", "--help"} == {*command.get_help_option_names(context)}, context.command_path


@pytest.mark.parametrize("width", [30, 63, 80, 200])
def test_a_prepared_help_is_what_the_command_says(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each, however wide the terminal is, where the library has read the command line."""
    monkeypatch.setenv("COLUMNS", str(width))
    for command, context in COMMANDS:
        prepared = page_of(context.command_path.split()[1:])
        assert prepared is not None
        assert command.get_help(context) == set_in_lines(prepared, width)


@pytest.mark.parametrize(
    "words",
    [
        ["code", "-p", "--help"],  # the library reads what stands before it
        ["sessions", "list", "--limit", "3", "-h"],
        ["code", "--help"],
        ["cloud", "git", "-h"],
    ],
)
def test_a_help_is_the_same_however_it_is_come_by(words: list[str], tmp_path: Path) -> None:
    """On standard output, with status 0 and nothing else."""
    prepared = page_of([word for word in words[:2] if not word.startswith("-")])
    done = _run(words, tmp_path, COLUMNS="70")

    assert prepared is not None
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout == set_in_lines(prepared, 70) + "\n"


@pytest.mark.parametrize(
    "words",
    [["cod", "--help"], ["cloud git", "--help"], ['code", "x', "--help"], ["sessions", "x", "-h"]],
)
def test_words_that_are_no_command_are_an_error_as_ever(words: list[str], tmp_path: Path) -> None:
    """No help is shown of what is not there."""
    done = _run(words, tmp_path)

    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("error: there is no command ")


def test_another_programs_help_is_its_own(tmp_path: Path) -> None:
    """What follows `run --` is not this program's to read."""
    program = tmp_path / "agent"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)

    assert "--help\n" == _run(["run", "--", str(program), "--help"], tmp_path).stdout


def test_a_help_that_goes_nowhere_is_said(tmp_path: Path) -> None:
    """A full disk behind standard output, for `code` as for all others."""
    for words in (["code", "--help"], ["key", "--help"], ["--help"]):
        with Path("/dev/full").open("w", encoding="utf-8") as full:
            done = subprocess.run(
                [sys.executable, "-m", "bailee", *words],
                stdout=full, stderr=subprocess.PIPE, env={"HOME": str(tmp_path)}, check=False,
                text=True,
            )  # fmt: skip
        assert 6 == done.returncode
        assert done.stderr.startswith("error: standard output can't be written")


def test_lines_fit_and_words_stay_whole() -> None:
    """But for a word that is longer than its place, and for examples, which stand as typed."""
    for page in PAGES:
        narrow, wide = set_in_lines(page, 50), set_in_lines(page, 500)
        text = wide.partition("\nExamples:")[0]
        assert narrow.split() == wide.split()
        assert all(len(line) <= 80 or len(line.split()[-1]) > 16 for line in text.split("\n"))


@pytest.mark.parametrize("said", ["0", "-3", "x", "", "9" * 5000])
def test_columns_that_are_none_are_asked_of_the_terminal(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """80 where there is none."""
    monkeypatch.setenv("COLUMNS", said)
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((0, 0)))
    assert 80 == columns()


def _run(words: list[str], home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bailee", *words],
        capture_output=True, check=False, text=True, stdin=subprocess.DEVNULL, cwd=home,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"} | more,
    )  # fmt: skip
