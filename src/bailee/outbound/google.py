"""Google's application default credentials, by the way out; a token is refreshed before it expires.

Google's library alone would follow a redirect with the refresh token.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

from bailee.outbound.network import HttpResponse, Network, NoAnswer

_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_SECONDS: Final = 30.0  # for one call, unless the library says otherwise


class NoGoogleCredential(Exception):
    """There is none, or it could not be refreshed."""


class GoogleCredential:
    """What a process asks Google's services with. Whoever asks makes one, and may call it from any
    thread that has no event loop: it blocks.
    """

    def __init__(self, way_out: Network) -> None:
        self._way_out = way_out
        self._credentials: Any = None
        self._refreshing = threading.Lock()  # who fetches a token; `held` reads without

    @property
    def held(self) -> str | None:
        """The token, as long as it is valid. Asks nobody."""
        found = self._credentials
        return None if found is None or not found.valid else str(found.token)

    def token(self) -> str:
        """A token that is valid for a while.

        Raises:
            NoGoogleCredential: there is none.
        """
        import google.auth
        import google.auth.exceptions

        ask: Any = self._ask  # their class asks for no more than a function
        with self._refreshing:
            try:
                if self._credentials is None:
                    self._credentials, _ = google.auth.default(scopes=[_SCOPE], request=ask)
                if not self._credentials.valid:
                    self._credentials.refresh(ask)
            except google.auth.exceptions.GoogleAuthError:
                raise NoGoogleCredential from None
            return str(self._credentials.token)

    def _ask(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> _Answer:
        """One call of Google's library (`google.auth.transport.Request`)."""
        from google.auth.exceptions import TransportError

        try:
            got = self._way_out.ask(
                method,
                url,
                content=body,
                headers=headers,
                what="What Google's credential names",
                seconds=timeout or _SECONDS,
                metadata=True,
            )
        except NoAnswer as error:
            failed: Exception = TransportError(str(error))  # type: ignore[no-untyped-call]
            raise failed from None
        return _Answer(got)


class _Answer:
    """What Google's library reads of an answer (`google.auth.transport.Response`)."""

    def __init__(self, got: HttpResponse) -> None:
        self.status, self.headers, self.data = got.status, got.headers, got.content
