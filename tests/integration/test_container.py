"""The container as it is built and run: by its own file, on Debian's packages, as a user of its
own, with a root file system that nobody writes to.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import message

pytestmark = [pytest.mark.row("O5"), pytest.mark.row("O6")]

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy/container/Containerfile"
DEBIAN, IMAGE = "localhost/debian:12-slim", "localhost/bailee:tried"
MIRROR = "http://deb.debian.org/debian"
WITH = "python3,python3-venv,git,ca-certificates"
WITHOUT = ("doc", "locale", "man")  # of what is shared: Debian leaves these out of its image, too
PROGRAMS = ("podman", "buildah", "runc", "mmdebstrap")
# It is told of no daemon's groups.
PODMAN = ("--runtime", "runc", "--cgroup-manager", "cgroupfs")
USER = 10001
LONG = 900  # seconds that a build may take on a machine that does much else


@dataclass
class Containers:
    """Podman with a store of the tests' own."""

    store: Path
    state: Path  # podman takes one of fifty characters at the most

    def run(self, program: str, *arguments: str, check: bool = True) -> str:
        """What one of the programs says."""
        done = subprocess.run(
            self._words(program, *arguments),
            check=False, capture_output=True, text=True, timeout=LONG,
        )  # fmt: skip
        if check:
            assert 0 == done.returncode, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    def podman(self, *arguments: str, check: bool = True) -> str:
        """Podman itself."""
        return self.run("podman", *PODMAN, *arguments, check=check)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same, while it runs; it says and ends as what runs in its container."""
        return subprocess.Popen(
            self._words("podman", *PODMAN, *arguments),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def _words(self, program: str, *arguments: str) -> list[str]:
        where = ("--root", str(self.store / "root"), "--runroot", str(self.state))
        return [program, *where, "--storage-driver", "overlay", *arguments]


def made(containers: Containers) -> None:
    """The image, from its file; what it is made from is Debian as its archive has it."""
    base, folder = containers.store / "debian.tar", containers.store / "temporary"
    folder.mkdir()
    done = subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={WITH}",
         *(f"--dpkgopt=path-exclude=/usr/share/{one}/*" for one in WITHOUT),
         '--aptopt=Acquire::Languages "none"', "bookworm", str(base), MIRROR],
        check=False, timeout=LONG, capture_output=True, text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr[-4000:]
    containers.podman("import", "--quiet", str(base), DEBIAN)
    base.unlink()
    asked = [sys.executable, "-m", "uv", "cache", "dir"]
    cache = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    Path(cache).mkdir(parents=True, exist_ok=True)
    # What this machine trusts, and what it has fetched.
    seen = ["--volume", "/etc/ssl/certs:/etc/ssl/certs:ro", "--volume", f"{cache}:/root/.cache/uv"]
    containers.run(
        "buildah", "bud", "--quiet", "--isolation", "chroot", "--tag", IMAGE, *seen,
        "--build-arg", f"BASE={DEBIAN}", "--build-arg", "COMPILED=0",
        "--file", str(FILE), str(ROOT),
    )  # fmt: skip


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """With the image in their store."""
    lacking = [one for one in PROGRAMS if shutil.which(one) is None]
    if lacking or os.geteuid():
        pytest.skip(f"needs {', '.join(lacking) or 'root'} to build and run containers")
    with tempfile.TemporaryDirectory(prefix="c-", dir="/tmp", ignore_cleanup_errors=True) as state:
        containers = Containers(tmp_path_factory.mktemp("containers"), Path(state))
        made(containers)
        yield containers
        containers.podman("rm", "--all", "--force", "--time", "0", check=False)
        containers.podman("rmi", "--all", "--force", check=False)


class Running:
    """A container with a server, closed as the deployment files close it, in front of a model."""

    def __init__(self, containers: Containers, volume: Path, model: str) -> None:
        self._containers = containers
        self._name = f"bailee-{volume.name}"
        listen = [f"BAILEE_{one}_LISTEN=127.0.0.1:0" for one in ("GATEWAY", "CONSOLE", "INGEST")]
        self._process = containers.start(
            "run", "--rm", "--name", self._name, "--read-only", "--cap-drop", "all",
            "--security-opt", "no-new-privileges", "--ulimit", "nofile=4096:4096",
            "--ulimit", "nproc=1000:1000", "--network", "host",
            "--volume", f"{volume}:/var/lib/bailee",
            *(part for one in listen for part in ("--env", one)),
            "--env", "BAILEE_HEALTH_LISTEN=off",
            IMAGE, "up", "--json", "--upstream", model,
        )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._process.communicate(timeout=LONG)[1]
        self.ready: dict[str, Any] = json.loads(line)

    def within(self, *command: str) -> str:
        """What a command says in it."""
        return self._containers.podman("exec", self._name, *command)

    def changed(self) -> list[str]:
        """What is another thing in its root file system than in the image."""
        return self._containers.podman("diff", self._name).split("\n")

    def stop(self) -> int:
        """As a cluster stops it; its exit status."""
        self._containers.podman("stop", "--time", "60", self._name)
        self._process.communicate(timeout=LONG)
        return self._process.returncode


@pytest.mark.parametrize("group", [False, True], ids=["of its user", "of its group"])
def test_it_serves_without_root_and_keeps_its_home(
    containers: Containers, tmp_path: Path, group: bool
) -> None:
    """A volume of its user's, and one that a cluster gave to its group: an exchange is held, and is
    there after the container was made anew. Nothing is written but in the volume.
    """
    volume = tmp_path / f"volume-{int(group)}"
    volume.mkdir()
    os.chown(volume, 0 if group else USER, USER)
    volume.chmod(0o2775 if group else 0o700)
    with ScriptedUpstream([Text("Good day.")], tools_only=False) as model:
        running = Running(containers, volume, model.url)
        message(running.ready, "from a container")
        status = running.within("cat", "/proc/1/status")
        assert ["Uid:", *[str(USER)] * 4] == next(
            one.split() for one in status.splitlines() if one.startswith("Uid:")
        )
        assert "CapEff:\t0000000000000000" in status
        assert "CapBnd:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        running.within("sh", "-c", "! touch /x && ! touch /opt/bailee/x")
        assert not [one for one in running.changed() if "/opt" in one or "/usr" in one]
        assert 0 == running.stop()

        again = Running(containers, volume, model.url)
        assert 1 == len(json.loads(again.within("bailee", "sessions", "list", "--json")))
        assert 0 == again.stop()
    assert {USER} == {one.stat().st_uid for one in (volume / "home").rglob("*")}
