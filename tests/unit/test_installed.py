"""What is installed for users is enough to run: nothing that only developers have is needed."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Imports every module while what only developers have is not there, but for programs and what is
# for tests.
_PROGRAM = """
import importlib, pkgutil, sys

class NotThere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

LEFT_OUT = (
    "bailee.testing", "bailee.__main__", "bailee.db.migrations", "bailee.cloud.guest",
    "bailee.cloud.machine.launch",
)
sys.meta_path.insert(0, NotThere())
import bailee
for found in pkgutil.walk_packages(bailee.__path__, "bailee."):
    if not found.name.startswith(LEFT_OUT):
        importlib.import_module(found.name)
"""
_EXTRAS = {"", "server", "agent", "keyring", "cloud", "local-model", "ray", "training"}


def _closure(name: str, extras: set[str], found: set[tuple[str, str]]) -> None:
    """Adds a distribution, with what it needs, as (name, extra)."""
    for extra in extras:
        if (name, extra) in found:
            continue
        found.add((name, extra))
        try:
            needed = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            return
        for text in needed:
            one = Requirement(text)
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                _closure(canonicalize_name(one.name), {"", *one.extras}, found)


def test_every_module_runs_on_what_users_install() -> None:
    """Each is imported where the distributions of the extra `dev` alone are not there."""
    found: set[tuple[str, str]] = set()
    _closure("bailee", _EXTRAS, found)
    wanted = {name for name, _ in found}
    blocked = sorted(
        module
        for module, names in importlib.metadata.packages_distributions().items()
        if not {canonicalize_name(name) for name in names} & wanted
    )
    assert {"pytest", "hypothesis"} <= set(blocked)
    assert "sqlalchemy" not in blocked
    program = f"BLOCKED = frozenset({blocked!r})\n{_PROGRAM}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr[-2000:]
