"""The gateway's compiled build, for what measures both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.result import Unavailable

ROOT = Path(__file__).parent.parent


def compiled_package() -> Path:
    """The folder of the compiled build, made when it is not there.

    Raises:
        Unavailable: it can't be.
    """
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import compiled

        return compiled.kept().package
    except (ImportError, OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"what compiles the gateway ({type(error).__name__})") from None
    finally:
        sys.path.remove(str(ROOT / "tools"))
