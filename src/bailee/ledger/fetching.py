"""A log's files over HTTP (C2SP tlog-tiles), for whoever checks a log that somebody else serves.

Rules kept here:

* Nothing that was fetched is believed here: who checks does that, as with files in a folder.
* An answer has a largest size and a time; a redirect is not followed.
* What was fetched a moment ago is not fetched again: a tile never changes.

Rows: P4.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from bailee.errors import InputError, StorageError
from bailee.ledger.folder import ENTRY_BYTES, tile_from
from bailee.ledger.tlog import notes, tiles
from bailee.ledger.tlog.tiles import WIDTH, Tile
from bailee.outbound.network import Network

if TYPE_CHECKING:
    import httpx2

_SILENT: Final = 20.0
_SECONDS: Final = 60.0
_TRIES: Final = 2
_KEPT: Final = 1024  # tiles, nine megabytes


class RemoteLog:
    """The files under a log's prefix, as `LogFiles`. Made for one check, and used by one thread;
    `close` it.
    """

    def __init__(self, prefix: str, network: Network | None = None) -> None:
        """Raises:
        InputError: code `configuration`; the address is none, or of plain HTTP to elsewhere.
        """
        self._prefix = prefix.rstrip("/")
        self._client = (network or Network.of()).client(self._prefix, "--from", _SILENT)
        self._tiles: OrderedDict[str, bytes] = OrderedDict()

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def read(self, name: str) -> bytes | None:
        """A file; None: there is none.

        Raises:
            StorageError: it can't be had.
        """
        if (kept := self._tiles.get(name)) is not None:
            self._tiles.move_to_end(name)
            return kept
        try:
            tiles.at(name)
        except InputError:
            return self._fetched(name, notes.MOST_BYTES)
        found = self._fetched(name, WIDTH * ENTRY_BYTES)
        if found is not None:
            self._tiles[name] = found
            if len(self._tiles) > _KEPT:
                self._tiles.popitem(last=False)
        return found

    def fetch(self, wanted: Sequence[Tile]) -> list[bytes]:
        """Tiles and bundles, in the order asked (`tlog.tiles.Fetch`).

        Raises:
            IntegrityError: one is not there; it is named.
            StorageError: one can't be had.
        """
        return [tile_from(self.read, one) for one in wanted]

    def names(self) -> Iterable[str]:
        """None: a log that is served has no list of its files."""
        return ()

    def _fetched(self, name: str, largest: int) -> bytes | None:
        import httpx2

        for left in reversed(range(_TRIES)):
            try:
                with self._client.stream("GET", f"{self._prefix}/{name}") as answer:
                    return self._whole(name, answer, largest)
            except httpx2.HTTPError as error:
                if not left:
                    raise _failed(name, type(error).__name__) from None
        raise AssertionError

    def _whole(self, name: str, answer: httpx2.Response, largest: int) -> bytes | None:
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise _failed(name, f"status {answer.status_code}")
        content, end = b"", time.monotonic() + _SECONDS
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > largest:
                raise _failed(name, f"it has over {largest} bytes")
            if time.monotonic() > end:
                raise _failed(name, "it takes too long")
        return content


def _failed(name: str, why: str) -> StorageError:
    return StorageError(
        f"the log's {name} can't be fetched ({why}).",
        hint="check the address, which is that of the log's prefix, as https://…/ledger",
    )
