"""`bailee witness` as a process, and whoever asks it."""

from __future__ import annotations

import http.client
import json
import signal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bailee.ledger.tlog import notes
from bailee.ledger.tlog.notes import Key
from bailee.ledger.tlog.witnessing import WitnessAnswer
from support.clients import processes
from support.clients.programs import clean_environment


class WitnessProcess:
    """A witness on a folder of its own, started, killed and asked."""

    def __init__(self, folder: Path, name: str = "w.example/one") -> None:
        self.folder = folder
        self._name = name
        self._process: processes.Process | None = None
        self._at = "127.0.0.1:0"
        self.ready: dict[str, Any] = {}

    def know(self, *keys: str) -> None:
        """Write down which logs it knows, by their keys, for its next start."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        known = "".join(f"log {key}\n" for key in keys)
        (self.folder / "known-logs").write_text(f"{known}quorum none\n")

    def up(self, *arguments: str, program: Path | None = None) -> None:
        """Start it; again at the address that it had. `program`: what is run in bailee's place."""
        words = ("witness", str(self.folder), "--name", self._name, "--json", "--listen", self._at)
        self._process = process = processes.start(
            *arguments, *words, env=clean_environment(self.folder), program=program
        )
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        self.ready = json.loads(line)
        self._at = urlsplit(self.url).netloc

    @property
    def url(self) -> str:
        """Where it answers."""
        return str(self.ready["url"])

    @property
    def keys(self) -> list[Key]:
        """Its public keys."""
        return [notes.key(text) for text in self.ready["keys"]]

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send it a signal; its exit status, and what it said on standard error."""
        assert self._process is not None
        process, self._process = self._process, None
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        return process.wait(), errors

    def close(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def ask(self, method: str, path: str, body: bytes | None = None) -> WitnessAnswer:
        """What it answers.

        Raises:
            OSError, http.client.HTTPException: nothing.
        """
        connection = http.client.HTTPConnection(self._at, timeout=30)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return WitnessAnswer(
                answer.status, answer.read(), answer.headers.get("content-type", "")
            )
        finally:
            connection.close()

    def add(self, body: bytes) -> WitnessAnswer:
        """What it answers to a request for a cosignature."""
        return self.ask("POST", "/add-checkpoint", body)
