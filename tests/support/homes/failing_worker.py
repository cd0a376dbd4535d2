"""A worker of a training export that one session ends, or that never comes to its end with it.

python failing_worker.py WORD hangs|ends
"""

from __future__ import annotations

import os
import re
import signal
import sys

from bailee.training import working
from bailee.training.dataset import Row
from bailee.training.finding import Names
from bailee.training.wire import Leased


def main() -> None:
    """Answer tasks as a worker does, but for the session in which the word is said."""
    word, how = sys.argv[1:]
    as_it_is = working.made_of

    def made_of(leased: Leased, named: Names | None = None) -> list[Row]:
        made = as_it_is(leased, named)
        if word in str(made):
            if how == "ends":
                os._exit(1)
            left, _ = signal.getitimer(signal.ITIMER_REAL)
            if 0 < left <= working.PATIENCE:  # else it would hang for ever, and is found in rows
                signal.setitimer(signal.ITIMER_REAL, 0.2)
                re.match(r"(a+)+$", "a" * 64 + "b")  # holds the interpreter's lock
        return made

    working.made_of = made_of
    working.main()


if __name__ == "__main__":
    main()
