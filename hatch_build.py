"""What is done when a wheel is built: where `BAILEE_COMPILE=1` asks for it, the gateway is compiled
(`tools/compiled.py`; `quick` in place of 1, for tests alone), and the wheel is one of this platform
and Python. Otherwise the wheel is pure Python, for all of them. An installation that points to a
checkout is never compiled.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledGateway(BuildHookInterface):
    """Hatchling makes it for one build and calls it, on its only thread. It writes into a folder of
    its own, never beside the source.
    """

    _folder: tempfile.TemporaryDirectory | None = None

    def dependencies(self) -> list[str]:
        """What the build needs besides."""
        return ["mypy==2.4.1", "setuptools>=80"] if _asked() else []

    def initialize(self, version: str, build_data: dict[str, object]) -> None:
        """See `BuildHookInterface`. `version` says which kind of wheel."""
        if version == "editable" or not _asked():
            return
        self._folder = tempfile.TemporaryDirectory(prefix="bailee-compiled-")
        made = Path(self._folder.name) / "made"
        tool = Path(self.root) / "tools" / "compiled.py"
        subprocess.run([sys.executable, tool, made], check=True)  # noqa: S603
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"] = {
            str(library): str(library.relative_to(made)) for library in made.rglob("*.so")
        }

    def finalize(self, version: str, build_data: dict[str, object], artifact_path: str) -> None:  # noqa: ARG002
        """See `BuildHookInterface`."""
        if self._folder is not None:
            self._folder.cleanup()


def _asked() -> bool:
    return os.environ.get("BAILEE_COMPILE") in {"1", "quick"}
