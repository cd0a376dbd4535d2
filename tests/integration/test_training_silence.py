"""Who looks for secrets asks nobody about them, and what is not there is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bailee.errors import InputError
from bailee.training import naming
from support.homes.named_model import model_folder

# In a network namespace of its own nothing has a route: every attempt is counted by the kernel.
SCAN = """
import socket, sys
from pathlib import Path
def attempts():
    lines = [line.split() for line in Path("/proc/self/net/snmp").read_text().splitlines()]
    held = {}
    for names, values in zip(lines[::2], lines[1::2]):
        held |= {names[0] + one: int(value) for one, value in zip(names[1:], values[1:])}
    return held["Ip:OutNoRoutes"] + held["Tcp:ActiveOpens"] + held["Udp:OutDatagrams"]
from bailee.training.finding import Finder
found = Finder().find(
    "export GITHUB_TOKEN=ghp_aQ3xZ9kLm2Np7Rt5Vw8Yb4Cd6Ef1Gh0JiK2l and "
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc, ada@lovelace.org, https://lovelace.org/"
)
silent = attempts()
try:
    socket.create_connection(("192.0.2.1", 443), 1)
except OSError:
    pass
print(len(found) > 2, silent, attempts() > 0)
"""
BY_MODEL = (
    SCAN.replace("from bailee", "from bailee.training.naming import by_model\nfrom bailee", 1)
    .replace("Finder()", "Finder((), by_model(Path(sys.argv[1])))")
    .replace("ada@lovelace.org", "ada@lovelace.org, a friend of Charles Babbage")
)


@pytest.mark.row("T7")
@pytest.mark.parametrize("program", [SCAN, BY_MODEL], ids=["patterns", "a model too"])
def test_nobody_is_asked_for_anything(program: str) -> None:
    """Neither our own patterns nor betterleaks nor Presidio with a model try to reach a host; the
    kernel would count it.
    """
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", program, str(model_folder())],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "True 0 True" == done.stdout.strip()


@pytest.mark.row("T8")
def test_a_worker_s_program_has_no_database() -> None:
    """Nor SQL, nor the keyring's store: it opens what it is lent, and begins in a moment."""
    program = "import sys, bailee.training.working; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    begun = done.stdout.split()
    assert "bailee.keyring.wrapping" in begun
    assert not {"sqlalchemy", "bailee.db", "bailee.keyring.store"} & set(begun)


@pytest.mark.row("T7")
def test_a_model_that_is_not_there_is_not_fetched(tmp_path: Path) -> None:
    """A name in the place of a folder, or a folder without a model: it is said, and that is all."""
    for place in (Path("en_core_web_sm"), tmp_path):
        with pytest.raises(InputError) as refused:
            naming.by_model(place)
        assert "no spaCy model" in refused.value.message
        assert "nothing is downloaded" in str(refused.value.hint)
