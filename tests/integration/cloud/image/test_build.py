"""An image, built by the command as a process without any privilege, again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support.machines.emulated import IMAGES, extra, image
from support.servers.short_index import short_index

pytestmark = pytest.mark.row("C1")


PRIVILEGES = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`bailee cloud image`, as a process that has no capability and can't get one, root or not."""
    words: list[str | Path] = [sys.executable, "-m", "bailee", "cloud", "image", *arguments]
    if os.geteuid() == 0 and (setpriv := shutil.which("setpriv")):
        words = [setpriv, *PRIVILEGES, *words]
    whole = {**os.environ, **environment}
    return subprocess.run(words, capture_output=True, text=True, check=False, env=whole)


def linked(source: str, target: str) -> None:
    """The same file, or a copy where the two places are on different file systems."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def content(layer: Path) -> list[str]:
    """A line for each file of a layer, with a digest of what is in it."""
    listed = subprocess.run(
        ["unsquashfs", "-lln", layer], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["unsquashfs", "-q", "-n", "-f", "-d", folder, layer], check=True, capture_output=True
        )
        read = [
            f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file() and not path.is_symlink()
        ]
    return [*listed, *read]


def test_a_second_build_elsewhere_is_bit_identical(tmp_path: Path) -> None:
    """From nothing but downloaded packages, without privileges: the same image, file by file, under
    the same name; and `list` shows it. Whatever the folders above it are called.
    """
    first = image()
    there = tmp_path / "tests"  # what is called so in an image is left out of what is compiled
    (there / "apt").mkdir(parents=True)
    shutil.copytree(IMAGES / "apt/archives", there / "apt/archives", copy_function=linked)
    named = [word for name in extra() for word in ("--with", name)]
    versions = tmp_path / "versions"  # a package that is published in between is not asked for
    pypi = first.manifest["packages"]["pypi"]
    versions.write_text("".join(f"{name}=={version}\n" for name, version in pypi.items()))
    with short_index():
        built = run("build", "--images", there, *named, "--json", PIP_CONSTRAINT=str(versions))
    assert 0 == built.returncode, built.stderr
    listed = run("list", "--images", there, "--json")
    folder = Path(json.loads(built.stdout)["folder"])
    second = json.loads((folder / "manifest.json").read_text())

    assert first.manifest["packages"] == second["packages"]
    for name, digest in first.manifest["files"].items():
        if digest != second["files"][name]:
            assert content(first.folder / name) == content(folder / name)
    assert first.manifest["files"] == second["files"]
    assert first.digest == json.loads(built.stdout)["image"]
    assert [json.loads(built.stdout)] == json.loads(listed.stdout)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no-such-package-anywhere", "Debian has no package no-such-package-anywhere"),
        ("-o=x", "not the name of a package"),
    ],
)
def test_a_package_that_is_none_is_the_caller_s_mistake(name: str, told: str) -> None:
    """It is named, and the exit status says who must act."""
    image()
    done = run("build", "--images", IMAGES, f"--with={name}")

    assert 2 == done.returncode
    assert told in done.stderr
    assert "hint:" in done.stderr


def test_without_the_programs_nothing_is_built(tmp_path: Path) -> None:
    """What is missing is named with its package, and the exit status is that of the hosts."""
    done = run("build", "--images", tmp_path, PATH=str(tmp_path))

    assert 8 == done.returncode
    assert "hint: install apt squashfs-tools tar" in done.stderr
