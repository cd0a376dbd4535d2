"""How a process ends itself by SIGKILL at a given point: for programs that fault tests start."""

from __future__ import annotations

import importlib
import itertools
import os
import signal
from typing import Any


def die_at(point: str, count: int, when: str) -> None:
    """Arrange that this process dies when `point` (a method, "module:Class.method") is called for
    the `count`th time, `when` = "before" or "after" its work.
    """
    module, _, path = point.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, name = path.split(".")
    for part in classes:
        owner = getattr(owner, part)
    real = getattr(owner, name)
    calls = itertools.count(1)  # of several threads each has its own number

    def wrapped(*arguments: Any, **options: Any) -> Any:
        number = next(calls)
        if number == count and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **options)
        if number == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, wrapped)
