"""The log as anyone may follow it: checkpoint, tiles and bundles, as C2SP tlog-tiles says.

Rules kept here:

* They are hashes and commitments: they name nobody and hold nothing, so nobody is asked who they
  are. There is no list of them.
* Only a path that is a tile's in its one form is looked for; a tile has 8,704 bytes at most.
* A tile never changes, and may be kept for ever by whoever fetched it; the checkpoint is new each
  time. Beside it is the latest one that enough witnesses have cosigned.

Rows: P4.
"""

from __future__ import annotations

from starlette.responses import Response

from bailee.console.asking import Ask
from bailee.console.parts import Parts
from bailee.errors import InputError
from bailee.ledger.folder import CHECKPOINT, WITNESSED
from bailee.ledger.tlog import tiles

_FOR_GOOD = {"cache-control": "public, max-age=31536000, immutable"}


class LedgerPages:
    """The handlers of the log's files, each of which takes an `Ask`. The prefix of the log is
    `/ledger`. The site calls them on its worker threads, several at once. It reads files that are
    public, and nothing else.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def checkpoint(self, _ask: Ask) -> Response:
        """The latest checkpoint, a signed note."""
        return self._note(CHECKPOINT)

    def witnessed(self, _ask: Ask) -> Response:
        """The latest checkpoint that a quorum of the witnesses has cosigned."""
        return self._note(WITNESSED)

    def _note(self, name: str) -> Response:
        note = self._parts.node.sequencer.folder.read(name)
        if note is None:
            raise _absent()
        return Response(note, media_type="text/plain")

    def tile(self, ask: Ask) -> Response:
        """A tile or a bundle of entries."""
        try:
            tile = tiles.at(ask.path["tile"])
        except InputError:
            raise _absent() from None
        content = self._parts.node.sequencer.folder.read(tile.path)
        if content is None:
            raise _absent()
        return Response(content, media_type="application/octet-stream", headers=_FOR_GOOD)


def _absent() -> InputError:
    return InputError("the log has no such file.", code="not_found")
