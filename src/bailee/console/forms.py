"""Form tokens: a form is taken only from a page that this console gave to the same browser.

The token is an HMAC of the visitor's own cookie under a key that this process made, so another
site can neither guess nor read one (OWASP, signed double submit). Compared in constant time.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Final


class Forms:
    """Makes and checks form tokens."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key: Final = key or secrets.token_bytes(32)

    def token(self, bound_to: str) -> str:
        """The token for what a visitor's forms are bound to."""
        return hmac.digest(self._key, bound_to.encode(), "sha256").hex()

    def accepts(self, bound_to: str, token: str) -> bool:
        """Whether a token is the visitor's own; never for a visitor without a cookie."""
        return bool(bound_to) and hmac.compare_digest(self.token(bound_to), token)
