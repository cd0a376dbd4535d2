"""The real coding agents of other vendors, each fetched once into .cache at one version.

npm's install scripts are not run: the programs are in the packages. A test fetches what is fetched
quickly; run as a program, this fetches the others too (`.venv/bin/python tools/coding_agents.py`).
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache"


@dataclass(frozen=True)
class Agent:
    """Where an agent comes from: a package of npm's, or of PyPI's; `program` in its folder."""

    name: str
    package: str
    version: str
    program: str
    npm: bool = True
    quick: bool = True

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return CACHE / f"{self.name}-{self.version}"

    def fetched(self) -> Path | None:
        """Its program, if it is there."""
        program = self.folder / self.program
        return program if program.exists() else None

    def fetch(self) -> Path | None:
        """Its program, fetched if it is not there; None: it can't be had."""
        if self.fetched() is None and sys.platform == "linux" and platform.machine() == "x86_64":
            if not self.npm:
                venv.create(self.folder, with_pip=True)
                wanted = f"{self.package}=={self.version}"
                self._run(str(self.folder / "bin/python"), "-m", "pip", "install", "-q", wanted)
            elif shutil.which("npm") is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
                options = ("--no-audit", "--no-fund", "--ignore-scripts", "--no-save")
                self._run("npm", "install", *options, self.package + "@" + self.version)
        return self.fetched()

    def _run(self, *command: str) -> None:
        subprocess.run(command, cwd=self.folder, capture_output=True, timeout=600, check=False)


AGENTS = {
    agent.name: agent
    for agent in (
        Agent(
            "claude-code",
            "@anthropic-ai/claude-code",
            "2.1.330",
            "node_modules/@anthropic-ai/claude-code-linux-x64/claude",
        ),
        Agent("opencode", "opencode-linux-x64", "1.18.33",
              "node_modules/opencode-linux-x64/bin/opencode"),
        Agent("codex", "@openai/codex", "0.169.0-linux-x64",
              "node_modules/@openai/codex/vendor/x86_64-unknown-linux-musl/bin/codex"),
        Agent("gemini", "@google/gemini-cli", "0.61.0", "node_modules/.bin/gemini"),
        Agent("aider", "aider-chat", "0.86.2", "bin/aider", npm=False, quick=False),
    )
}  # fmt: skip


if __name__ == "__main__":
    missing = [agent.name for agent in AGENTS.values() if agent.fetch() is None]
    sys.exit(f"could not be had: {', '.join(missing)}" if missing else 0)
