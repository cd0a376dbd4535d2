"""What calls of the library `requests` have in common here."""

from __future__ import annotations

from typing import Any


def unsigned(request: Any) -> Any:
    """Nothing of ~/.netrc goes to whoever has a name that stands there: given as `auth`."""
    return request
