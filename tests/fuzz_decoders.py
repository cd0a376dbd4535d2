"""A program that mutates payloads, guided by what the decoders reach (atheris, libFuzzer): anything
but an answer or a refusal, and any planted word that passes, ends it with the input that did it.

    python tests/fuzz_decoders.py -max_total_time=60 [further options of libFuzzer] [corpus]
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import atheris
import orjson

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["bailee.telemetry", "bailee.registry"]):
    import decoders
    from bailee.errors import InputError
    from bailee.telemetry import columns
    from bailee.telemetry.bodies import ENCODINGS, unpacked
    from bailee.telemetry.records import ERROR, METRIC

MARKER = "quince"
MOST = 4096
NAMES = sorted(
    {*decoders.KEYS, *decoders.REGISTRY.by_any_name, *decoders.REGISTRY.measures, MARKER}
)
LEAVES: list[Any] = [
    None, True, False, 0, -1, 1, 2**63 - 1, -(2**63), 2**64 - 1, 1e308, -1e308, 5e-324, "", "NaN",
    "-1", "9" * 40, "1e400", MARKER, [], {}, [[]], [{}], {"stringValue": MARKER},
    {"doubleValue": "NaN"}, {"intValue": "9" * 30}, {"intValue": 1e300},
    "9999-12-31T23:59:59+23:59", "\u0000", "\ud7ff", "0" * 32, "1.2.3",
]  # fmt: skip
SHAPED = list(decoders.TEMPLATES)
RAW = list(decoders.DECODERS)


def mutated(value: Any, source: Any) -> Any:
    """A payload with other leaves, further names and doubled parts, as the input says."""
    choice = source.ConsumeIntInRange(0, 15)
    if choice == 0:
        return LEAVES[source.ConsumeIntInRange(0, len(LEAVES) - 1)]
    if choice == 1:
        name = NAMES[source.ConsumeIntInRange(0, len(NAMES) - 1)]
        return {name: LEAVES[source.ConsumeIntInRange(0, len(LEAVES) - 1)]}
    if choice == 2:
        return [value, value]
    if isinstance(value, dict):
        made = {name: mutated(inner, source) for name, inner in value.items()}
        if choice == 3:
            name = NAMES[source.ConsumeIntInRange(0, len(NAMES) - 1)]
            made[name] = LEAVES[source.ConsumeIntInRange(0, len(LEAVES) - 1)]
        return made
    if isinstance(value, list):
        return [mutated(inner, source) for inner in value]
    return value


def try_one(data: bytes) -> None:
    """One input: which decoder, and either its bytes or how to mutate what it takes whole."""
    source = atheris.FuzzedDataProvider(data)
    which = source.ConsumeIntInRange(0, len(SHAPED) + len(RAW))
    if which == len(SHAPED) + len(RAW):
        encoding = ENCODINGS[source.ConsumeIntInRange(0, len(ENCODINGS) - 1)]
        with contextlib.suppress(InputError):
            assert len(unpacked(source.ConsumeBytes(MOST), encoding, MOST)) <= MOST
        return
    if which < len(SHAPED):
        name = SHAPED[which]
        body = orjson.dumps(mutated(decoders.TEMPLATES[name], source))
    else:
        name = RAW[which - len(SHAPED)]
        body = source.ConsumeBytes(MOST)
    rows, refusals = decoders.decoded(decoders.DECODERS[name], body)
    assert MARKER not in repr(rows)
    assert MARKER not in repr(refusals)
    if rows:
        # Whatever passed can be written.
        orjson.dumps(rows)
        data_class = ERROR if name.startswith("Sentry") else METRIC
        columns.table(data_class, rows, decoders.REGISTRY)


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()
