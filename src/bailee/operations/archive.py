"""A ZIP archive (APPNOTE 6.3) that is streamed: written while it is read, never whole in memory.

It ends with `manifest.json`: the name, size and SHA-256 of each file before it.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime

import orjson


class _Sink:
    """What a ZipFile writes to; holds what was not taken yet. One archive's own, on the thread that
    streams it.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken


def archive(files: Iterable[tuple[str, Iterable[bytes]]], now: datetime) -> Iterator[bytes]:
    """The bytes of an archive of `files`: names and contents, each taken when its turn comes."""
    sink = _Sink()
    manifest: list[dict[str, object]] = []
    stamp = now.timetuple()[:6]
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as made:  # type: ignore[call-overload]
        for name, content in files:
            digest, size = hashlib.sha256(), 0
            with made.open(_entry(name, stamp), "w", force_zip64=True) as file:
                for piece in content:
                    file.write(piece)
                    digest.update(piece)
                    size += len(piece)
                    yield sink.take()
            manifest.append({"name": name, "bytes": size, "sha256": digest.hexdigest()})
            yield sink.take()
        listed = {"made": now.isoformat(), "files": manifest}
        made.writestr(
            _entry("manifest.json", stamp), orjson.dumps(listed, option=orjson.OPT_INDENT_2)
        )
    yield sink.take()


def _entry(name: str, stamp: tuple[int, ...]) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, stamp)  # type: ignore[arg-type]
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    return entry
