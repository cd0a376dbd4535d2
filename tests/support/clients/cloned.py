"""A checkout as a person has it: what is committed, cloned, set up and started by `make up` at a
terminal, and then used by its own `bailee`.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from support.clients.programs import SECONDS, Bailee
from support.clients.terminal import Screen

ROOT = Path(__file__).parents[3]
SET_UP_SECONDS = 900  # packages come from an index, which may be far away
_INDEX = ("PIP_", "UV_", "SSL_CERT", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
"""Variables that say where packages come from; a clone needs them as any checkout does."""


class ClonedBailee(Bailee):
    """`bailee` from a clone. What is known of its server is what it printed: see `printed`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder / "bailee"
        self.printed = ""
        self._screen: Screen | None = None
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(self.folder)], check=True)

    def make_up(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        """Types `make up` in the clone, and waits until it has printed what to type next. The
        address, the key and the link in `ready` are those of the printed lines.
        """
        listen = "--gateway 127.0.0.1:0 --console 127.0.0.1:0 --ingest 127.0.0.1:0"
        self._screen = screen = Screen(
            "up", f"ARGS={' '.join((listen, *arguments))}",
            binary=Path("/usr/bin/make"), folder=self.folder, columns=300, rows=60,
            environment=self.environment(env={**_index(), **(env or {})}),
        )  # fmt: skip
        until = time.monotonic() + SET_UP_SECONDS
        while "Each exchange, as it ends:" not in screen.text:
            screen.read()
            assert screen.running, screen.text
            assert time.monotonic() < until, screen.text
        self.printed = screen.text
        self.ready = {
            "gateway": _one(r"export ANTHROPIC_BASE_URL=(\S+)", self.printed),
            "key": _one(r"export ANTHROPIC_AUTH_TOKEN=(bl_\S+)", self.printed),
            "sign_in": _one(r"console +(http\S+/sign-in\?token=\S+)", self.printed),
        }
        self.ready["console"] = self.ready["sign_in"].partition("/sign-in?")[0]
        return self.printed

    def run(
        self,
        *arguments: str,
        now: str | None = None,
        env: dict[str, str] | None = None,
        given: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """A command of the clone's own, to its end; `given` on its standard input."""
        return subprocess.run(
            [str(self.folder / ".venv/bin/bailee"), *arguments],
            env=self.environment(now, env), input=given or "", cwd=self.folder,
            capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip

    def typed(self, *lines: str) -> subprocess.CompletedProcess[str]:
        """Lines typed into a shell in the clone, one after another."""
        return subprocess.run(
            ["/bin/bash", "-e"], input="\n".join((*lines, "")),
            env=self.environment(), cwd=self.folder,
            capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip

    def close(self) -> None:
        """Presses Ctrl-C, and waits for its end."""
        if self._screen is not None:
            screen, self._screen = self._screen, None
            screen.interrupt()
            screen.end()


def _index() -> dict[str, str]:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    named = {name: value for name, value in os.environ.items() if name.upper().startswith(_INDEX)}
    return {"UV_CACHE_DIR": f"{cache}/uv", "PIP_CACHE_DIR": f"{cache}/pip", **named}


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]
