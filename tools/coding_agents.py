"""The real coding agents of other vendors, each fetched once into .cache at one version.

npm's install scripts are not run: the programs are in the packages. A test fetches what is fetched
quickly; run as a program, this fetches the others too (`.venv/bin/python tools/coding_agents.py`),
or with `--quick` those alone.
"""

from __future__ import annotations

import fcntl
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache"


@contextmanager
def fetching(name: str) -> Iterator[Path]:
    """The folder of this name in the cache, for one process at a time: tests run in several."""
    folder = CACHE / name
    folder.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


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
        if sys.platform == "linux" and platform.machine() == "x86_64":
            with fetching(self.folder.name) as folder:
                if self.fetched() is None:
                    self._fetch(folder)
        return self.fetched()

    def _fetch(self, folder: Path) -> None:
        if not self.npm:
            venv.create(folder, with_pip=True)
            python = str(folder / "bin/python")
            command = [python, "-m", "pip", "install", "-q", f"{self.package}=={self.version}"]
        elif shutil.which("npm") is not None:
            options = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-save"]
            command = ["npm", "install", *options, f"{self.package}@{self.version}"]
        else:
            return
        subprocess.run(command, cwd=folder, capture_output=True, timeout=600, check=False)


AGENTS = {
    agent.name: agent
    for agent in (
        Agent(
            "claude-code",
            "@anthropic-ai/claude-code",
            "2.1.332",
            "node_modules/@anthropic-ai/claude-code-linux-x64/claude",
        ),
        Agent("opencode", "opencode-linux-x64", "1.18.34",
              "node_modules/opencode-linux-x64/bin/opencode"),
        Agent("codex", "@openai/codex", "0.171.0-linux-x64",
              "node_modules/@openai/codex/vendor/x86_64-unknown-linux-musl/bin/codex"),
        Agent("gemini", "@google/gemini-cli", "0.61.0", "node_modules/.bin/gemini"),
        Agent("aider", "aider-chat", "0.86.2", "bin/aider", npm=False, quick=False),
    )
}  # fmt: skip


if __name__ == "__main__":
    wanted = [one for one in AGENTS.values() if one.quick or "--quick" not in sys.argv[1:]]
    missing = [agent.name for agent in wanted if agent.fetch() is None]
    sys.exit(f"could not be had: {', '.join(missing)}" if missing else 0)
