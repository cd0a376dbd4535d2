"""A program that mutates payloads, guided by what the decoders reach (atheris, libFuzzer): anything
but an answer or a refusal, and any planted word that passes, ends it with the input that did it.

    python tests/support/attacks/fuzz_decoders.py -max_total_time=60 [options] [corpus]
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import atheris
import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["bailee.telemetry", "bailee.registry"]):
    from bailee.errors import InputError
    from bailee.ingest.bodies import ENCODINGS, unpacked
    from bailee.telemetry import columns
    from bailee.telemetry.records import ERROR, METRIC, as_json, from_json
    from support.attacks import decoders

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


def mutated(payload: Any, source: Any) -> Any:
    """A payload with some of its parts replaced, doubled or given a further name: which, and with
    what, is what the input says.
    """
    for _ in range(1 + source.ConsumeIntInRange(0, 3)):
        place = source.ConsumeIntInRange(0, _parts(payload) - 1)
        payload, _ = _at(payload, place, source)
    return payload


def _parts(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(_parts(one) for one in inner)


def _at(value: Any, place: int, source: Any) -> tuple[Any, int]:
    """The value with its part number `place` changed; what is left of the number."""
    if place == 0:
        return _changed(value, source), -1
    place -= 1
    if isinstance(value, dict):
        made: Any = {}
        for name, inner in value.items():
            made[name], place = _at(inner, place, source) if place >= 0 else (inner, place)
        return made, place
    if isinstance(value, list):
        made = []
        for inner in value:
            one, place = _at(inner, place, source) if place >= 0 else (inner, place)
            made.append(one)
        return made, place
    return value, place


def _changed(value: Any, source: Any) -> Any:
    kind = source.ConsumeIntInRange(0, 3)
    leaf = LEAVES[source.ConsumeIntInRange(0, len(LEAVES) - 1)]
    if kind == 0:
        return leaf
    if kind == 1:
        return [value, value]
    name = NAMES[source.ConsumeIntInRange(0, len(NAMES) - 1)]
    return ({**value} if isinstance(value, dict) else {}) | {name: leaf}


def try_one(data: bytes) -> None:
    """One input: which decoder, and either its bytes or how to mutate what it takes whole."""
    source = atheris.FuzzedDataProvider(data)
    which = source.ConsumeIntInRange(0, 2 * len(SHAPED) + len(RAW))
    if which == 2 * len(SHAPED) + len(RAW):
        encoding = ENCODINGS[source.ConsumeIntInRange(0, len(ENCODINGS) - 1)]
        with contextlib.suppress(InputError):
            assert len(unpacked(source.ConsumeBytes(MOST), encoding, MOST)) <= MOST
        return
    if which < 2 * len(SHAPED):
        which %= len(SHAPED)
        name = SHAPED[which]
        body = orjson.dumps(mutated(decoders.TEMPLATES[name], source))
    else:
        name = RAW[which - 2 * len(SHAPED)]
        body = source.ConsumeBytes(MOST)
    rows, refusals = decoders.decoded(decoders.DECODERS[name], body)
    assert MARKER not in repr(rows)
    assert MARKER not in repr(refusals)
    if rows:
        # Whatever passed can be written, and read again.
        data_class = ERROR if name.startswith("Sentry") else METRIC
        assert rows == from_json(data_class, as_json(rows))
        columns.table(data_class, rows, decoders.REGISTRY)


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()
