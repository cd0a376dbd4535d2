"""What a command imports before it does anything: what people wait for, each time."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from bailee.cli import listed, whole
from bailee.cli.help_page import first_page, set_in_lines
from bailee.cli.helping import page_from

_PROGRAM = """
import sys
from bailee.__main__ import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""
_HEAVY = {
    "asyncio", "bailee.node", "cryptography", "h11", "httpx2", "jinja2", "msgspec", "platformdirs",
    "pydantic", "rich", "sqlalchemy", "ssl",
}  # fmt: skip


_UP_TO_THE_FIRST_BYTE = """
import os, sys
def connects(event, arguments):
    if event == "socket.connect":
        print(*sys.modules, file=sys.stderr, flush=True)
        os._exit(0)
sys.addaudithook(connects)
from bailee.__main__ import main
main()
"""
_AFTER_IT = {
    "anthropic", "anyio", "bailee.agent.clouds", "bailee.agent.egress",
    "bailee.agent.mcp_servers", "bailee.agent.terminal", "bailee.agent.tools.web",
    "bailee.cli.building", "bailee.client.declared", "bailee.node",
    "bailee.outbound.forwarding", "bailee.policy.proof", "bailee.registry", "difflib", "email",
    "html", "httpcore2", "httpx2", "importlib.resources", "jinja2", "keyring", "msgspec",
    "prompt_toolkit", "pydantic", "rich", "sqlalchemy", "sysconfig", "tomllib", "typer",
    "zipfile",
}  # fmt: skip
_MOST_UP_TO_IT = {"of the project": 100, "in all": 325}
"""Each module costs about a millisecond. Who needs one more looks first for one that can wait."""


def _imported(arguments: list[str], home: Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        check=False,  # there is no home
        capture_output=True,
        text=True,
        env={"HOME": str(home), "BAILEE_HOME": str(home / "none")},
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "words", ["sessions list", "hold list --json", "person show x", "key list"]
)
def test_a_command_imports_what_it_needs(words: str, tmp_path: Path) -> None:
    """Up to the question whether there is a home, or a server, nothing slow is imported."""
    imported = _imported(words.split(), tmp_path)
    assert "bailee.cli.reach" in imported
    assert imported & _HEAVY == set()


@pytest.mark.parametrize(
    "words", ["", "--help", "-h", "code --help", "cloud git -h", "policy explain --help"]
)
def test_a_help_imports_none(words: str, tmp_path: Path) -> None:
    """Nor does the help of one: `bailee --help` is made from names and lines alone, the others
    from what is prepared.
    """
    imported = _imported(words.split(), tmp_path)
    assert "bailee.cli" in imported
    assert {one for one in imported if one.startswith("bailee.cli.")} == {
        "bailee.cli.help_page",
        "bailee.cli.output",
        "bailee.cli.show",
    }
    assert imported & (_HEAVY | {"typer"}) == set()


def test_the_list_of_commands_is_true() -> None:
    """Each line of it is what the command itself says first; the options are those there are."""
    program = typer.main.get_command(whole())
    context = program.make_context("bailee", [], resilient_parsing=True)
    said, told = page_from(program, context), first_page(listed())
    order = [*listed()]  # the library has groups last
    said["commands"] = sorted(said["commands"], key=lambda row: order.index(row[0]))

    assert set_in_lines(said, 80) == set_in_lines(told, 80)


@pytest.mark.parametrize("columns", [10, 60, 80, 500])
def test_the_list_of_commands_fits_and_is_whole(columns: int) -> None:
    """Every word of every line, in lines that a terminal does not break."""
    text = set_in_lines(first_page(listed()), columns)

    assert all(len(line) <= max(50, min(80, columns)) for line in text.split("\n"))
    assert text.endswith("config        Settings.")
    told = " ".join(text.split())
    assert all(f"{name} {line}" in told for name, line in listed().items())


def test_a_prompt_goes_out_before_what_it_does_not_need_is_imported(tmp_path: Path) -> None:
    """`bailee code -p`, up to its first connection: no vendor's SDK, no server of a tool, no
    registry of what may be measured, no library for command lines or for every kind of request. Few
    modules in all, and no class of theirs by the decorator that takes a millisecond for each.
    """
    done = subprocess.run(
        [sys.executable, "-c", _UP_TO_THE_FIRST_BYTE, "code", "-p", "hello"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        env={
            "HOME": str(tmp_path),
            "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
            "ANTHROPIC_AUTH_TOKEN": "bl_none",
        },
    )
    imported = set(done.stderr.splitlines()[-1].split())  # before it: what is announced
    assert "bailee.agent.session" in imported
    assert imported & _AFTER_IT == set()
    own = {one for one in imported if one.partition(".")[0] == "bailee"}
    assert len(own) <= _MOST_UP_TO_IT["of the project"]
    assert len(imported) <= _MOST_UP_TO_IT["in all"]
    standard = re.compile(
        r"^from dataclasses import .*\bdataclass\b|dataclasses\.dataclass\(", re.M
    )
    dear = {
        one
        for one in own - {"bailee.records"}
        if standard.search(Path(importlib.import_module(one).__file__ or "").read_text("utf-8"))
    }
    assert dear == set(), "these make classes by the slow decorator: use bailee.records"
