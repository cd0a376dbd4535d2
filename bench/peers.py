"""What bailee is measured against, fetched by the benchmark that wants it.

Packages of Python are of these versions, and lie in `.cache/peers`, each apart: none is a
dependency. Servers are Debian's, of the version that the system has; who is no root on a Debian is
told what to install. A result names the version that it was measured against.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.result import Unavailable

ROOT: Final = Path(__file__).parent.parent
PINNED: Final = {
    "cedarpy": "cedarpy==4.12.2",
    "regopy": "regopy==1.5.2",
    "litellm": "litellm[proxy]==1.110.2",
    "bugsink": "bugsink==2.6.2",
}
"""Each peer that is a package, as it is installed."""
_DEBIAN: Final = {"nginx": "nginx-light", "wrk": "wrk", "squid": "squid", "taskset": "util-linux"}
_SECONDS: Final = 900


def version(name: str) -> str:
    """A peer's name with its version."""
    return f"{name} {PINNED[name].rpartition('==')[2]}"


def package(name: str) -> Path:
    """A virtual environment that has a peer, installed when it is not there.

    Raises:
        Unavailable: it can't be had.
    """
    wanted = PINNED[name]
    folder = ROOT / ".cache" / "peers" / re.sub(r"[^a-z0-9.]+", "-", wanted)
    if not (folder / "installed").exists():
        print(f"installing {wanted} into {folder.relative_to(ROOT)} (once)", flush=True)
        uv = [sys.executable, "-m", "uv"]
        for command in (
            [*uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)],
            [*uv, "pip", "install", "-q", "--python", str(folder), wanted],
        ):
            try:
                subprocess.run(command, check=True, cwd=ROOT, timeout=_SECONDS)
            except subprocess.SubprocessError:
                raise Unavailable(f"{wanted} can't be installed") from None
        (folder / "installed").touch()
    return folder


def importable(name: str) -> None:
    """Have this process find a peer's modules, behind all that it has.

    Raises:
        Unavailable: it can't be had.
    """
    found = next((package(name) / "lib").glob("python*/site-packages"))
    if str(found) not in sys.path:
        sys.path.append(str(found))


def program(name: str) -> str:
    """The path of a server or tool, installed when it is not there and we may.

    Raises:
        Unavailable: it is not there.
    """
    where = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    found = shutil.which(name, path=where)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing Debian's {_DEBIAN[name]} (once)", flush=True)
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", _DEBIAN[name]]
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(install, check=False, env=quiet, capture_output=True, timeout=_SECONDS)
        found = shutil.which(name, path=where)
    if found is None:
        raise Unavailable(f"{name} is not installed (Debian: {_DEBIAN[name]})")
    return found
