"""What all processes of a run import is compiled once, before they start.

In a fresh checkout nothing is: each process would compile all of it, at the same time as the others
the same. Of the tests it is pytest's own form, with assertions rewritten, in pytest's own place.
Hypothesis takes all of the source apart for the constants in it, and keeps those in its own place.
"""

from __future__ import annotations

import compileall
import importlib.util
import multiprocessing
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from _pytest.assertion import rewrite
from hypothesis.internal.constants_ast import constants_from_module

TESTS = Path(__file__).parents[1]
SOURCE = TESTS.parent / "src" / "bailee"
# The packages of which a run imports most, and which take longest.
LIBRARIES = (
    *("anthropic", "sqlalchemy", "bailee", "playwright", "pydantic", "prompt_toolkit"),
    *("hypothesis", "alembic"),
)


def compile_all(config: pytest.Config) -> None:
    """Compile what is not compiled, or has changed since; over as many processes as there are
    cores. What can't be compiled is left to whoever imports it, who says why.
    """
    if sys.dont_write_bytecode:
        return
    found = [importlib.util.find_spec(name) for name in LIBRARIES]
    folders = [Path(one.origin).parent for one in found if one is not None and one.origin]
    work: list[Callable[[], object]] = [
        partial(compileall.compile_dir, folder, quiet=2)
        for folder in (*folders, TESTS / "support", TESTS.parent / "tools")
    ]
    work += [partial(compile_test, config, file) for file in sorted(TESTS.rglob("*.py"))]
    work += [partial(take_constants, file) for file in sorted(SOURCE.rglob("*.py"))]
    _work.extend(work)  # a fork has it: what it works on is not sent to it
    with multiprocessing.get_context("fork").Pool(len(os.sched_getaffinity(0))) as pool:
        pool.map(_do, range(len(work)), chunksize=1)
    _work.clear()


_work: list[Callable[[], object]] = []


def _do(number: int) -> None:
    _work[number]()


def compile_test(config: pytest.Config, file: Path) -> None:
    """Compile a file as pytest does when it imports it, if it is one that pytest does that to."""
    if not file.name.startswith("test_") and file.name != "conftest.py":
        return
    folder = rewrite.get_cache_dir(file)
    compiled = folder / (file.name.removesuffix(".py") + rewrite.PYC_TAIL)
    if rewrite._read_pyc(file, compiled) is not None or not rewrite.try_makedirs(folder):
        return
    try:
        digest, code = rewrite._rewrite_test(file, config)
    except SyntaxError:
        return
    rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, digest, compiled)


def take_constants(file: Path) -> None:
    """Have Hypothesis find a module's constants, as it does in each process that imported it."""
    module = ModuleType(file.stem)
    module.__file__ = str(file)
    constants_from_module(module)
