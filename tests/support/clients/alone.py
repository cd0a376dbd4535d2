"""A program alone on a machine of its own: a network with nobody in it but a model and a name
server that writes down what is asked, and an `/etc` with what an administrator put there.

Run as a program it is what goes on inside; `run` starts it. Needs root and bubblewrap.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bailee.testing.upstream import Exactly, Received, Reply, ScriptedUpstream, Turn

_OURS = Path(__file__).parents[3]
URL = "{URL}"
"""Stands for the model's address, which is known inside alone."""
HOST = "{HOST}"
"""Stands for its host and port."""


@dataclass(frozen=True)
class Alone:
    """What came of it: the names that were asked for, and the requests that the model had."""

    status: int
    stdout: str
    stderr: str
    names: set[str]
    requests: list[tuple[str, str]]


def missing() -> str | None:
    """Why this can't be run here."""
    if os.geteuid() != 0:
        return "a network and an /etc of its own need root"
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    tried = ["bwrap", "--dev-bind", "/", "/", "--tmpfs", "/etc", "--unshare-net", "--", "true"]
    done = subprocess.run(tried, capture_output=True, check=False)
    return "bubblewrap can't make a network of its own here" if done.returncode else None


def run(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    etc: Mapping[str, str],
    files: Mapping[str, str] | None = None,
    served: Mapping[str, Any] | None = None,
    answers: str = "messages",
) -> Alone:
    """Runs a command. `etc`: the administrator's files by their whole paths; `files`: more, written
    inside, since `URL` may stand in them; `served`: what the model's address gives at
    `/managed/settings`.
    """
    given = {
        "command": [*command], "folder": str(folder), "environment": dict(environment),
        "files": dict(files or {}) | dict(etc), "served": served, "answers": answers,
    }  # fmt: skip
    mounts = ["--dev-bind", "/", "/", "--tmpfs", "/etc"]
    hidden = {"resolv.conf", *(Path(path).parts[2] for path in etc)}
    for one in sorted(Path("/etc").iterdir()):
        if one.name not in hidden:
            mounts += ["--ro-bind", str(one), str(one)]
    done = subprocess.run(
        ["bwrap", *mounts, "--unshare-net", "--die-with-parent", "--", sys.executable, __file__],
        input=json.dumps(given),
        env={**os.environ, "PYTHONPATH": f"{_OURS / 'src'}:{_OURS / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert 0 == done.returncode, done.stderr[-3000:]
    told = json.loads(done.stdout)
    requests = [(method, path) for method, path in told["requests"]]
    return Alone(told["status"], told["stdout"], told["stderr"], set(told["names"]), requests)


class _Model(ScriptedUpstream):
    """The model, and what a gateway has beside it."""

    def __init__(self, turn: Turn, served: object) -> None:
        super().__init__(after=turn, tools_only=False)
        self._served = served

    def _turn(self, request: Received) -> Turn:
        path = request.path.partition("?")[0]
        if path == "/managed/settings":
            status = 404 if self._served is None else 200
            return Exactly(Reply(status, _JSON, (json.dumps(self._served).encode(),)))
        if path in ("/v1/metrics", "/v1/logs", "/v1/traces"):
            return Exactly(Reply(200, _JSON, (b"{}",)))
        return super()._turn(request)


_JSON = (("content-type", "application/json"),)


def _names(found: list[str]) -> None:
    """A name server that knows nobody."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def answer() -> None:
        while True:
            asked, whom = server.recvfrom(4096)
            labels, at = [], 12
            while asked[at]:
                labels.append(asked[at + 1 : at + 1 + asked[at]].decode("ascii", "replace"))
                at += 1 + asked[at]
            found.append(".".join(labels).lower())
            head = asked[:2] + b"\x81\x83" + asked[4:6] + bytes(6)
            server.sendto(head + asked[12 : at + 5], whom)

    threading.Thread(target=answer, daemon=True).start()


def _inside() -> None:
    from bailee.testing.other_apis import Says
    from bailee.testing.upstream import Text

    given = json.load(sys.stdin)
    Path("/etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    names: list[str] = []
    _names(names)
    turn = Text("Seven.") if given["answers"] == "messages" else Says("Seven.")
    with _Model(turn, given["served"]) as model:
        for path, text in given["files"].items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text.replace(URL, model.url).replace(HOST, model.url[7:]))
        environment = {
            name: value.replace(URL, model.url) for name, value in given["environment"].items()
        }
        done = subprocess.run(
            given["command"], cwd=given["folder"], env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=150, check=False,
        )  # fmt: skip
        requests = [(one.method, one.path) for one in model.requests]
    told = {"status": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
    print(json.dumps(told | {"names": sorted(set(names)), "requests": requests}))


if __name__ == "__main__":
    _inside()
