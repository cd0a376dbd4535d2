"""Descriptors are raised once, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.row("G1")
def test_the_limit_is_raised_to_what_the_process_may_have() -> None:
    """In a process of its own, whose soft limit is below its hard one; a second time adds nothing,
    and what is there is never lowered.
    """
    script = """
import resource
from bailee.admission import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 200))
print(raise_limit(), raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
print(raise_limit(100), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "200 200 200 200\n100 200 200\n" == said.stdout
