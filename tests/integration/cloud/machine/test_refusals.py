"""Where no machine can be had, none is started, and whoever runs the host is told what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bailee.cloud.image.store import Image, find
from bailee.cloud.machine.machines import see_that_it_can_be
from bailee.cloud.ports import MachineLimits
from bailee.errors import MachineError

pytestmark = pytest.mark.row("C1")

ASK = """
from bailee.cloud.machine.machines import see_that_it_can_be
from bailee.cloud.ports import MachineLimits
from bailee.errors import MachineError
try:
    see_that_it_can_be(MachineLimits())
except MachineError as error:
    print(error.code, error.message, error.hint)
"""


def test_without_qemu_there_is_no_machine_and_nothing_weaker(tmp_path: Path) -> None:
    """The error says that QEMU is missing, and the hint which package it is."""
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "no_machine QEMU is not on this machine. install qemu-system-x86" in done.stdout


def test_too_little_memory_is_refused() -> None:
    """A guest that could not start is not started."""
    with pytest.raises(MachineError, match="does not start") as caught:
        see_that_it_can_be(MachineLimits(memory=64 << 20))
    assert "no_machine" == caught.value.code


def test_without_an_image_the_hint_is_to_build_one(tmp_path: Path) -> None:
    """Neither a name nor a folder that is none leads to anything else."""
    for look in (lambda: find(tmp_path), lambda: Image.load(tmp_path)):
        with pytest.raises(MachineError) as caught:
            look()
        assert "build one: bailee cloud image build" == caught.value.hint
