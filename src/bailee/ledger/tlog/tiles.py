"""A log as files that anyone can fetch: tiles of hashes, bundles of entries (C2SP tlog-tiles).

Pure.

Rules kept here:

* A tile is up to 256 hashes beside each other, of whole nodes at the height of `8 * level`. A full
  one never changes; a partial one, at the log's right edge, is another file at each width.
* Nothing that was fetched is believed before it leads to the checkpoint's root: a full tile by its
  hash in the tile above, the partial ones together by the root, an entry by its leaf hash.
* What is refused is named by its path.

Whoever grows a log writes what `written` and `bundled` give before the checkpoint; what lies under
`Tile.partials` of a full tile may then go.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from bailee.errors import InputError, IntegrityError
from bailee.ledger.tlog.tree import HASH_SIZE, MOST_LEAVES, Frontier, TreeNode, leaf_hash, refused

WIDTH: Final = 256
HEIGHT: Final = 8
ENTRIES: Final = -1
"""The `level` of a bundle: entries in place of their hashes."""
MOST_ENTRY_BYTES: Final = 65_535
_KEPT: Final = 64
_PATH: Final = re.compile(
    r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?"
)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """A tile or bundle: which of its level it is, and how many hashes or entries it has."""

    level: int
    number: int
    width: int = WIDTH

    @property
    def full_path(self) -> str:
        """Where it lies once it is full, under the log's prefix."""
        number = f"{self.number % 1000:03d}"
        rest = self.number // 1000
        while rest:
            number, rest = f"x{rest % 1000:03d}/{number}", rest // 1000
        return f"tile/{'entries' if self.level == ENTRIES else self.level}/{number}"

    @property
    def partials(self) -> str:
        """The folder of its partial forms."""
        return f"{self.full_path}.p"

    @property
    def path(self) -> str:
        """Where it lies, under the log's prefix."""
        return self.full_path if self.width == WIDTH else f"{self.partials}/{self.width}"


Fetch = Callable[[Sequence[Tile]], Sequence[bytes]]
"""The bytes of tiles and bundles, in the order asked. Who finds a full one where a partial one was
asked for cuts it to the width."""


def at(path: str) -> Tile:
    """The tile or bundle whose path this is.

    Raises:
        InputError: the path is not one, or not in the one form that it has.
    """
    if match := _PATH.fullmatch(path):
        level, number, width = match.groups()
        tile = Tile(
            ENTRIES if level == "entries" else int(level),
            int(re.sub("[x/]", "", number)),
            int(width or WIDTH),
        )
        if tile.path == path and 0 < tile.width <= WIDTH:
            return tile
    raise InputError(
        "this is no path of a tile.", hint="they are tile/<level>/<number>, with .p/<width>"
    )


def of(level: int, size: int, start: int = 0) -> Iterator[Tile]:
    """The tiles at a level (or `ENTRIES`) of a log of `size`, from that with hash `start` on."""
    there = size >> HEIGHT * max(level, 0)
    for number in range(start // WIDTH, -(-there // WIDTH)):
        yield Tile(level, number, min(WIDTH, there - number * WIDTH))


def grown(old: int, new: int) -> Iterator[Tile]:
    """The tiles and bundles that are written when a log grows from one size to another."""
    for level in range(ENTRIES, -(-MOST_LEAVES.bit_length() // HEIGHT)):
        before, after = (size >> HEIGHT * max(level, 0) for size in (old, new))
        if before != after:
            yield from of(level, new, before)


def written(
    old: int, came: Sequence[Sequence[bytes]], fetch: Fetch
) -> Iterator[tuple[Tile, bytes]]:
    """The tiles of a log of size `old` that grew, with their bytes.

    `came`: the nodes that came, by their level (`tree.Frontier.grown_by`). `fetch`: the log's own
    partial tiles, of size `old`. They are not verified.
    """
    for level, nodes in enumerate(came[::HEIGHT]):
        if not nodes:
            return
        before = old >> HEIGHT * level
        new = before + len(nodes)
        head = b""
        if width := before % WIDTH:
            (head,) = fetch([Tile(level, before // WIDTH, width)])
        for number in range(before // WIDTH, -(-new // WIDTH)):
            start, end = number * WIDTH, min((number + 1) * WIDTH, new)
            beside = nodes[max(start, before) - before : end - before]
            yield Tile(level, number, end - start), head + b"".join(beside)
            head = b""


def bundled(old: int, entries: Sequence[bytes], fetch: Fetch) -> Iterator[tuple[Tile, bytes]]:
    """The bundles of a log of size `old` that grew by entries, with their bytes.

    `fetch`: the log's own partial bundle, of size `old`. It is not verified.

    Raises:
        InputError: an entry is too long.
    """
    lengths = {*map(len, entries)}
    if any(one > MOST_ENTRY_BYTES for one in lengths):
        raise InputError("an entry is over 65,535 bytes.", hint="put a commitment in the log")
    heads = {one: one.to_bytes(2, "big") for one in lengths}
    packed = [heads[len(one)] + one for one in entries]
    width = old % WIDTH
    head = fetch([Tile(ENTRIES, old // WIDTH, width)])[0] if width else b""
    for tile in of(ENTRIES, old + len(entries), old) if entries else ():
        start = tile.number * WIDTH
        yield tile, head + b"".join(packed[max(start, old) - old : start + tile.width - old])
        head = b""


def unbundled(data: bytes, width: int) -> list[bytes]:
    """The entries of a bundle.

    Raises:
        IntegrityError: the bytes are not those of `width` entries.
    """
    found, place = [], 0
    for _ in range(width):
        start = place + 2
        place = start + int.from_bytes(data[place:start], "big")
        found.append(data[start:place])
    if place != len(data):
        raise refused("a bundle does not hold the entries that it must.")
    return found


_Place = tuple[int, int]
_Rows = list[list[bytes]]


class Tiles:
    """The hashes and entries of a log at one checkpoint, each verified before it is given.

    Made by whoever follows or audits a log, for one thread. Keeps the last tiles that it verified
    (two megabytes). It fetches by the caller's `fetch` alone, and all that one call needs at once
    (levels above included). `hashes` is a `tree.Read`, for proofs.
    """

    def __init__(self, size: int, root_hash: bytes, fetch: Fetch) -> None:
        self._size, self._root, self._fetch = size, root_hash, fetch
        self._edge: dict[_Place, _Rows] | None = None
        self._known: dict[_Place, _Rows] = {}

    def hashes(self, nodes: Sequence[TreeNode]) -> list[bytes]:
        """The hashes of whole nodes, in the order asked.

        Raises:
            InputError: the log has no such node.
            IntegrityError: a tile is not the log's.
        """
        places = []
        for level, number in nodes:
            if not 0 <= level < 64 or not 0 <= number < self._size >> level:
                raise InputError("the log has no such node.", hint="ask within its size")
            tile_level, within = divmod(level, HEIGHT)
            tile, place = divmod(number << within, WIDTH)
            places.append((tile_level, tile, within, place >> within))
        known = self._verified([(level, tile) for level, tile, _, _ in places])
        return [known[level, tile][within][place] for level, tile, within, place in places]

    def entries(self, number: int) -> list[bytes]:
        """The entries of bundle `number`.

        Raises:
            InputError: the log has no such bundle.
            IntegrityError: a tile is not the log's, or an entry is not; it names which.
        """
        start = number * WIDTH
        if not 0 <= start < self._size:
            raise InputError("the log has no such bundle.", hint="ask within its size")
        tile = Tile(ENTRIES, number, min(WIDTH, self._size - start))
        hashes = self._verified([(0, number)])[0, number][0]
        try:
            found = unbundled(self._fetch([tile])[0], tile.width)
        except IntegrityError as error:
            raise refused(f"{tile.path}: {error.message}") from None
        for place, (entry, expected) in enumerate(zip(found, hashes, strict=True)):
            if leaf_hash(entry) != expected:
                raise refused(f"{tile.path}: entry {start + place} is not the one in the log.")
        return found

    def _verified(self, wanted: Iterable[_Place]) -> Mapping[_Place, _Rows]:
        """The tiles that are wanted, and whatever was needed to verify them."""
        known, missing = {**self._right_edge()}, set[_Place]()
        for place in wanted:
            needed = place
            while needed not in known and needed not in missing:
                if (rows := self._known.pop(needed, None)) is not None:
                    known[needed] = self._known[needed] = rows  # now the last to be let go
                else:
                    missing.add(needed)
                    needed = needed[0] + 1, needed[1] // WIDTH
        tiles = [Tile(*place) for place in sorted(missing, reverse=True)]
        for tile, data in zip(tiles, self._fetch(tiles) if tiles else (), strict=True):
            rows = _rows(tile, data)
            if (
                rows[HEIGHT][0]
                != known[tile.level + 1, tile.number // WIDTH][0][tile.number % WIDTH]
            ):
                raise refused(f"{tile.path} is not the one in the log.")
            known[tile.level, tile.number] = self._known[tile.level, tile.number] = rows
        for place in [*self._known][:-_KEPT]:
            del self._known[place]
        return known

    def _right_edge(self) -> Mapping[_Place, _Rows]:
        """The partial tiles: the whole nodes in them are the log's edge, which gives the root."""
        if self._edge is None:
            tiles = [
                Tile(level, there // WIDTH, there % WIDTH)
                for level in range(HEIGHT)
                if (there := self._size >> HEIGHT * level) % WIDTH
            ]
            fetched = self._fetch(tiles) if tiles else ()
            rows = [_rows(tile, data) for tile, data in zip(tiles, fetched, strict=True)]
            edge = [
                of_tile[height][(tile.width >> height) - 1]
                for tile, of_tile in zip(tiles[::-1], rows[::-1], strict=True)
                for height in reversed(range(HEIGHT))
                if tile.width >> height & 1
            ]
            if Frontier(self._size, tuple(edge)).root() != self._root:
                named = ", ".join(tile.path for tile in tiles) or "an empty log"
                raise refused(f"the checkpoint's root is not that of {named}.")
            self._edge = {(t.level, t.number): of for t, of in zip(tiles, rows, strict=True)}
        return self._edge


def _rows(tile: Tile, data: bytes) -> _Rows:
    """The hashes of a tile, and above them those of the whole nodes over them."""
    if len(data) != tile.width * HASH_SIZE:
        raise refused(f"{tile.path} does not hold {tile.width} hashes.")
    rows = [_hashes(data)]
    for _ in range(HEIGHT):
        below = rows[-1]
        pairs = zip(below[::2], below[1::2], strict=False)  # an odd one at the end is in no pair
        rows.append([sha256(b"\x01" + left + right).digest() for left, right in pairs])
    return rows


def _hashes(data: bytes) -> list[bytes]:
    return [*struct.unpack(f"{HASH_SIZE}s" * (len(data) // HASH_SIZE), data)]
