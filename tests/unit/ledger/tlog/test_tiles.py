"""Tiles and bundles: their paths, what a growth writes, and that nothing is believed unverified."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bailee.errors import InputError, IntegrityError
from bailee.ledger.tlog import tiles, tree
from bailee.ledger.tlog.tiles import ENTRIES, Tile, Tiles

ENTRY_COUNT = 66_000  # two full tiles and a partial one at level 1, one partial at level 2
DATA = [n.to_bytes(3, "big") for n in range(ENTRY_COUNT)]
HASHES = [tree.leaf_hash(one) for one in DATA]


class Files(dict[str, bytes]):
    """A log as a folder of files, grown and read as whoever keeps one does."""

    def fetch(self, wanted: Sequence[Tile]) -> list[bytes]:
        """The files of tiles, by their paths."""
        return [self[one.path] for one in wanted]

    def grow(self, old: int, new: int) -> None:
        """Write what a growth writes, and check that it is what `grown` announced."""
        _, came = tree.Frontier().grown(HASHES[:old]).grown_by(HASHES[old:new])
        files = {
            **dict(tiles.bundled(old, DATA[old:new], self.fetch)),
            **dict(tiles.written(old, came, self.fetch)),
        }
        assert sorted(tiles.grown(old, new)) == sorted(files)
        self.update({tile.path: data for tile, data in files.items()})


def made(*sizes: int) -> Files:
    """A log that grew to these sizes."""
    files = Files()
    for old, new in zip((0, *sizes), sizes, strict=False):
        files.grow(old, new)
    return files


@pytest.fixture(scope="module")
def large() -> Files:
    """A log of three levels."""
    return made(300, 65_000, ENTRY_COUNT)


def test_paths_are_those_of_the_specification() -> None:
    """The specification's own example, and its tree of 70,000 entries."""
    assert "tile/3/x001/x234/067" == Tile(3, 1_234_067).path
    assert "tile/entries/000.p/7" == Tile(ENTRIES, 0, 7).path
    found = [list(tiles.of(level, 70_000)) for level in range(4)]
    assert [273 + 1, 2, 1, 0] == [len(one) for one in found]
    assert [112, 17, 1] == [one[-1].width for one in found[:3]]
    assert [Tile(0, 0), Tile(1, 0, 1)] == [one for n in (0, 1) for one in tiles.of(n, 256)]


@given(
    st.builds(Tile, st.integers(ENTRIES, 63), st.integers(0, 2**63), st.integers(1, 256)),
    st.integers(0, 30),
    st.sampled_from(["0", "x", "/", ".p/0", ".p/256", "\n", "x000/", "٣", "-1", ""]),
)
def test_a_path_has_one_form(tile: Tile, place: int, change: str) -> None:
    """A path leads back to its tile, and whatever leads to a tile is that tile's path."""
    assert tile == tiles.at(tile.path)
    changed = tile.path[:place] + change + tile.path[place:]
    try:
        assert changed == tiles.at(changed).path
    except InputError as refused:
        assert refused.hint


@given(st.lists(st.integers(0, 1500), min_size=1, max_size=5).map(sorted))
@settings(max_examples=30)
def test_the_files_are_the_same_however_the_log_grew(sizes: list[int]) -> None:
    """Batches leave the files of one growth, and partial ones that nobody needs once full."""
    grown, once, size = made(*sizes), made(sizes[-1]), sizes[-1]

    assert once == {path: grown[path] for path in once}
    assert all(".p/" in path for path in grown.keys() - once.keys())
    full = tuple(f"{tile.partials}/" for tile in map(tiles.at, once) if tile.width == 256)
    rest = Files({path: data for path, data in grown.items() if not path.startswith(full)})
    log = Tiles(size, tree.root(HASHES[:size]), rest.fetch)
    assert DATA[:size] == [one for n in range(-(-size // 256)) for one in log.entries(n)]


def test_proofs_are_read_through_tiles(large: Files) -> None:
    """Inclusion and consistency, at the checkpoint's size and at earlier ones, from tiles alone."""
    root = tree.root(HASHES)
    read = Tiles(ENTRY_COUNT, root, large.fetch).hashes

    for index in (0, 255, 256, 65_535, 65_536, ENTRY_COUNT - 1):
        proof = tree.inclusion(index, ENTRY_COUNT, read)
        tree.verify_inclusion(HASHES[index], index, ENTRY_COUNT, proof, root)
    for old in (1, 255, 256, 300, 65_000, 65_536, ENTRY_COUNT):
        earlier = tree.frontier(old, read).root()
        assert tree.root(HASHES[:old]) == earlier
        proof = tree.consistency(old, ENTRY_COUNT, read)
        tree.verify_consistency(old, ENTRY_COUNT, proof, earlier, root)


def test_entries_are_read_through_tiles(large: Files) -> None:
    """Every bundle gives its entries, the partial one too."""
    log = Tiles(ENTRY_COUNT, tree.root(HASHES), large.fetch)
    assert DATA == [one for n in range(-(-ENTRY_COUNT // 256)) for one in log.entries(n)]


NEEDED = [
    *(f"tile/{level}" for level in ("entries/000", "0/000", "0/255", "1/000", "2/000.p/1")),
    *("tile/1/001.p/1", "tile/0/257.p/208", "tile/entries/257.p/208"),
]


@pytest.mark.parametrize("path", NEEDED)
@pytest.mark.parametrize("how", ["flip first", "flip last", "cut", "lengthen", "empty"])
def test_a_changed_file_is_refused_by_name(large: Files, path: str, how: str) -> None:
    """A bit in any kind of file, a hash too few or too many: whoever needs it sees which it is."""
    data = large[path]
    flips = {"flip first": 0, "flip last": -1}
    changed = bytearray(data)
    if how in flips:
        changed[flips[how]] ^= 1
    else:
        changed = {"cut": changed[:-32], "lengthen": changed + data[-32:], "empty": bytearray()}[
            how
        ]
    files = Files({**large, path: bytes(changed)})
    log = Tiles(ENTRY_COUNT, tree.root(HASHES), files.fetch)

    with pytest.raises(IntegrityError) as refused:
        for number in (0, 255, 257):
            log.entries(number)
    assert path in refused.value.message


def test_another_root_is_refused(large: Files) -> None:
    """The files of one log do not pass for those of another checkpoint, nor do none for some."""
    for size, root in ((ENTRY_COUNT, HASHES[0]), (0, HASHES[0])):
        with pytest.raises(IntegrityError):
            Tiles(size, root, large.fetch).hashes([])


def test_what_is_not_there_is_not_asked_for(large: Files) -> None:
    """A node or bundle beyond the log is the asker's mistake, and an entry that is too long."""
    log = Tiles(ENTRY_COUNT, tree.root(HASHES), large.fetch)
    with pytest.raises(InputError):
        log.hashes([tree.TreeNode(17, 0)])
    with pytest.raises(InputError):
        log.entries(258)
    with pytest.raises(InputError):
        list(tiles.bundled(0, [bytes(65_536)], large.fetch))


@given(st.binary(max_size=700), st.integers(0, 256))
def test_bytes_that_are_no_bundle_are_refused(data: bytes, width: int) -> None:
    """Whatever the bytes, they are so many entries or are refused by name."""
    try:
        found = tiles.unbundled(data, width)
    except IntegrityError:
        return
    assert width == len(found)
    assert data == b"".join(len(one).to_bytes(2, "big") + one for one in found)
