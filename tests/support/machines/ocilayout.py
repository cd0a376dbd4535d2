"""Makes OCI image layouts, small ones, out of files."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def tar(files: Mapping[str, bytes | str | None]) -> bytes:
    """A tar: bytes are a file's content, text is what a link leads to, None is a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, what in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.uid, entry.gid, entry.mtime = 0o755, 7, 7, 12345
            if what is None:
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
            elif isinstance(what, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, what
                archive.addfile(entry)
            else:
                entry.size = len(what)
                archive.addfile(entry, io.BytesIO(what))
    return out.getvalue()


def layout(folder: Path, layers: Sequence[bytes]) -> Path:
    """A layout with one image of these tars, packed with gzip."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    image = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "config": blob(b"{}", f"{image}.config.v1+json"),
        "layers": [
            blob(gzip.compress(one, mtime=0), f"{image}.layer.v1.tar+gzip") for one in layers
        ],
    }
    index = {"manifests": [blob(json.dumps(manifest).encode(), f"{image}.manifest.v1+json")]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder
