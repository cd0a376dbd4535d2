"""`bailee witness`, which dies by SIGKILL when it has something to keep.

    python witness_process.py POINT COUNT WHEN witness FOLDER …

`POINT`, `COUNT` and `WHEN` are those of `killing.die_at`.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Be a witness until then."""
    from killing import die_at  # beside this file, which a test imports from elsewhere

    point, count, when = sys.argv[1:4]
    die_at(point, int(count), when)
    del sys.argv[1:4]
    from bailee.cli import main as bailee

    bailee()


if __name__ == "__main__":
    main()
