"""How a process ends itself by SIGKILL at a given point: for programs that fault tests start."""

from __future__ import annotations

import importlib
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
    left = [count]

    def wrapped(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **options)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, wrapped)
