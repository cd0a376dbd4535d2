"""How long a person waits: for the version, for help, for a command on data, for the agent's first
prompt; and a program, until what it asks the agent goes out.

Each program is started anew, in turns with the others, and the median of the runs counts. A bare
Python is the floor for anything written in it. Claude Code, where the tests have fetched it, is
what people know.
"""

from __future__ import annotations

import os
import pty
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.result import SHORT, Line

RUNS = 5 if SHORT else 9
CACHE = Path(__file__).parents[1] / ".cache"
PYTHON = [sys.executable]
BAILEE = [*PYTHON, "-m", "bailee"]
ASK = ["-p", "hello"]
NOT_THERE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def main() -> list[Line]:
    """Measure and print; the lines of the closing table."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
            "ANTHROPIC_AUTH_TOKEN": "bl_none",
        }
        listed = [*BAILEE, "sessions", "list", "--json"]
        ways: dict[str, Callable[[], float]] = {
            "python -c pass": lambda: _to_end([*PYTHON, "-c", "pass"], environment),
            "bailee --version": lambda: _to_end([*BAILEE, "--version"], environment),
            "bailee --help": lambda: _to_end([*BAILEE, "--help"], environment),
            "bailee sessions list, of a server": lambda: _to_end(listed, environment),
            "bailee code --help": lambda: _to_end([*BAILEE, "code", "--help"], environment),
            "bailee code -p, first byte": lambda: _to_request([*BAILEE, "code", *ASK], environment),
            "bailee code, first prompt": lambda: _to_prompt([*BAILEE, "code"], environment, folder),
        }
        if (claude := _claude()) is not None:
            ways["claude --version"] = lambda: _to_end([str(claude), "--version"], environment)
            quiet = environment | {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
            ways["claude -p, first byte"] = lambda: _to_request([str(claude), *ASK], quiet)
        taken: dict[str, list[float]] = {name: [] for name in ways}
        with _server(environment):
            for run in range(RUNS + 1):
                for name, way in ways.items():
                    seconds = way()
                    if run:  # the first fills the disk's cache
                        taken[name].append(seconds)
    medians = {name: statistics.median(runs) for name, runs in taken.items()}
    for name, median in medians.items():
        print(f"{name:28} {median * 1000:7.0f} ms")
    bare = f"python -c pass: {medians['python -c pass'] * 1000:.0f} ms"
    known = medians.get("claude --version")
    against = bare if known is None else f"{bare}; claude --version: {known * 1000:.0f} ms"
    asked = medians.get("claude -p, first byte")
    beside = bare if asked is None else f"{bare}; claude -p: {asked * 1000:.0f} ms"
    return [
        (name, f"{median * 1000:.0f} ms", beside if "-p" in name else against)
        for name, median in medians.items()
        if name.startswith("bailee")
    ]


@contextmanager
def _server(environment: dict[str, str]) -> Iterator[None]:
    """A running server of the home that the commands find."""
    anywhere = [f"--{one}=127.0.0.1:0" for one in ("gateway", "console", "ingest")]
    process = subprocess.Popen(
        [*BAILEE, "up", "--json", *anywhere, "--upstream", environment["ANTHROPIC_BASE_URL"]],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()  # it is ready
        yield
    finally:
        process.terminate()
        process.wait()


def _to_end(command: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def _to_request(command: list[str], environment: dict[str, str]) -> float:
    """Until a prompt's request arrives at the model's address; whatever else is asked there before
    is answered that it is not there.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            env=environment | {"ANTHROPIC_BASE_URL": address},
            cwd=environment["HOME"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while True:
                connection, _ = listening.accept()
                with connection:
                    connection.settimeout(30)
                    if connection.recv(65536).startswith(b"POST /v1/messages"):
                        return time.perf_counter() - began
                    connection.sendall(NOT_THERE)
        finally:
            process.kill()
            process.wait()


def _to_prompt(command: list[str], environment: dict[str, str], folder: str) -> float:
    """Until the prompt is on the screen of a terminal."""
    began = time.perf_counter()
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execve(command[0], command, environment)
    seen = b""
    try:
        while b"recording unknown" not in seen:  # the status line, drawn with the prompt
            if not select.select([terminal], [], [], 30)[0]:
                raise TimeoutError(f"no prompt: {seen!r}")
            seen += (more := os.read(terminal, 65536))
            if b"\x1b[6n" in more:  # it asks where the cursor is
                os.write(terminal, b"\x1b[2;1R")
        return time.perf_counter() - began
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)


def _claude() -> Path | None:
    return next(CACHE.glob("claude-code-*/node_modules/@anthropic-ai/claude-code-*/claude"), None)
