"""The log's tree: leaves a second, and what a proof and its verification take at a million leaves.

Pure code alone: no file is written and no database asked, so that what a log costs can be told from
what keeping it costs. By processor time. Of proofs, the median over random places of the least of
ten: what it takes while nobody else is at work on the machine. A proof is made from tiles that are
fetched and verified up to the root for it alone ("cold"), and from those that a reader has verified
before ("warm").
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TypeVar

from bailee.ledger.tlog import tiles, tree
from bailee.ledger.tlog.tiles import Tile, Tiles
from bench.result import Line

SIZE = 1_000_077
BATCH = 1_000
PLACES = 200

_Result = TypeVar("_Result")


def main() -> list[Line]:
    """Measure and print; the lines of the closing table."""
    rng = random.Random(1)
    hashes, hashing = _timed(lambda: [tree.leaf_hash(n.to_bytes(32, "big")) for n in range(SIZE)])
    frontier, growing = _timed(lambda: _grown(hashes))
    files, writing = _timed(lambda: _written(hashes))
    root = frontier.root()

    def fetch(wanted: Sequence[Tile]) -> list[bytes]:
        return [files[one] for one in wanted]

    def cold() -> Tiles:
        return Tiles(SIZE, root, fetch)

    warm = cold().hashes
    took: dict[str, list[float]] = {"cold": [], "warm": [], "grown": [], "verify": []}
    for index in (rng.randrange(SIZE) for _ in range(PLACES)):
        proof = tree.inclusion(index, SIZE, warm)
        works: dict[str, Callable[[], object]] = {
            "cold": lambda i=index: tree.inclusion(i, SIZE, cold().hashes),
            "warm": lambda i=index: tree.inclusion(i, SIZE, warm),
            "grown": lambda i=index: tree.consistency(i, SIZE, cold().hashes),
            "verify": lambda i=index, p=proof: tree.verify_inclusion(hashes[i], i, SIZE, p, root),
        }
        for name, work in works.items():
            took[name].append(min(_timed(work)[1] for _ in range(10)))
    lines: list[Line] = [
        ("leaf hashes", f"{SIZE / hashing:,.0f} a second", ""),
        (f"the tree grown by {BATCH:,} at once", f"{SIZE / growing:,.0f} leaves a second", ""),
        (f"its tiles, by {BATCH:,} at once", f"{SIZE / writing:,.0f} leaves a second", ""),
        ("inclusion proof, cold", _milliseconds(took["cold"]), "≤ 1 ms"),
        ("inclusion proof, warm", _milliseconds(took["warm"]), ""),
        ("consistency proof, cold", _milliseconds(took["grown"]), "≤ 1 ms"),
        ("verification of an inclusion", _milliseconds(took["verify"]), ""),
    ]
    for measured, result, against in lines:
        print(f"{measured}: {result}" + (f" ({against})" if against else ""))
    return lines


def _grown(hashes: list[bytes]) -> tree.Frontier:
    frontier = tree.Frontier()
    for start in range(0, SIZE, BATCH):
        frontier = frontier.grown(hashes[start : start + BATCH])
    return frontier


def _written(hashes: list[bytes]) -> dict[Tile, bytes]:
    files: dict[Tile, bytes] = {}
    edge = tree.Frontier()
    for start in range(0, SIZE, BATCH):
        edge, came = edge.grown_by(hashes[start : start + BATCH])
        files.update(tiles.written(start, came, lambda wanted: [files[one] for one in wanted]))
    return files


def _timed(work: Callable[[], _Result]) -> tuple[_Result, float]:
    began = time.process_time()
    result = work()
    return result, time.process_time() - began


def _milliseconds(times: list[float]) -> str:
    return f"{median(times) * 1000:.2f} ms"
