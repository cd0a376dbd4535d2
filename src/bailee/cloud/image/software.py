"""The layers above Debian: Python and npm packages, and bailee itself with the guest's agent.

bailee lies in a virtual environment of its own, `/opt/bailee`, with what `bailee code` needs. What
is named with `pypi:` and `npm:` is for everybody: `/usr/local`. Only wheels are taken, and no
package's script is run, so that nothing of them runs on the machine that builds.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import bailee
from bailee.cloud.image.debian import require
from bailee.cloud.image.tree import PYTHON, compile_python, python
from bailee.errors import InputError

SOURCE: Final = Path(bailee.__file__).parent
_SITE: Final = f"opt/bailee/lib/{PYTHON}/site-packages"
_SHARED: Final = f"usr/local/lib/{PYTHON}/dist-packages"
_AGENT: Final = "opt/bailee-guest"
# What the guest runs: the agent, and the files that it and the host have in common.
_AGENT_FILES: Final = ("cloud/ports.py", "cloud/channel/*.py", "cloud/guest/*.py")
_PACKAGES: Final = ("", "cloud", "cloud/channel", "cloud/guest")
_PLATFORM: Final = "linux-x64"
_LEFT_OUT: Final = re.compile(r"/(__pycache__|testing)(/|$)")


def requirements() -> list[str]:
    """What `bailee code` needs, as this installation of bailee says."""
    found = []
    for line in metadata.requires("bailee") or []:
        requirement, _, marker = line.partition(";")
        if not marker or re.fullmatch(r"""\s*extra\s*==\s*['"]agent['"]\s*""", marker):
            found.append(requirement.strip())
    return sorted(found)


def source_digest() -> str:
    """A digest of all that `write_bailee` writes."""
    whole = hashlib.sha256(bailee.__version__.encode())
    for path in _source_files():
        whole.update(f"\0{path.relative_to(SOURCE)}\0".encode() + path.read_bytes())
    return whole.hexdigest()


def write_python(
    tree: Path, layer: Path, pypi: Sequence[str], *, required: Sequence[str]
) -> dict[str, str]:
    """Install what bailee needs, and `pypi`; gives the versions."""
    site, shared = layer / _SITE, layer / _SHARED
    _install(tree, site, required)
    _move_programs(site / "bin", layer / "opt/bailee/bin", "/opt/bailee/bin/python")
    if pypi:
        _install(tree, shared, pypi)
        _move_programs(shared / "bin", layer / "usr/local/bin", "/usr/bin/python3")
    for folder in (site, shared):
        if folder.exists():
            compile_python(tree, folder, layer)
    return {
        found.group(1): found.group(2)
        for path in sorted([*site.glob("*.dist-info"), *shared.glob("*.dist-info")])
        if (found := re.fullmatch(r"(.+)-([^-]+)\.dist-info", path.name))
    }


def write_npm(layer: Path, names: Sequence[str]) -> dict[str, str]:
    """Install npm packages into `/usr/local`; gives the versions."""
    if not names:
        return {}
    require(["npm"])
    done = subprocess.run(  # noqa: S603
        [  # noqa: S607
            "npm",
            "install",
            "--global",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--prefix",
            layer / "usr/local",
            *names,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise InputError(
            f"npm could not install {' '.join(names)}.",
            hint=_last_line(done.stderr) or "see that the registry can be reached",
        )
    modules = layer / "usr/local/lib/node_modules"
    (modules / ".package-lock.json").unlink(missing_ok=True)
    found = {}
    for path in sorted([*modules.glob("*/package.json"), *modules.glob("@*/*/package.json")]):
        package = json.loads(path.read_text())
        found[package["name"]] = package["version"]
        _link_native(layer / "usr/local/bin", path.parent, package)
    return found


def _link_native(programs: Path, folder: Path, package: Mapping[str, object]) -> None:
    """Let a package's commands be its native programs, where what it has in their place is no
    program: some leave it to an install script, which does not run here, to put them there. They
    lie in the dependency that is named for the platform.
    """
    name, commands = package["name"], package.get("bin")
    native = folder / "node_modules" / f"{name}-{_PLATFORM}"
    if not isinstance(commands, dict):
        return
    for command, where in commands.items():
        held, program = folder / where, native / command
        if _starts(program, b"\x7fELF") and not _starts(held, b"\x7fELF", b"#!"):
            link = programs / command
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(program, programs))


def _starts(path: Path, *beginnings: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4).startswith(beginnings)
    except OSError:
        return False


def write_bailee(tree: Path, layer: Path) -> None:
    """Write bailee itself, its command, and the guest's agent."""
    site = layer / _SITE
    for path in _source_files():
        target = site / "bailee" / path.relative_to(SOURCE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    information = site / f"bailee-{bailee.__version__}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: bailee\nVersion: {bailee.__version__}\n"
    )
    programs = layer / "opt/bailee/bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to("/usr/bin/python3")
    (layer / "opt/bailee/pyvenv.cfg").write_text(
        "home = /usr/bin\ninclude-system-site-packages = false\n"
    )
    _program(programs / "bailee", "/opt/bailee/bin/python", "bailee.__main__", "main")
    (layer / "usr/local/bin").mkdir(parents=True)
    (layer / "usr/local/bin/bailee").symlink_to("/opt/bailee/bin/bailee")
    agent = layer / _AGENT / "bailee"
    for name in _PACKAGES:
        (agent / name).mkdir(parents=True, exist_ok=True)
        (agent / name / "__init__.py").touch()
    for pattern in _AGENT_FILES:
        for path in sorted(SOURCE.glob(pattern)):
            shutil.copyfile(path, agent / path.relative_to(SOURCE))
    compile_python(tree, layer / "opt", layer)


def _source_files() -> list[Path]:
    return sorted(
        path
        for path in SOURCE.rglob("*")
        if path.is_file() and not _LEFT_OUT.search(f"/{path.relative_to(SOURCE)}")
    )


def _install(tree: Path, target: Path, names: Sequence[str]) -> None:
    done = python(
        tree,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--no-warn-script-location",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
        "--target",
        target,
        *names,
    )
    if done.returncode != 0:
        raise InputError(
            f"pip could not install {' '.join(names)}.",
            hint=_last_line(done.stderr) or "see that the package index can be reached",
        )
    for path in target.glob("*.dist-info/direct_url.json"):
        path.unlink()
    for path in target.glob("*.dist-info/RECORD"):
        # Programs are moved, and written anew: their lines hold a digest of this machine's paths.
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith("../../bin/")))


def _move_programs(source: Path, target: Path, interpreter: str) -> None:
    """Programs that pip wrote name the Python that ran pip: here it is the guest's."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.glob("*")):
        data = path.read_bytes()
        if data.startswith(b"#!"):
            data = f"#!{interpreter}\n".encode() + data.partition(b"\n")[2]
        (target / path.name).write_bytes(data)
        (target / path.name).chmod(0o755)
    shutil.rmtree(source, ignore_errors=True)


def _program(path: Path, interpreter: str, module: str, function: str) -> None:
    path.write_text(
        f"#!{interpreter}\nimport sys\n\n"
        f"from {module} import {function}\n\nsys.exit({function}())\n"
    )
    path.chmod(0o755)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if "error" in line.lower()]
    return lines[-1][:300] if lines else ""
