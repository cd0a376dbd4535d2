"""What is compiled before a run's processes start is what they take."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.assertion import rewrite
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.internal import constants_ast

from support.compiled_once import compile_test, take_constants


def test_pytest_takes_what_was_compiled(
    pytestconfig: pytest.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rewrites nothing again, and a failing assertion says what it compared."""
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    file = tmp_path / "test_it.py"
    file.write_text("def test_it():\n    plums = 3\n    assert plums == 4\n")
    compile_test(pytestconfig, file)
    monkeypatch.setattr(rewrite, "_rewrite_test", lambda *_: pytest.fail("it was not taken"))
    hook = pytestconfig.stash[rewrite.assertstate_key].hook
    assert hook is not None
    spec = importlib.util.spec_from_file_location("test_it", file, loader=hook)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    hook.exec_module(module)

    with pytest.raises(AssertionError, match="assert 3 == 4"):
        module.test_it()


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Path]:
    """A place of its own for what Hypothesis keeps."""
    set_hypothesis_home_dir(tmp_path / "kept")
    yield tmp_path
    set_hypothesis_home_dir(None)


def test_hypothesis_takes_what_was_found(apart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not take the module apart again."""
    file = apart / "orchard.py"
    file.write_text("TREES = 71_077\nNAME = 'quincequince'\n")
    take_constants(file)
    read = constants_ast._constants_from_source

    def noted(source: str | bytes, *, limit: bool) -> constants_ast.Constants:
        assert source != file.read_bytes(), "it was not taken"
        return read(source, limit=limit)

    monkeypatch.setattr(constants_ast, "_constants_from_source", noted)
    spec = importlib.util.spec_from_file_location("orchard", file)
    assert spec is not None
    found = constants_ast.constants_from_module(importlib.util.module_from_spec(spec))
    assert (71_077 in found.integers, "quincequince" in found.strings) == (True, True)
