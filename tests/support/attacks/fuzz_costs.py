"""A program that looks for small inputs that cost much (atheris, libFuzzer). One that costs more
than `costs` allows ends it, and so does an exception.

    tests/support/attacks/fuzz_costs.py -max_total_time=60 -rss_limit_mb=1200 [options] [corpus]

An input says which entry point, and a text: a beginning, a piece repeated, an end.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))

INCLUDED = ["bailee.apis", "bailee.gateway", "bailee.ingest", "bailee.items", "bailee.vault"]
with atheris.instrument_imports(include=INCLUDED):
    from support.attacks import costs


def try_one(data: bytes) -> None:
    """One input, see the module."""
    source = atheris.FuzzedDataProvider(data)
    entry, ends, pieces = costs.SHAPES[source.ConsumeIntInRange(0, len(costs.SHAPES) - 1)]
    begin, end = ends[source.ConsumeIntInRange(0, len(ends) - 1)]
    size = (1, 1000, 65536)[source.ConsumeIntInRange(0, 2)]
    chosen = [
        pieces[source.ConsumeIntInRange(0, len(pieces) - 1)]
        for _ in range(source.ConsumeIntInRange(1, 3))
    ]
    piece = b"".join(chosen) + source.ConsumeBytes(12)
    found = costs.dear(entry, begin, piece, end, size)
    assert found is None, f"{entry.__name__}: {found}"


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()
