"""npm packages in an image: installed without any script of theirs."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from bailee.cloud.image.software import write_npm


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_a_native_program_stands_where_no_script_has_put_it(tmp_path: Path) -> None:
    """A package that leaves its command to an install script has the command all the same, from
    the dependency for this platform; the script has not run.
    """
    native = tmp_path / "native.tgz"
    _package(
        native,
        {"name": "quince-linux-x64", "version": "1.0.0"},
        {"quince": Path("/bin/true").read_bytes()},
    )
    _package(
        tmp_path / "quince.tgz",
        {
            "name": "quince",
            "version": "1.0.0",
            "bin": {"quince": "bin/quince.exe"},
            "scripts": {"postinstall": f"touch {tmp_path / 'script-ran'}"},
            "optionalDependencies": {"quince-linux-x64": f"file:{native}"},
        },
        {"bin/quince.exe": b"echo the program is not there >&2\n"},
    )
    layer = tmp_path / "layer"

    assert {"quince": "1.0.0"} == write_npm(layer, [str(tmp_path / "quince.tgz")])
    program = layer / "usr/local/bin/quince"
    assert (0, False) == (
        subprocess.run([program], check=False).returncode,
        (tmp_path / "script-ran").exists(),
    )
    assert not Path(program.readlink()).is_absolute()


def _package(path: Path, package: dict[str, object], files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {"package.json": json.dumps(package).encode(), **files}.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
