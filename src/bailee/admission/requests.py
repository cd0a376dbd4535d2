"""How an application tells its listener that a request's credential is good. Pure.

A listener puts a function into the ASGI scope; whoever looks at the credential calls it, and the
connection no longer has to make room for others (`connections`). Where no such listener serves the
application, nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

_NAME: Final = "bailee.admitted"


def tell_of_admission(scope: MutableMapping[str, Any], admitted: Callable[[], None]) -> None:
    """Have `admitted` called once this request's credential is found good."""
    scope[_NAME] = admitted


def admit(scope: Mapping[str, Any]) -> None:
    """The credential of this request is good. Called on the event loop's thread."""
    admitted = scope.get(_NAME)
    if admitted is not None:
        admitted()
