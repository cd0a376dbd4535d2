"""The language that a person wrote in, told by py3langid, whose model comes with it: no network.

Code, logs and paths are in no language, so only what reads like sentences counts, and of that the
beginning. Where it is too little, or the answer is not sure, it is `und` (BCP 47: undetermined).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

UNDETERMINED: Final = "und"
_SURE: Final = 0.6
_LEAST: Final = 12
_MOST: Final = 4_000
_FENCED: Final = re.compile(
    r"```.{0,200000}?(?:```|\Z)|<[a-z-]{1,40}>.{0,200000}?</[a-z-]{1,40}>", re.DOTALL
)
_CODE: Final = re.compile(r"[{};=<>|\\_/$#]|::|\(\)|https?:")


def of(texts: Iterable[str]) -> str:
    """The language as a code of ISO 639-1, or `und`.

    Raises:
        ModuleNotFoundError: the extra `training` is not installed.
    """
    said: list[str] = []
    size = 0
    for text in texts:
        for line in _FENCED.sub("\n", text[: 50 * _MOST]).splitlines():
            if size < _MOST and line.strip() and not _CODE.search(line[:1000]):
                said.append(line[:1000].strip())
                size += len(said[-1])
    written = "\n".join(said)
    # A character of Chinese or Japanese says about as much as three letters.
    if sum(3 if one > "\u2e80" else 1 for one in written if one.isalpha()) < _LEAST:
        return UNDETERMINED
    language, sure = _identifier().classify(written)
    return str(language) if sure >= _SURE else UNDETERMINED


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
