"""The embedded model, in a process of its own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from support.clients import processes
from support.clients.programs import clean_environment

PROGRAM = """
from bailee.gateway.local_model import LocalModel

for _ in range(3):
    model = LocalModel()
    model.close()
    model.close()
    print("closed")
"""


@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None, reason="the embedded model is not installed"
)
def test_a_model_that_is_closed_at_once_ends(tmp_path: Path) -> None:
    """Whether or not its own thread has begun, each time; and to close it again does nothing."""
    program = tmp_path / "closed.py"
    program.write_text(PROGRAM)
    done = processes.run(env=clean_environment(tmp_path), program=program, timeout=120)

    assert (0, "closed\n" * 3, "") == (done.returncode, done.stdout, done.stderr)
