"""Who may write to a terminal: one module of the command line, so that there is one wall."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.sources import parsed

CLI = Path(__file__).parents[2] / "src" / "bailee" / "cli"
WALL = {"show.py", "errors.py"}
"""`errors.py` reports before anything else of the command line need be there, by the same rule."""
EXACT = {"outbox.py": ["sys.stdout.buffer.write"]}
"""Exact bytes, asked for with --raw, and never on a terminal."""
MODULES = sorted(path for path in CLI.glob("*.py") if path.name not in WALL)


def called(tree: ast.AST) -> Iterator[str]:
    """The dotted names of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_command_writes_through_the_wall(module: Path) -> None:
    """No command prints by itself, makes a console of its own or writes to a stream."""
    forbidden = {
        "print", "typer.echo", "typer.secho", "click.echo", "Console", "rich.print",
        "sys.stdout.write", "sys.stderr.write", "sys.stdout.buffer.write",
    }  # fmt: skip

    found = [name for name in called(parsed(module)) if name in forbidden]

    assert EXACT.get(module.name, []) == found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_no_markup_stands_in_a_commands_texts(module: Path) -> None:
    """Markup is off, so what stands in brackets would be shown; styles are given beside a text."""
    texts = [
        node.value
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]

    assert [] == [text for text in texts if "[dim]" in text or "[/" in text or "[bold" in text]
