"""Masking, in MB a second on one core: our own patterns, betterleaks, and both with all the rest.

The text is this repository's own code with a secret in every twentieth kilobyte. Each is measured
by the processor time of its process; a text is new to each, so nothing is remembered.
"""

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable
from pathlib import Path

from bench.result import Line, Unavailable

_BYTES = 1 << 20
_TIMES = 1


def main() -> list[Line]:
    """Measure; the lines of the closing table."""
    try:
        from bailee.client.scrubbing import by_own_patterns, candidates
        from bailee.training.finding import Finder
        from bailee.training.secret_values import by_betterleaks
    except ModuleNotFoundError as error:
        raise Unavailable(f"the package {error.name}") from None
    texts = _texts()
    list(by_betterleaks(texts[0]))  # the library is loaded
    own = _speed(texts, lambda text: list(by_own_patterns(text)))
    both = _speed(texts, lambda text: Finder().find(text))
    others = _speed(texts, lambda text: list(by_betterleaks(text)))
    before = _speed(texts[:3], lambda text: list(candidates(text)))
    return [
        (
            "secrets by our own patterns",
            f"{own:.2f} MB/s",
            f"detect-secrets too: {before:.2f}",
        ),
        ("secrets by betterleaks", f"{others:.2f} MB/s", "all its threads counted"),
        ("secrets by both, personal data, encodings", f"{both:.2f} MB/s", "on one core"),
    ]


def _texts() -> list[str]:
    """Code in texts of 20 KB, with a secret in each."""
    chance = random.Random(1)
    source = Path(__file__).parents[1] / "src"
    code = "".join(path.read_text() for path in sorted(source.rglob("*.py")))[:_BYTES]
    made = []
    for start in range(0, len(code), 20_000):
        token = "".join(chance.choices(string.ascii_letters + string.digits, k=36))
        made.append(f"{code[start : start + 20_000]}\nTOKEN = 'ghp_{token}'\n")
    return made


def _speed(texts: list[str], run: Callable[[str], object]) -> float:
    """In MB a second of processor time."""
    best = 0.0
    size = sum(map(len, texts)) / 1e6
    for _ in range(_TIMES):
        began = time.process_time()
        for text in texts:
            run(text)
        best = max(best, size / (time.process_time() - began))
    return best
