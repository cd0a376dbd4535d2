"""The real Claude Code client, fetched from npm once."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

VERSION = "2.1.330"
CACHE = Path(__file__).parents[1] / ".cache" / f"claude-code-{VERSION}"


def installed() -> Path | None:
    """The client's program, fetched from npm once."""
    program = CACHE / "node_modules/@anthropic-ai/claude-code-linux-x64/claude"
    if not program.exists() and shutil.which("npm") is not None:
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [
                "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save",
                f"@anthropic-ai/claude-code@{VERSION}",
            ],
            cwd=CACHE,
            capture_output=True,
            timeout=300,
            check=False,
        )  # fmt: skip
    return program if program.exists() else None
