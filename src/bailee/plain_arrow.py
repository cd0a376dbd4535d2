"""Apache Arrow without pandas: where that is there, pyarrow imports it with its first array.

It takes a third of a second of each process, and tens of megabytes, and nothing here is made of it.
What somebody converts to it later finds it: pyarrow looks again when it is asked for a data frame.
"""

from __future__ import annotations

import sys
from functools import cache


class _NoPandas:
    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        """See `importlib.abc.MetaPathFinder`."""
        if name == "pandas":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@cache
def look_for_no_pandas() -> None:
    """Have pyarrow look for pandas now, once, and not find it. Whoever makes arrays calls this
    first.
    """
    import pyarrow as pa

    sys.meta_path.insert(0, _NoPandas)
    try:
        pa.array([None])
    finally:
        sys.meta_path.remove(_NoPandas)
