"""The command line as a person types it: real processes, real sockets, a home of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from support.clients import processes

SECONDS = 60
_TRIES = 20  # each waits up to two seconds
# With these nothing leaves by itself, so that no start has anything to announce.
SILENT = {"DISABLE_TELEMETRY": "1", "DISABLE_ERROR_REPORTING": "1"}
# Sign-up is closed unless an operator opens it, and says for which plans.
SIGN_UP = {"BAILEE_ACCOUNTS_SIGN_UP": "open", "BAILEE_ACCOUNTS_SIGN_UP_PLANS": "free, pro, max"}


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """An environment with nothing of this machine in it but the programs' path."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **more}


class Bailee:
    """`bailee` on one home: commands, and a server that is started, stopped and killed."""

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        """`fresh`: what is measured of its servers is theirs alone, from Python's start on."""
        self._fresh = fresh
        self.home = folder / "home"
        self._user = folder / "user"
        self._user.mkdir()
        self._process: processes.Process | None = None
        self.ready: dict[str, Any] = {}

    def run(
        self,
        *arguments: str,
        now: str | None = None,
        env: dict[str, str] | None = None,
        given: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """A command, to its end; `given` on its standard input."""
        environment = self.environment(now, env)
        return processes.run(*arguments, env=environment, given=given, timeout=SECONDS)

    def json(
        self, *arguments: str, now: str | None = None, env: dict[str, str] | None = None
    ) -> Any:
        """A command that succeeds, and its JSON output."""
        done = self.run(*arguments, "--json", now=now, env=env)
        assert (0, "") == (done.returncode, done.stderr)
        return json.loads(done.stdout)

    def sessions(self, count: int = 1) -> list[dict[str, Any]]:
        """The list, once `count` are on it: a list waits a moment for what is being sealed, and on
        a machine with other work that is not always enough.
        """
        for _ in range(_TRIES):
            found: list[dict[str, Any]] = self.json("sessions", "list")
            if len(found) >= count:
                return found
        raise AssertionError(f"{len(found)} sessions of {count}")

    def declare(self, url: str, *, terms: str = "retains = false\ntrains = false") -> None:
        """Say in the home's settings which model is behind it, and what that keeps: nothing."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        said = f'[upstream]\nurl = "{url}"\n[upstream.terms]\n{terms}\n'
        settings = self.home / "bailee.toml"
        settings.touch(mode=0o600)
        settings.write_text(said)

    def up(
        self,
        *arguments: str,
        now: str | None = None,
        env: dict[str, str] | None = None,
        descriptors: int | None = None,
    ) -> dict[str, Any]:
        """Start a server and wait until it is ready."""
        self._process = process = self.spawn(*arguments, now=now, env=env, descriptors=descriptors)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            assert process.stderr is not None
            raise AssertionError(f"no server: {process.stderr.read()}")
        self.ready = json.loads(line)
        return self.ready

    def spawn(
        self,
        *arguments: str,
        now: str | None = None,
        env: dict[str, str] | None = None,
        descriptors: int | None = None,
    ) -> processes.Process:
        """A server's process, at any free ports. `descriptors`: how many it may have at most."""
        limit = () if descriptors is None else ("prlimit", f"--nofile={descriptors}:{descriptors}")
        return processes.start(
            *("up", "--json", "--gateway", "127.0.0.1:0", "--console", "127.0.0.1:0"),
            *("--ingest", "127.0.0.1:0", *arguments),
            env=self.environment(now, env),
            under=limit,
            fresh=self._fresh,
        )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the server a signal and wait for its end; its exit status. It has said nothing."""
        status, errors = self.end(number)
        assert "" == errors, errors
        return status

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """The same; its exit status, and what it said on standard error."""
        assert self._process is not None
        process, self._process = self._process, None
        process.send_signal(number)
        _, errors = process.communicate(timeout=SECONDS)
        return process.wait(), errors

    def close(self) -> None:
        """End what still runs."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def holds(self, *needles: bytes) -> list[str]:
        """Files of the home in which one of the byte strings stands."""
        files = (file for file in self.home.rglob("*") if file.is_file())
        read = ((str(file.relative_to(self.home)), file.read_bytes()) for file in files)
        return [name for name, content in read if any(needle in content for needle in needles)]

    def environment(
        self, now: str | None = None, env: dict[str, str] | None = None
    ) -> dict[str, str]:
        """What its processes find in theirs: this home, and nothing else of this machine."""
        ours = clean_environment(self._user, BAILEE_HOME=str(self.home))
        made = {**ours, **(env or {})}
        return made if now is None else {**made, "BAILEE_NOW": now}


def message(
    ready: dict[str, Any], text: str, key: str | None = None, *, session: str | None = None
) -> dict[str, Any]:
    """One exchange over plain HTTP, as any client would do it. `session`: the id it has there."""
    body = {
        "model": "m",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": text}],
    }
    request = urllib.request.Request(
        ready["gateway"] + "/v1/messages",
        json.dumps(body).encode(),
        {
            "x-api-key": key or ready["key"],
            "content-type": "application/json",
            **({} if session is None else {"x-claude-code-session-id": session}),
        },
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: dict[str, Any] = json.loads(response.read())
    return answer
