"""The real Claude Code that signs in at a gateway, and a proxy that tells whom else it asks."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.clients.programs import clean_environment
from support.clients.terminal import Screen


class ElseWhere:
    """A proxy that refuses everything, and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(4096).split(b"\r\n")[0].decode("latin-1"))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")


class Claude:
    """The real client, told nothing but the address, in a home of its own."""

    def __init__(self, program: Path, folder: Path, gateway: str, elsewhere: ElseWhere) -> None:
        self._program = program
        self.home = folder / "claude-home"
        self.project = folder / "project"
        (self.home / ".claude").mkdir(parents=True)
        self.project.mkdir()
        (self.home / ".claude" / "settings.json").write_text(
            json.dumps({"forceLoginMethod": "gateway", "forceLoginGatewayUrl": gateway})
        )
        self._environment = clean_environment(
            self.home,
            SHELL="/bin/bash",
            HTTPS_PROXY=elsewhere.url,
            HTTP_PROXY=elsewhere.url,
            NO_PROXY="127.0.0.1,localhost",
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        )

    def sign_in(self, confirmed: Callable[[str], None]) -> str:
        """Its first start, up to where it is signed in. `confirmed` is given the code, and does
        what a person does in the browser. What was on the screen while it waited.
        """
        screen = Screen(
            folder=self.project, environment=self._environment, binary=self._program, columns=120,
            rows=50,
        )  # fmt: skip
        try:
            screen.wait("Choose the text style")
            screen.type("\r")
            screen.wait("Enter to connect")
            screen.type("\r")
            self._yes(screen, "Trust gateway", "Yes, trust this gateway")
            waiting = screen.wait(r"Notice from[^✶]*✶")
            code = re.search(r"Code: +([A-Z]{4}-[A-Z]{4})", waiting)
            assert code is not None, waiting
            confirmed(code[1])
            self._yes(screen, "Signed in to Cloud gateway as", "Yes, continue")
            screen.wait("Connected to Cloud gateway")
        finally:
            screen.close()
        return waiting

    @staticmethod
    def _yes(screen: Screen, question: str, answer: str) -> None:
        screen.wait(question)
        screen.type("\x1b[A")
        screen.wait(f"❯ {answer}")
        screen.type("\r")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of it, to its end."""
        return subprocess.run(
            [str(self._program), *arguments],
            cwd=self.project, env=self._environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    @property
    def kept(self) -> dict[str, Any]:
        """What it keeps of its sign-in."""
        found: dict[str, Any] = json.loads(
            (self.home / ".claude" / ".credentials.json").read_text()
        )["enterpriseGateway"]
        return found

    def expires(self) -> None:
        """Its token is nearly over, as an hour from now."""
        path = self.home / ".claude" / ".credentials.json"
        held = json.loads(path.read_text())
        held["enterpriseGateway"]["expiresAt"] = int(time.time() * 1000) + 60_000
        path.write_text(json.dumps(held))
