"""What the docs show is what happens: their examples are run and their output compared.

A fenced block marked `console` holds commands (`$ bailee ...`) and what they print; `...` stands
for anything. It runs in an empty home that the blocks of one page share. A block with a title,
such as `toml title="rules.toml"`, is that file, and is there for the commands after it. A block
marked `python` runs too. One marked `sh` is shown only: it needs a server, a network or a real key.
"""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest
from sybil import Example
from sybil.document import Document
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

from support.pages import PageTerminal, TitledFiles, transcript, words_of

ROOT = Path(__file__).parents[1]
# What a Chinese page shows is what the English one shows, to the letter: test_docs_chinese.py.
ENGLISH = [page for page in sorted((ROOT / "docs").rglob("*.md")) if "zh" not in page.parts]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ENGLISH]
RUN = ("console", "python")


def has_examples(page: Path) -> bool:
    """Whether a page has a block that is run."""
    return any(f"```{language}\n" in page.read_text() for language in RUN)


def agree(shown: str, printed: str) -> bool:
    """Whether output is what was shown: blanks at line ends aside, `...` for anything."""

    def tidy(text: str) -> str:
        return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"

    return doctest.OutputChecker().check_output(tidy(shown), tidy(printed), doctest.ELLIPSIS)


class _Page:
    """Runs commands as a person would, in a home of their own."""

    def __init__(self, home: Path) -> None:
        self._terminal = PageTerminal(
            home, {"HOME": str(home), "BAILEE_HOME": str(home / "bailee")}
        )

    def __call__(self, example: Example) -> str | None:
        """None when every command printed what is shown, else what it printed."""
        for command, shown in transcript(example.parsed):
            _, printed = self._terminal.run(command)
            if not agree(shown, printed):
                return f"$ {command}\nshown:\n{shown}\n\nprinted:\n{printed}"
        return None


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, id=p.relative_to(ROOT).as_posix()) for p in PAGES if has_examples(p)],
)
def test_the_examples_of_a_page_do_what_they_show(page: Path, tmp_path: Path) -> None:
    """Every command and program on the page runs, and prints what the page says."""
    document = Document.parse(
        str(page),
        TitledFiles(tmp_path),
        CodeBlockParser("console", _Page(tmp_path)),
        CodeBlockParser("python", PythonEvaluator()),
    )
    for example in document.examples():
        example.evaluate()


def modules_with_examples() -> list[str]:
    """Modules whose docstrings hold interactive examples."""
    return [
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((ROOT / "src/bailee").rglob("*.py"))
        if ">>> " in path.read_text()
    ]


@pytest.mark.parametrize("module", modules_with_examples())
def test_the_examples_of_a_docstring_do_what_they_show(module: str) -> None:
    """Every interactive example in a docstring gives what it shows."""
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)

    assert (0, True) == (result.failed, result.attempted > 0)


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        ("kept\n", "kept", True),
        ("kept 30 days", "kept 5 years", False),
        ("kept ...\ndone", "kept 5 years\nby a clause\ndone", True),
        ("", "something", False),
    ],
)
def test_output_is_compared(shown: str, printed: str, expected: bool) -> None:
    """An example that prints something else than is shown does not pass."""
    assert expected == agree(shown, printed)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ('bailee a --said "b c"', ["bailee", "a", "--said", "b c"]),
        ("bailee a | head", None),
        ("bailee a > file", None),
        ("bailee $a", None),
        ("sed -i s/a/b/ c", None),
    ],
)
def test_what_a_shell_must_read_is_left_to_one(command: str, words: list[str] | None) -> None:
    """Everything else is `bailee` with its words."""
    assert words == words_of(command)


def test_a_console_block_is_read_as_commands_with_their_output() -> None:
    """Each command has what stands beneath it; a backslash continues one."""
    block = "$ bailee a\none\ntwo\n$ bailee b \\\n>   --c\n"

    assert [("bailee a", "one\ntwo"), ("bailee b   --c", "")] == list(transcript(block))
