"""Libraries beside the source are used, unless somebody wants the source."""

from __future__ import annotations

from importlib.machinery import (
    EXTENSION_SUFFIXES,
    ExtensionFileLoader,
    PathFinder,
    SourceFileLoader,
)
from pathlib import Path

import pytest

from bailee import compiled


def test_a_library_is_passed_over_for_its_source(tmp_path: Path) -> None:
    """Python itself would take the library; of a folder that is a package, the package is taken."""
    (tmp_path / "one.py").touch()
    (tmp_path / f"one{EXTENSION_SUFFIXES[0]}").touch()
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "__init__.py").touch()
    (tmp_path / "two" / f"__init__{EXTENSION_SUFFIXES[0]}").touch()

    for name in ("one", "two"):
        by_python = PathFinder.find_spec(name, [str(tmp_path)])
        alone = compiled.SourceAlone.find_spec(f"bailee.{name}", [str(tmp_path)])
        assert by_python is not None and isinstance(by_python.loader, ExtensionFileLoader)
        assert alone is not None and isinstance(alone.loader, SourceFileLoader)
        assert str(tmp_path) in str(alone.origin)


def test_nobody_elses_module_is_found(tmp_path: Path) -> None:
    """Nor one that is not there: Python's own finders say so."""
    (tmp_path / "one.py").touch()

    assert compiled.SourceAlone.find_spec("one", [str(tmp_path)]) is None
    assert compiled.SourceAlone.find_spec("bailee", None) is None
    assert compiled.SourceAlone.find_spec("bailee.two", [str(tmp_path)]) is None


def test_it_is_said_which_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what lies in the gateway's folder, and whether it is wanted. A checkout has no library."""
    assert not compiled.is_compiled()
    (tmp_path / f"exchange{EXTENSION_SUFFIXES[0]}").touch()
    monkeypatch.setattr(compiled, "_GATEWAY", str(tmp_path))
    monkeypatch.setattr("sys.meta_path", [])

    assert compiled.is_compiled()
    compiled.leave_aside()
    assert not compiled.is_compiled()
