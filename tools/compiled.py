"""The gateway's compiled build: its busiest modules as libraries, made of their source by mypyc.

    python tools/compiled.py FOLDER

copies the package into FOLDER, and compiles it there, each library beside its source. The wheel of
a platform has them (`hatch_build.py`); tests and benchmarks run such a folder as it is. It needs
mypy, setuptools, and a C compiler. Types of other packages are not looked at: what is built is the
same, whatever is installed beside it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
MODULES: Final = (
    "admission/rounds.py",
    "admission/shares.py",
    "apis/metering.py",
    "gateway/carrier.py",
    "gateway/client.py",
    "gateway/client_course.py",
    "gateway/completion.py",
    "gateway/completion_events.py",
    "gateway/deciding.py",
    "gateway/downlink.py",
    "gateway/exchange.py",
    "gateway/handing_over.py",
    "gateway/http1/__init__.py",
    "gateway/http1/bodies.py",
    "gateway/http1/heads.py",
    "gateway/http1/syntax.py",
    "gateway/particulars.py",
    "gateway/reading.py",
    "gateway/recorded_exchange.py",
    "gateway/recording.py",
    "gateway/routes.py",
    "gateway/server.py",
    "gateway/server_sent.py",
    "gateway/summary.py",
    "gateway/uplink.py",
    "gateway/upstream.py",
    "gateway/waiting.py",
    "vault/frames.py",
    "vault/spool.py",
    "vault/spool_writing.py",
)
"""What every exchange goes through, and every class that is made of one of theirs: Python refuses
the others, when one is first made. What is done once, or is mostly tables, is left as it is: it
would take as long to compile, and gain nothing.
"""
QUICK: Final = "quick"  # a value of the variable `BAILEE_COMPILE`
_LIBRARY: Final = "bailee_gateway"
_SOURCES: Final = shutil.ignore_patterns("__pycache__", "*.so")


def compile_into(folder: Path) -> None:
    """Makes `folder`, which must not be there, with the package and its libraries. Runs in a
    process of its own: setuptools and mypyc change the one that they are in.

    Raises:
        subprocess.CalledProcessError: it can't be compiled; why, stands on the standard error.
    """
    shutil.copytree(ROOT / "src", folder, ignore=_SOURCES)
    subprocess.run([sys.executable, __file__, "--in", folder], check=True, stdout=sys.stderr)


@dataclass(frozen=True)
class Build:
    """A wheel of this platform, and the folder that it was unpacked into."""

    wheel: Path
    package: Path


def kept(cache: Path = ROOT / ".cache", *, quick: bool = False) -> Build:
    """The wheel of the source as it is now. It is left in `cache` for the next who asks; one of a
    source that was is removed. `quick`: for tests of what it does: the C compiler makes nothing
    faster and warns of nothing, and mypyc's assertions are checked.

    Raises:
        subprocess.CalledProcessError: it can't be built; why, stands on the standard error.
    """
    kind = "quickly" if quick else "compiled"
    folder = cache / f"{kind}-{sys.implementation.cache_tag}-{_digest()}"
    if not folder.exists():
        for former in cache.glob(f"{kind}-*"):
            shutil.rmtree(former)
        begun = cache / f"{kind}-begun-{os.getpid()}"
        build = ["build", "--quiet", "--wheel", "--python", sys.executable, "--out-dir", str(begun)]
        wanted = {**os.environ, "BAILEE_COMPILE": QUICK if quick else "1"}
        subprocess.run([sys.executable, "-m", "uv", *build], check=True, cwd=ROOT, env=wanted)
        with zipfile.ZipFile(next(begun.glob("*.whl"))) as wheel:
            wheel.extractall(begun / "package")
        begun.rename(folder)
    return Build(next(folder.glob("*.whl")), folder / "package")


def _digest() -> str:
    found = hashlib.sha256()
    for path in (Path(__file__), ROOT / "hatch_build.py", ROOT / "pyproject.toml"):
        found.update(path.read_bytes())
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix != ".pyc" and path.is_file():
            found.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def _compile_here() -> None:
    from mypyc.build import mypycify
    from setuptools import Distribution  # type: ignore[import-untyped]
    from setuptools.command.build_ext import build_ext  # type: ignore[import-untyped]

    began, quick = time.monotonic(), os.environ.get("BAILEE_COMPILE") == QUICK
    modules = [f"bailee/{module}" for module in MODULES]
    options = ["--config-file=", "--no-site-packages", "--ignore-missing-imports"]
    options.append("--cache-dir=.build/types")
    extensions = mypycify(
        [*options, *modules],
        opt_level="0" if quick else "2",
        debug_level="0",
        target_dir=".build",
        group_name=_LIBRARY,
    )
    for extension in extensions if quick else ():
        # Looking for what to warn of is half of a quick compiler's work.
        extension.extra_compile_args += ["-Wno-all", "-w"]
    command = build_ext(Distribution({"name": "bailee", "ext_modules": extensions}))
    command.inplace = True
    command.build_temp = ".build"
    command.ensure_finalized()
    command.run()
    shutil.rmtree(".build")
    print(f"compiled {len(modules)} modules in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in"]:
        os.chdir(sys.argv[2])
        _compile_here()
    else:
        compile_into(Path(sys.argv[1]))
