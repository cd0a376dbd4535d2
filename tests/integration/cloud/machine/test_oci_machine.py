"""A machine whose root is somebody else's: the smallest there is, a static shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bailee.cloud.image.build import build
from bailee.cloud.machine import QemuMachines
from bailee.cloud.machine.command_line import Accelerator
from support.machines.emulated import IMAGES, Town, extra
from support.machines.ocilayout import layout, tar

pytestmark = pytest.mark.row("C1")


def test_an_oci_image_becomes_a_machine_s_root(town: Town, tmp_path: Path) -> None:
    """Its files and tools are the machine's, and the agent and `bailee code` work beside them."""
    (package,) = (IMAGES / "apt/archives").glob("busybox-static_*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path / "deb"], check=True)
    shell = (tmp_path / "deb/bin/busybox").read_bytes()
    links = {f"bin/{name}": "busybox" for name in ("sh", "id", "cat", "ls")}
    first = tar({"bin": None, "bin/busybox": shell, **links, "gone": b"x"})
    second = tar({".wh.gone": b"", "etc": None, "etc/who": b"theirs\n"})
    theirs = layout(tmp_path / "oci", [first, second])
    # With the packages of the other image, all but its root is there already.
    image = build(IMAGES, oci=theirs, name="tests-oci", extra=extra())
    town.machines = QemuMachines(image, accelerator=Accelerator.EMULATION)
    machine = town.start()

    script = "cat /etc/who; id -u; ls -n /etc/who; ls /gone"
    status, out, err = town.told(machine, "sh", "-c", script)
    assert (1, ["theirs", "1000"]) == (status, out.splitlines()[:2])
    assert "7        7" in out
    assert "No such file" in err
    assert 127 == town.told(machine, "git")[0]
    assert "Work on the code" in town.told(machine, "bailee", "code", "--help")[1]
