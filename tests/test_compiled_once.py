"""What is compiled before a run's processes start is what they take."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

from support.compiled_once import compile_test


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
